"""Text to syntax tree: `parse`, `parse_bytes` and `decode`."""

from flowc.compiler.parser.program import parse, parse_bytes
from flowc.compiler.parser.reading import decode

__all__ = ["decode", "parse", "parse_bytes"]
