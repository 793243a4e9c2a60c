"""The calls that wait for one model: fair between submitters, within each by `order_of`.

Each submitter has a counter of the tokens that its calls have really used over its weight, and beside it as
many times what its calls used in the mean as it has calls under way. The least sum of the two is next; when a
call ends, what it used takes the place of the mean. So shares follow what was used, whatever was expected.
Whoever comes to wait after having waited for nothing goes on from the least counter of those who wait, and
has earned nothing. This is the virtual token counter of Sheng et al., "Fairness in serving large language
models" (OSDI 2024): start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) for work whose size shows
only afterwards.
"""

import asyncio
from heapq import heappop, heappush
from itertools import count
from typing import Any

from attrs import define, field

from flowc.runtime.admission.calls import FULL, Call, Policy, order_of


@define(eq=False)
class Waiting:
    """A call that waits; smaller by `order`, then `number`, is sooner."""

    call: Call
    order: float
    number: int
    admitted: "asyncio.Future[Any]"

    def __lt__(self, other: "Waiting") -> bool:
        return (self.order, self.number) < (other.order, other.number)


@define(eq=False)
class Lane:
    """One submitter: its waiting calls, how many are under way, and in tokens over weight what its calls have
    used since it was here and on which `counter` that leaves it; `expected` is for those under way.
    """

    calls: list[Waiting] = field(factory=list)
    under_way: int = 0
    expected: float = 0.0
    counter: float = 0.0
    ended: int = 0
    used: float = 0.0

    @property
    def start(self) -> float:
        """Where the next call of this submitter starts; the least is next."""
        return self.counter + self.expected


@define(eq=False)
class Charge:
    """What a call under way is expected to use until it is known, and what where that will never be."""

    lane: Lane
    weight: float
    expected: float
    unknown: float
    settled: bool = False

    def settle(self, tokens: float | None) -> None:
        """The call is over and has used so many tokens; None where that is not known. Only the first word
        counts. No call is free: one that was refused has asked, too.
        """
        if self.settled:
            return
        self.settled = True
        lane = self.lane
        used = max(1.0, self.unknown if tokens is None else tokens) / self.weight
        lane.counter += used
        lane.used += used
        lane.ended += 1
        lane.under_way -= 1
        lane.expected = lane.expected - self.expected if lane.under_way else 0.0


class Queue:
    """Waiting calls in the order of the policy. Those whose caller has gone are passed over."""

    def __init__(self, policy: Policy = FULL) -> None:
        self.policy = policy
        self.lanes: dict[str, Lane] = {}
        self.last = Lane()
        self.level = 0.0
        self.sequence = count().__next__

    def waiting(self, call: Call, now: float) -> Waiting:
        """A call in its place of the order, not yet in the queue."""
        admitted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        return Waiting(call, order_of(call, now, self.policy), self.sequence(), admitted)

    def push(self, waiting: Waiting) -> None:
        """Lines a call up."""
        lane = self._lane(waiting.call)
        if not lane.calls:
            lane.counter = max(lane.counter, self._level())
        heappush(lane.calls, waiting)

    def first(self) -> Waiting | None:
        """The call that is next; None where nobody waits."""
        found: Lane | None = None
        for lane in self.lanes.values():
            while lane.calls and lane.calls[0].admitted.done():
                heappop(lane.calls)
            if lane.calls and (found is None or self._sooner(lane, found)):
                found = lane
        return None if found is None else found.calls[0]

    def begin(self, call: Call) -> Charge:
        """Counts a call that is let in by what others of its submitter used, until it is settled."""
        lane, weight = self._lane(call), call.program.weight
        unknown = min(call.expected, call.tokens) or call.tokens  # no more than what it has reserved
        expected = lane.used / lane.ended if lane.ended else max(1.0, unknown) / weight
        lane.expected += expected
        lane.under_way += 1
        return Charge(lane, weight, expected, unknown)

    def withdraw(self, waiting: Waiting) -> None:
        """Takes the first call out without letting it in."""
        lane = self._lane(waiting.call)
        assert lane.calls[0] is waiting
        heappop(lane.calls)
        self.last = lane

    def standing(self, waiting: Waiting) -> tuple[float, float, int]:
        """Where a call that is not in the queue would stand in it."""
        lane = self.lanes.get(self._submitter(waiting.call))
        level = self._level()
        start = level if lane is None else max(lane.counter, level) + lane.expected
        return start, waiting.order, waiting.number

    def _lane(self, call: Call) -> Lane:
        submitter = self._submitter(call)
        found = self.lanes.get(submitter)
        if found is None:
            level = self._level()
            self.lanes = {  # forgets those who have nothing here and would go on from the level all the same
                name: lane
                for name, lane in self.lanes.items()
                if lane.calls or lane.under_way or lane.counter > level
            }
            found = self.lanes[submitter] = Lane()
        return found

    def _level(self) -> float:
        """From where those go on who come to wait: the least of those who do, or where the last has gone on
        to. It never falls.
        """
        waiting = (lane.counter for lane in self.lanes.values() if lane.calls)
        self.level = max(self.level, min(waiting, default=self.last.counter))
        return self.level

    def _submitter(self, call: Call) -> str:
        return call.program.submitter if self.policy.fair else ""

    def _sooner(self, lane: Lane, other: Lane) -> bool:
        if lane.start != other.start:
            return lane.start < other.start
        return lane.calls[0] < other.calls[0]
