"""Programs of all kinds for a long time in one process, half of whose calls go wrong."""
