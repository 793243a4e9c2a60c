"""What the runtime itself takes where kernels run: measured once, by runs of kernels that do nothing."""

from functools import cache

from attrs import frozen

from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load, run
from flowc.runtime.plan import Function, Node, Plan, Region
from flowc.runtime.types import NONE

CALLS = 65
RUNS = 9


@frozen
class Overheads:
    """Seconds: to `start` with the first kernel of a run, whose thread must be made, and for `each` other."""

    start: float
    each: float


@cache
def overheads() -> Overheads:
    """Those of this process, the least of a few runs: what else the machine does is not the runtime's."""
    one, many = _chain(1), _chain(CALLS)
    runs = [(_seconds(one), _seconds(many)) for _ in range(RUNS)]
    start, whole = (min(each) for each in zip(*runs, strict=True))
    return Overheads(start, max(0.0, whole - start) / (CALLS - 1))


def _seconds(loaded: Loaded) -> float:
    return run(loaded, "main").wall_ms / 1e3


def _chain(count: int) -> Loaded:
    """A plan of so many kernels, one after the other."""
    nodes = tuple(
        Node("kernel", "nothing", (), (place,), {"kernel": "nothing"}, after=(place - 1,) if place else ())
        for place in range(count)
    )
    body = Region(count, (), (), (), nodes, (count - 1,))
    plan = Plan("", {"main": Function("main", (), NONE, body)}, {}, {}, {})
    return load(plan, Environment(kernels={"nothing": lambda: None}))
