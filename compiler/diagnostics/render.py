"""A diagnostic for a terminal, for a plain stream, and as JSON data."""

from typing import TYPE_CHECKING, Any

from flowc.compiler.diagnostics.frame import rows
from flowc.compiler.diagnostics.model import Diagnostic, Source
from flowc.compiler.spans import Span

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
    "headline": "bold",
    "gutter": "blue",
    "primary": "bold red",
    "secondary": "bold blue",
    "aside": "dim",
}


def render(diagnostic: Diagnostic, source: Source) -> "Text":
    """The drawing with colours. Nothing in it is read as markup."""
    from rich.text import Text

    drawing = Text()
    for row in rows(diagnostic, source):
        for text, style in row:
            drawing.append(text, style=_STYLES.get(style, ""))
        drawing.append("\n")
    drawing.append("\n")
    return drawing


def render_plain(diagnostic: Diagnostic, source: Source) -> str:
    """The drawing without colours; it ends with an empty line."""
    lines = ("".join(text for text, _ in row).rstrip() for row in rows(diagnostic, source))
    return "\n".join(lines) + "\n\n"


def to_json(diagnostic: Diagnostic, source: Source | None = None) -> dict[str, Any]:
    """The diagnostic as JSON data. Lines and columns count from 1 in code points; the end is exclusive."""
    primary = next((label.span for label in diagnostic.labels if label.primary), None)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.title,
        "path": diagnostic.path or (source.path if source is not None else None),
        **_place(primary),
        "labels": [
            {**_place(label.span), "message": label.text, "primary": label.primary}
            for label in diagnostic.labels
        ],
        "why": diagnostic.why,
        "help": diagnostic.help,
    }


def _place(span: Span | None) -> dict[str, int | None]:
    if span is None:
        return dict.fromkeys(("line", "column", "end_line", "end_column"))
    return {
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }
