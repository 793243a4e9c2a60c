"""Diagnostics: one data type, printed for a terminal or as JSON, explained by a page a code."""
