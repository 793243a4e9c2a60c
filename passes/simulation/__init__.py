"""Task graphs on described clusters: schedules, policies and lower bounds, by discrete events."""
