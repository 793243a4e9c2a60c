"""flowc: a compiler and runtime for typed agentic programs."""
