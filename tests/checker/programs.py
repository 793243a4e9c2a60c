"""Checks texts: what the tests of the checker have in common."""

from pathlib import Path

from flowc.compiler.checker import Checked, check
from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Source
from flowc.compiler.parser import parse


def checked(text: str, folder: Path | None = None) -> Checked:
    """The checked program; fails with all that is wrong."""
    return check(parse(text, "main.flow"), Source("main.flow", text), folder=folder)


def found(text: str, folder: Path | None = None) -> tuple[Diagnostic, ...]:
    """Everything that is told about a program, errors or else warnings."""
    try:
        return checked(text, folder).warnings
    except CompileError as error:
        return error.diagnostics


def codes(text: str, folder: Path | None = None) -> list[str]:
    """The codes of what is told about a program, in order."""
    return [diagnostic.code for diagnostic in found(text, folder)]


def body(statements: str, parameters: str = "", result: str = "none") -> str:
    """A flow with these statements."""
    lines = "\n".join(f"    {line}" for line in statements.strip("\n").split("\n"))
    return f"flow main({parameters}) -> {result}:\n{lines}\n"


def type_in(statements: str, parameters: str = "") -> str:
    """The type of the last assigned value, as a program writes it."""
    from flowc.compiler.syntax import Assign, Callable
    from flowc.runtime.types import text as written

    program = checked(body(statements, parameters))
    flow = next(each for each in program.program.declarations if isinstance(each, Callable))
    last = [each for each in flow.body or () if isinstance(each, Assign)][-1]
    return written(program.types[id(last.value)])
