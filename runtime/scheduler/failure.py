"""What went wrong in a node, as a coded problem: exceptions are values from here on."""

import traceback
from collections.abc import Callable, Mapping

from attrs import evolve

from flowc.runtime.coerce import Mismatch
from flowc.runtime.errors import CANCELLED, DIVERGED, IN_DOUBT, NOT_UNDONE, WAITING, FlowError, Problem
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.types import text

STOPPED = frozenset({WAITING, CANCELLED, IN_DOUBT, DIVERGED})
"""These stop a run with which somebody may go on."""

UNCATCHABLE = STOPPED | {NOT_UNDONE}
"""These end the run wherever they happen: no `try` of the program answers for an absent person, for Ctrl-C,
or for what a transaction could not take back.
"""

UNCERTAIN = frozenset({"E0714", "E0724", "E0802"})
"""With these a call may have happened all the same: its time or memory was up, what it gave is useless."""


def placed(problem: Problem, instruction: Instruction) -> Problem:
    """The problem with the line of the node, where it has none of its own."""
    if problem.line or not instruction.node.line:
        return problem
    return evolve(problem, line=instruction.node.line, column=instruction.node.column)


def problem_of(error: BaseException, instruction: Instruction) -> Problem:
    """The problem behind an exception that a node raised; tools answer for themselves, the rest is the
    program's.
    """
    if isinstance(error, FlowError):
        return error.problem
    if instruction.operation is not None and instruction.operation.kind == "tool":
        return problem_of_tool(error, instruction.operation)
    for kind, make in _PLAIN.items():
        if isinstance(error, kind):
            return make(error, instruction)
    return Problem(
        "E0719",
        f"`{instruction.node.name}` failed",
        why=_said(error),
        help="check the values that reach this line",
        notes=_trace(error),
    )


def cancelled_from_outside(instruction: Instruction) -> Problem:
    """What is wrong where a call ends as cancelled and nothing around it was: a provider made that up."""
    return Problem("E0715", f"`{instruction.node.name}` was cancelled from outside")


def _said(error: BaseException) -> str:
    message = _message(error)
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def _message(error: BaseException) -> str:
    """What an exception says of itself; nothing where it fails at even that, as a tool's own may."""
    try:
        return str(error).strip()
    except BaseException:
        return ""


def _trace(error: BaseException) -> tuple[str, ...]:
    return tuple("".join(traceback.format_exception(error)).splitlines())


def problem_of_tool(error: BaseException, operation: Operation) -> Problem:
    """The problem behind an exception of a tool's function, or of what it returned."""
    name = operation.name
    if isinstance(error, Mismatch):
        wanted = text(operation.result)
        return Problem(
            "E0802",
            f"tool `{name}` returned something that is not a {wanted}",
            why=_message(error),
            help="change what the function returns, or the type that the program declares for it",
        )
    return Problem(
        "E0801",
        f"tool `{name}` failed",
        why=_said(error),
        help=f"`try {name}(...) else ...` gives a value in its place, `@retry` tries again",
        notes=_trace(error),
    )


def _division(error: BaseException, instruction: Instruction) -> Problem:
    return Problem("E0710", "division by zero", help="test the divisor first, or use `try ... else`")


def _index(error: BaseException, instruction: Instruction) -> Problem:
    return Problem(
        "E0711",
        "there is no element at this place",
        why=_said(error),
        help="compare with `len(...)` first, or use `try ... else`",
    )


def _key(error: BaseException, instruction: Instruction) -> Problem:
    return Problem(
        "E0712",
        f"there is no key {_message(error)}",
        help="test with `in` first, or use `get` with a default",
    )


def _value(error: BaseException, instruction: Instruction) -> Problem:
    return Problem(
        "E0713",
        f"`{instruction.node.name}` cannot take this value",
        why=_message(error),
        help="check the value first, or use `try ... else`",
        notes=_trace(error),
    )


_PLAIN: Mapping[type[BaseException], Callable[[BaseException, Instruction], Problem]] = {
    ZeroDivisionError: _division,
    IndexError: _index,
    KeyError: _key,
    OverflowError: _value,
    ValueError: _value,
}
