"""Failures of a run: coded, with a reason and a way out, as values until the edge prints them."""

from attrs import field, frozen

WAITING = "E0730"
"""A person is waited for, and nobody can be asked here."""

IN_DOUBT = "E0732"
"""A call may have happened or not before a crash, and must not be made again unasked."""

DIVERGED = "E0733"
"""A run that goes on is about to make a write again, with other inputs."""

NOT_UNDONE = "E0734"
"""A transaction could not take back all that it wrote."""

CANCELLED = "E0716"
"""The run was ended from outside."""

OVER_BUDGET = frozenset({"E0721", "E0722", "E0723", "E0724"})
"""A budget of calls, tokens, money or memory is spent."""


@frozen
class Problem:
    """One thing to tell the user of a run. `line` and `column` are the program's, 0 where unknown."""

    code: str
    message: str
    why: str = ""
    help: str = ""
    line: int = 0
    column: int = 0
    notes: tuple[str, ...] = field(default=())


class FlowError(Exception):
    """Raised where a run cannot go on; carries the `Problem`. Never reaches the user as a traceback."""

    def __init__(self, problem: Problem) -> None:
        reason = f" ({problem.why})" if problem.why else ""
        super().__init__(f"{problem.code}: {problem.message}{reason}")
        self.problem = problem


def fail(
    code: str, message: str, *, why: str = "", help: str = "", line: int = 0, column: int = 0
) -> FlowError:
    """Makes the error to raise: `raise fail("E0701", "...")`."""
    return FlowError(Problem(code, message, why, help, line, column))


def broken_plan(why: str) -> FlowError:
    """Makes the error to raise where a plan has a flaw that no program can give it."""
    return fail("E0644", "this is not a plan that flowc can run", why=why, help="compile the program again")
