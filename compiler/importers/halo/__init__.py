"""Graphs of Halo (batched agentic workflows as YAML) as programs.

A graph has nodes of type `input`, `inference`, `http` and `processor`, and edges that bring values from one
to the next. An HTTP request and each database query become tools that carry their statement, an inference
node an llm whose result type is what its prompt says of the answer.
"""

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.formatter import format_text
from flowc.compiler.importers.halo.program import program
from flowc.compiler.importers.halo.reading import read
from flowc.compiler.syntax import Span


def convert(text: str, path: str) -> str:
    """The program of a graph, formatted. Raises CompileError (E0665 to E0669) with all that is wrong."""
    source = Source(path, text)
    made = program(read(text, path), source).text
    try:
        return format_text(made, path)
    except (
        CompileError
    ) as error:  # the program passes a limit of the language: its places are not the graph's
        title = f"this graph makes no program: {error.diagnostics[0].title}"
        raise CompileError(source, (Diagnostic("E0665", title, (Label(Span(1, 1, 1, 2)),)),)) from None


def configure(text: str, path: str) -> str:
    """The flowc.toml that goes with the program: the models behind its aliases."""
    return program(read(text, path), Source(path, text)).settings
