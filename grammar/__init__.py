"""The language: its grammar and the loader of the parse tables."""
