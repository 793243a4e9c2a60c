"""One layout for every program: `format_program` from a tree, `format_text` from a text, comments kept."""

from flowc.compiler.formatter.program import format_program, format_text

__all__ = ["format_program", "format_text"]
