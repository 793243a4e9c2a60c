"""The calls that wait for one model: fair between submitters, within each by `order_of`.

Between submitters it is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over tokens: each
submitter has a virtual time at which its next call starts, which grows by tokens over weight with each call
that is let in; the least is next. Who has asked for nothing for a while earns nothing by it.
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
    """The waiting calls of one submitter, and the virtual time at which the next of them starts."""

    calls: list[Waiting] = field(factory=list)
    start: float = 0.0


class Queue:
    """Waiting calls in the order of the policy. Those whose caller has gone are passed over."""

    def __init__(self, policy: Policy = FULL) -> None:
        self.policy = policy
        self.lanes: dict[str, Lane] = {}
        self.virtual = 0.0
        self.sequence = count().__next__

    def waiting(self, call: Call, now: float) -> Waiting:
        """A call in its place of the order, not yet in the queue."""
        admitted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        return Waiting(call, order_of(call, now, self.policy), self.sequence(), admitted)

    def push(self, waiting: Waiting) -> None:
        """Lines a call up."""
        submitter = self._submitter(waiting.call)
        if submitter not in self.lanes:  # forgets those that wait for nothing and have nothing to make up for
            lanes = self.lanes.items()
            self.lanes = {name: lane for name, lane in lanes if lane.calls or lane.start > self.virtual}
            self.lanes[submitter] = Lane()
        lane = self.lanes[submitter]
        if not lane.calls:
            lane.start = max(lane.start, self.virtual)
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

    def serve(self, waiting: Waiting) -> None:
        """Takes the first call out, and counts what it takes against its submitter."""
        lane = self.withdraw(waiting)
        self.virtual = max(self.virtual, lane.start)
        lane.start += max(1, waiting.call.tokens) / waiting.call.program.weight

    def withdraw(self, waiting: Waiting) -> Lane:
        """Takes the first call out without letting it in."""
        lane = self.lanes[self._submitter(waiting.call)]
        assert lane.calls[0] is waiting
        heappop(lane.calls)
        return lane

    def standing(self, waiting: Waiting) -> tuple[float, float, int]:
        """Where a call that is not in the queue would stand in it."""
        lane = self.lanes.get(self._submitter(waiting.call))
        start = self.virtual if lane is None else max(lane.start, self.virtual)
        return start, waiting.order, waiting.number

    def _submitter(self, call: Call) -> str:
        return call.program.submitter if self.policy.fair else ""

    def _sooner(self, lane: Lane, other: Lane) -> bool:
        if lane.start != other.start:
            return lane.start < other.start
        return lane.calls[0] < other.calls[0]
