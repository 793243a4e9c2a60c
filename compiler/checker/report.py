"""Collects what is wrong with a program, so that all of it is told in one go and in source order."""

from attrs import Factory, define

from flowc.compiler.diagnostics.model import Diagnostic, Label
from flowc.compiler.syntax import Span

MAXIMUM = 50
"""Errors shown at most; after so many the rest are seldom about new mistakes."""


@define
class Report:
    """The diagnostics found so far. A second one with the same code at the same place is dropped."""

    found: dict[tuple[str, Span], Diagnostic] = Factory(dict)

    def error(
        self,
        code: str,
        title: str,
        span: Span,
        label: str = "",
        *,
        why: str = "",
        help: str = "",
        causes: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        """Adds an error at `span`; `causes` are further places with what to say about them."""
        self._add(Diagnostic(code, title, _labels(span, label, causes), why, help))

    def warning(self, code: str, title: str, span: Span, *, why: str = "", help: str) -> None:
        """Adds a warning: the program compiles all the same."""
        self._add(Diagnostic(code, title, _labels(span, "", ()), why, help, severity="warning"))

    def _add(self, diagnostic: Diagnostic) -> None:
        self.found.setdefault((diagnostic.code, diagnostic.labels[0].span), diagnostic)

    @property
    def is_full(self) -> bool:
        """Whether so much is wrong already that suggestions are no longer worth their time."""
        return len(self.found) >= MAXIMUM

    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors in source order, at most `MAXIMUM`."""
        return tuple(d for d in self._sorted() if d.severity == "error")[:MAXIMUM]

    def warnings(self) -> tuple[Diagnostic, ...]:
        """The warnings in source order."""
        return tuple(d for d in self._sorted() if d.severity == "warning")

    def _sorted(self) -> list[Diagnostic]:
        return sorted(
            self.found.values(), key=lambda d: (d.labels[0].span.line, d.labels[0].span.column, d.code)
        )


def _labels(span: Span, label: str, causes: tuple[tuple[Span, str], ...]) -> tuple[Label, ...]:
    return (Label(span, label), *(Label(place, text, primary=False) for place, text in causes))
