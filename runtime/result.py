"""What a run comes to, in the form in which the command line prints it."""

from collections.abc import Callable, Mapping
from typing import Literal

from attrs import field, frozen

from flowc.runtime.errors import CANCELLED, IN_DOUBT, OVER_BUDGET, WAITING, Problem
from flowc.runtime.plan import Json
from flowc.runtime.values import to_json as value_to_json

Status = Literal["ok", "failed", "over-budget", "waiting", "in-doubt", "cancelled"]


EXIT_CODES: Mapping[Status, int] = {
    "ok": 0,
    "failed": 3,
    "over-budget": 3,
    "cancelled": 3,
    "waiting": 4,
    "in-doubt": 4,
}


def status_of(problem: Problem | None) -> Status:
    """The status of a run that ended so."""
    if problem is None:
        return "ok"
    if problem.code in OVER_BUDGET:
        return "over-budget"
    if problem.code == WAITING:
        return "waiting"
    if problem.code == IN_DOUBT:
        return "in-doubt"
    return "cancelled" if problem.code == CANCELLED else "failed"


@frozen
class Account:
    """What the log of a run says of it: worked out when somebody asks, since it takes as long as the run of
    many quick nodes.
    """

    critical_path_ms: float = 0.0
    overhead_ms: float = 0.0
    nodes: int = 0
    calls: int = 0


@frozen
class RunResult:
    """A run, ended. Times are milliseconds; under a virtual clock they are virtual."""

    run: str
    status: Status
    result: object = None
    problem: Problem | None = None
    wall_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    shared: int = 0
    virtual: bool = False
    trace: object = field(default=None, eq=False, repr=False)
    account: Callable[[], Account] = field(default=Account, eq=False, repr=False)

    @property
    def critical_path_ms(self) -> float:
        """The longest chain of bodies that had to wait for each other."""
        return self.account().critical_path_ms

    @property
    def overhead_ms(self) -> float:
        """The part of `wall_ms` in which no body of a node ran."""
        return self.account().overhead_ms

    @property
    def nodes(self) -> int:
        """How many nodes ran."""
        return self.account().nodes

    @property
    def calls(self) -> int:
        """Every attempt of an llm, tool, embedding or person, but for the `shared` ones, which another run of
        the batch made and paid for.
        """
        return self.account().calls

    @property
    def exit_code(self) -> int:
        """The exit code of the command line."""
        return EXIT_CODES[self.status]

    def to_json(self) -> dict[str, Json]:
        """The object that `flowc run --output-format=json` prints."""
        written: dict[str, Json] = {
            "run": self.run,
            "status": self.status,
            "result": value_to_json(self.result),
            "wall_ms": round(self.wall_ms, 3),
            "critical_path_ms": round(self.critical_path_ms, 3),
            "overhead_ms": round(self.overhead_ms, 3),
            "nodes": self.nodes,
            "calls": self.calls,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost_usd": round(self.cost_usd, 9),
        }
        if self.shared:
            written["shared"] = self.shared
        if self.virtual:
            written["virtual"] = True
        if self.problem is not None:
            written["code"] = self.problem.code
            written["message"] = self.problem.message
        return written
