"""What the runtime itself takes where kernels run: measured once, by runs of kernels that do nothing, and of
some that only wait.
"""

import time
from functools import cache, partial

from attrs import frozen

from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load, run
from flowc.runtime.plan import Function, Node, Plan, Region
from flowc.runtime.scheduler.runner import SLOW
from flowc.runtime.types import NONE

CALLS = 65
SLOW_CALLS = 4
RUNS = 7
WAIT = 1.5 * SLOW
"""Seconds that a kernel waits which is to have a thread of its own."""
CACHES = 8 << 20
"""Bytes that leave nothing else in the caches next to a core: before a run a program does other things."""


@frozen
class Overheads:
    """Seconds: to `start` a run with kernels and to end it, for which threads must be woken; for `each`
    kernel more, for each `turn` of a loop, and to have a kernel that is `slow` on a thread of its own.
    """

    start: float
    each: float
    turn: float
    slow: float


@cache
def overheads() -> Overheads:
    """Those of this process, the least of a few runs: what else the machine does is not the runtime's."""
    plans = [_chain(1), _chain(CALLS), _loop(CALLS), _chain(SLOW_CALLS, WAIT)]
    taken = zip(*([_seconds(each) for each in plans] for _ in range(RUNS)), strict=True)
    start, chain, loop, slow = map(min, taken)
    each = max(0.0, chain - start) / (CALLS - 1)
    turn = max(0.0, loop - start) / (CALLS - 1)
    return Overheads(start, each, max(0.0, turn - each), max(0.0, slow - start) / SLOW_CALLS)


def _seconds(loaded: Loaded) -> float:
    """The seconds of a run in which none of its kernels is at work."""
    bytearray(CACHES)
    return run(loaded, "main").overhead_ms / 1e3


def _chain(count: int, wait: float = 0.0) -> Loaded:
    """A plan of so many kernels, one after the other, that wait for so many seconds."""
    nodes = tuple(_kernel(place, after=(place - 1,) if place else ()) for place in range(count))
    return _loaded(Region(count, (), (), (), nodes, (count - 1,)), wait)


def _loop(turns: int) -> Loaded:
    """A plan of a loop around a kernel that does nothing; the loop is not to stop before its end."""
    turn = Region(3, (0,), (), ((2, False),), (_kernel(1),), (2,))
    loop = Node("for", "", (0,), (), regions=(turn,))
    return _loaded(Region(2, (), (), ((0, [0] * turns), (1, None)), (loop,), (1,)), 0.0)


def _kernel(slot: int, after: tuple[int, ...] = ()) -> Node:
    return Node("kernel", "nothing", (), (slot,), {"kernel": "nothing"}, after=after)


def _loaded(body: Region, wait: float) -> Loaded:
    plan = Plan("", {"main": Function("main", (), NONE, body)}, {}, {}, {})
    kernel = partial(time.sleep, wait) if wait else _nothing
    return load(plan, Environment(kernels={"nothing": kernel}))


def _nothing() -> None:
    """A kernel that does nothing."""
