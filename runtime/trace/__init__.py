"""What a run did: measures, summary, timeline, live progress; each a short file over the run's log."""
