"""What flowc says when something is wrong, as data."""

from typing import Literal

from attrs import field, frozen

from flowc.compiler.spans import Span


@frozen
class Source:
    """A file as it was read: `path` as the user named it, and its text."""

    path: str
    text: str = field(repr=False)


@frozen
class Label:
    """A span and what to say under it. The primary label is the problem's place, others are its causes."""

    span: Span
    text: str = ""
    primary: bool = True


@frozen
class Diagnostic:
    """One thing to tell the author: a code with a page, a headline, where, why, and the smallest fix."""

    code: str
    title: str
    labels: tuple[Label, ...] = ()
    why: str = ""
    help: str = ""
    severity: Literal["error", "warning", "note"] = "error"
    path: str | None = None


class CompileError(Exception):
    """A program that cannot be compiled: all that was found, in source order."""

    def __init__(self, source: Source, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("; ".join(f"{d.code}: {d.title}" for d in diagnostics))
        self.source = source
        self.diagnostics = diagnostics
