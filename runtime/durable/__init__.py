"""The durable run: what a run keeps in its journal, and how it goes on from there."""
