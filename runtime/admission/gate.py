"""The entrance to one model: at most so much a minute and at once, in the order of the policy."""

import asyncio
import math
from typing import Any

from attrs import define

from flowc.runtime.admission.calls import FULL, Call, Policy
from flowc.runtime.admission.pace import Pace
from flowc.runtime.admission.queueing import Charge, Queue, Waiting
from flowc.runtime.admission.quotas import Told
from flowc.runtime.admission.residency import Residency
from flowc.runtime.admission.windows import Taken, Window
from flowc.runtime.providers.base import Allowance, ModelSettings


@define(eq=False)
class Place:
    """A call's place in flight."""

    gate: "Gate"
    call: Call
    taken: Taken | None
    begun: float
    told: tuple[Taken | None, Taken | None]
    charge: Charge | None = None
    left: bool = False
    kept: "asyncio.Task[Any] | None" = None

    def settle(self, prompt: int, answer: int, shared: int = 0) -> None:
        """The call used so many tokens, not all it might have: the rest is given back to the minute, and its
        submitter is charged what was used. `shared` of the prompt are in the cache for all programs.
        """
        gate = self.gate
        self.owe(prompt + answer)
        gate.tokens.settle(self.taken, prompt + answer)
        gate.told_tokens.settle(self.told[1], prompt + answer)
        gate.pace.answered()
        gate.longest = max(gate.longest, answer)
        if gate.residency is not None:
            gate.residency.settle(self.call.program.name, prompt + answer - shared)

    def owe(self, tokens: int | None) -> None:
        """The submitter is charged so many tokens, once; None where it is not known how many they are."""
        if self.charge is not None:
            self.charge.settle(tokens)

    def refuse(self, after: float | None) -> None:
        """The endpoint takes no more now; it asked to wait `after` seconds."""
        gate = self.gate
        self.owe(0)
        gate.tokens.settle(self.taken, 0)
        gate.told_tokens.settle(self.told[1], 0)
        gate.pace.refused(asyncio.get_running_loop().time(), self.begun, gate.in_flight, after)

    def hear(self, said: Allowance) -> None:
        """The endpoint answered the call with what may still be asked of it."""
        gate, (request, tokens) = self.gate, self.told
        now = asyncio.get_running_loop().time()
        gate.unlimited = False
        if said.requests is not None:
            gate.told_requests.hear(said.requests, now, request, gate.in_flight - 1)
        if said.tokens is not None:
            gate.told_tokens.hear(said.tokens, now, tokens, gate.held - self.call.tokens)

    def leave(self) -> None:
        """Gives the place back, once."""
        if not self.left:
            self.left = True
            self.gate.leave(self)

    def leave_after(self, task: "asyncio.Task[Any]") -> None:
        """The call goes on in this task, though nobody waits for it any more, and keeps its place. It may go
        on from one task to another.
        """
        if not self.left or self.kept is not None:
            self.left, self.kept = True, task
            task.add_done_callback(self._leave_unheard)

    def _leave_unheard(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled():
            task.exception()  # nobody else asks how it ended
        if task is self.kept:
            self.kept = None
            self.gate.leave(self)


class Gate:
    """The entrance to one model, used on one loop, by whose clock it goes. It holds no loop itself, so that
    ended ones can be collected.

    A call passes two lines: its program must have a place in the model's cache, where that is finite; then it
    waits for its turn. `longest` is the longest answer so far, in tokens; `held` the most that the calls in
    flight may use.
    """

    def __init__(self, settings: ModelSettings, policy: Policy = FULL) -> None:
        self.most = settings.max_in_flight
        self.requests = Window(settings.requests_per_minute)
        self.tokens = Window(settings.tokens_per_minute)
        self.told_requests, self.told_tokens = Told(), Told()
        self.pace = Pace()
        self.queue = Queue(policy)
        self.residency: Residency | None = None
        if settings.kv_tokens is not None and policy.residency:
            self.residency = Residency(settings.kv_tokens)
        self.outside: dict[str, list[Waiting]] = {}
        self.in_flight = 0
        self.held = 0
        self.longest = 0
        self.timer: asyncio.TimerHandle | None = None
        limits = self.most, settings.requests_per_minute, settings.tokens_per_minute, self.residency
        self.unlimited = all(limit is None for limit in limits)

    async def enter(self, call: Call) -> Place:
        """Waits for a place."""
        now = asyncio.get_running_loop().time()
        if self.unlimited and self.pace.most is None:
            return self._take(call, now, None)
        waiting = self.queue.waiting(call, now)
        if self.residency is None:
            self.queue.push(waiting)
        else:
            self.outside.setdefault(call.program.name, []).append(waiting)
        self._admit()
        try:
            place: Place = await waiting.admitted
            return place
        except asyncio.CancelledError:
            if waiting.admitted.done() and not waiting.admitted.cancelled():
                place = waiting.admitted.result()
                place.owe(0)
                place.leave()
            raise

    def enter_now(self, call: Call) -> Place | None:
        """A place, if one is free and nobody waits for it."""
        now = asyncio.get_running_loop().time()
        if self.queue.first() is not None or self._full() or self._delay(call, now) > 0:
            return None
        if self.residency is not None and call.program.name not in self.residency.inside():
            return None
        return self._take(call, now, self.queue.begin(call))

    def ended(self, program: str) -> None:
        """A program has ended: its place in the cache is free, and none of its calls waits any more."""
        if self.residency is not None:
            self.residency.end(program)
        self._admit()

    def leave(self, place: Place) -> None:
        """Gives a place in flight back. Who has not said what the call used is charged what was expected."""
        call = place.call
        place.owe(None)
        self.in_flight -= 1
        self.held -= call.tokens
        if self.residency is not None:
            self.residency.leave(call.program.name, asyncio.get_running_loop().time())
        self._admit()

    def _take(self, call: Call, now: float, charge: Charge | None) -> Place:
        self.in_flight += 1
        self.held += call.tokens
        self.requests.take(now, 1)
        if self.residency is not None:
            self.residency.begin(call.program.name, call.context, now)
        told = self.told_requests.take(now, 1), self.told_tokens.take(now, call.tokens)
        return Place(self, call, self.tokens.take(now, call.tokens), now, told, charge)

    def _full(self) -> bool:
        most = self.pace.most
        return (self.most is not None and self.in_flight >= self.most) or (
            most is not None and self.in_flight >= int(most)
        )

    def _delay(self, call: Call, now: float) -> float:
        amounts = ((self.requests, 1), (self.told_requests, 1))
        tokens = ((self.tokens, call.tokens), (self.told_tokens, call.tokens))
        return max(self.pace.until - now, *(limit.delay(now, amount) for limit, amount in amounts + tokens))

    def _admit(self) -> None:
        """Lets in whom it may."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        inside = self._programs()
        while (waiting := self.queue.first()) is not None:
            call = waiting.call
            if inside is not None and call.program.name not in inside:
                self.queue.withdraw(waiting)
                self.outside.setdefault(call.program.name, []).append(waiting)
                continue
            if self._full():
                return
            now = asyncio.get_running_loop().time()
            delay = self._delay(call, now)
            if delay > 0:
                self._look_again(now + delay)
                return
            self.queue.withdraw(waiting)
            waiting.admitted.set_result(self._take(call, now, self.queue.begin(call)))
            if self.residency is not None:
                inside = self.residency.inside()

    def _programs(self) -> set[str] | None:
        """The programs that are inside, after letting in whose turn it is; None where all are."""
        residency = self.residency
        if residency is None or not self.outside:
            return None if residency is None else residency.inside()
        residency.expire(asyncio.get_running_loop().time())
        inside = residency.inside()
        for name in [name for name in self.outside if name in inside]:
            self._line_up(name)
        while (new := self._next_program(residency)) is not None:
            if not residency.admit(new, max(waiting.call.context for waiting in self.outside[new])):
                break
            self._line_up(new)
        if self.outside and (expiry := residency.next_expiry()) < math.inf:
            self._look_again(expiry)
        return residency.inside()

    def _next_program(self, residency: Residency) -> str | None:
        """The new program whose turn it is."""
        found: str | None = None
        least: tuple[float, float, int] | None = None
        for name, calls in list(self.outside.items()):
            calls[:] = [waiting for waiting in calls if not waiting.admitted.done()]
            if not calls:
                del self.outside[name]
            elif name not in residency.residents:
                standing = min(map(self.queue.standing, calls))
                if least is None or standing < least:
                    found, least = name, standing
        return found

    def _line_up(self, name: str) -> None:
        for waiting in self.outside.pop(name):
            self.queue.push(waiting)

    def _look_again(self, time: float) -> None:
        """Sets the timer to a time, unless it stands at an earlier one."""
        if self.timer is not None:
            if self.timer.when() <= time:
                return
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_at(time, self._admit)
