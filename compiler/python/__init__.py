"""The Python front end: decorated functions, read as source, into the same syntax tree."""
