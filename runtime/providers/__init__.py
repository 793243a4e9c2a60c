"""LLM providers, one a file."""
