"""What keeps numeric Python from being compiled, until the edge draws it."""

import ast
from contextlib import AbstractContextManager

from attrs import frozen

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label
from flowc.compiler.python.source import File, Sources, problem
from flowc.dialects.array.types import Extent, RangeError, ShapeError

UNSUPPORTED = "E0094"
"""There is no native form of what is written."""
UNSETTLED = "E0095"
"""A name has no one type, or may have no value."""
SHAPES = "E0201"
"""Operands that do not fit each other."""
RANGE = "E0141"
"""A whole number of Python's beside a dtype that cannot hold it."""
BY_ZERO = "E0149"
"""A whole number divided by zero, or to a negative power."""
PICKED = "picked"
"""How the names of extents begin that a mask decides."""


@frozen
class Operand:
    """A part of what is wrong, and what to say of it."""

    file: File
    node: ast.expr
    text: str


class Refused(Exception):
    """What is wrong, and where once an enclosing node is known; `conflict` are extents that differ by
    name, `operands` what an operator is given."""

    def __init__(self, title: str, *, why: str = "", help: str = "", code: str = UNSUPPORTED) -> None:
        super().__init__(title)
        self.code, self.title, self.why, self.help = code, title, why, help
        self.place: tuple[File, ast.AST] | None = None
        self.conflict: tuple[Extent, ...] = ()
        self.operands: tuple[Operand, ...] = ()

    def diagnostic(self) -> Diagnostic:
        """The diagnostic, at the innermost node that was being read."""
        if self.place is None:
            return Diagnostic(self.code, self.title, (), self.why, self.help)
        file, node = self.place
        if self.operands:
            last = len(self.operands) - 1
            labels = [
                Label(each.file.span(each.node), each.text, primary=number == last)
                for number, each in enumerate(self.operands)
            ]
            return Diagnostic(self.code, self.title, tuple(labels), self.why, self.help)
        span = file.first_line(node) if isinstance(node, ast.stmt) else file.span(node)
        return problem(self.code, self.title, span, why=self.why, help=self.help)


@frozen
class located(AbstractContextManager["located", None]):
    """Says where: the innermost node that a problem passes through is its place.

    Every expression is read inside one, so it is no generator, which would take longer than the reading.
    """

    file: File
    node: ast.AST

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Gives the problem its place, if it has none."""
        if isinstance(error, Refused):
            error.place = error.place or (self.file, self.node)
        elif isinstance(error, ShapeError):
            raise misfit(error, self.file, self.node) from error


def misfit(error: ShapeError, file: File, node: ast.AST) -> Refused:
    """A problem of an operator's rule, at its place."""
    refused = Refused(str(error), code=RANGE if isinstance(error, RangeError) else SHAPES)
    if any(isinstance(extent, str) and extent.startswith(PICKED) for extent in error.conflict):
        refused = Refused(
            "what a mask picks stands beside as many elements as another mask picks, or as an array has",
            why="how many a mask picks is known only when the code runs",
            help="use one mask for both, `x[mask] + y[mask]`, or `np.where(mask, x, 0)`",
            code=SHAPES,
        )
    refused.place, refused.conflict = (file, node), error.conflict
    return refused


def compile_error(refused: Refused, sources: Sources) -> CompileError:
    """The error that a user sees, drawn."""
    return sources.relocate(CompileError(sources.joined(), (refused.diagnostic(),)))
