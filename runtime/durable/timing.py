"""Times that are kept, and waiting for what is not here: timers, deadlines, people, sleep.

A time goes on while no process runs. Where nothing else is left to do, the process's part of the run ends.
"""

import asyncio
from collections.abc import Callable
from heapq import heappush
from typing import Any

from flowc.runtime.durable.kept import Absent, Kept
from flowc.runtime.durable.problems import waiting_for
from flowc.runtime.people import Question
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.failure import placed
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.types import text

LONG_WAIT = 2.0
"""Seconds of a timer for which a process waits, although nothing else is left to do."""


class Timing(Kept):
    """Keeps times."""

    def later(
        self, frame: Frame, instruction: Instruction, name: str, delay: float, act: Callable[[], None]
    ) -> float:
        """See `Keeper`."""
        return self._timer(f"{step_of(frame, instruction, self.root)}!{name}", delay, act, counts=True)

    def deadline(
        self,
        frame: Frame,
        instruction: Instruction,
        seconds: float,
        act: Callable[[], None],
        over: Callable[[], bool],
    ) -> float:
        """See `Keeper`."""
        key = f"{step_of(frame, instruction, self.root)}!deadline"
        left = self._left(key, seconds)
        return self._timer(key, left, act, over, counts=self.patient or left <= LONG_WAIT)

    def _left(self, key: str, seconds: float) -> float:
        """The seconds until a time that is kept, from now on where it is new, or further off than it can be:
        then a clock has been put back.
        """
        now, until = self.clock(), self.past.until.get(key)
        if until is None or until - now > seconds:
            until = self.past.until[key] = now + seconds
            self._append(["until", key, until])
        return min(max(0.0, until - now), seconds)

    def _timer(
        self,
        key: str,
        delay: float,
        act: Callable[[], None],
        over: Callable[[], bool] = lambda: False,
        *,
        counts: bool,
    ) -> float:
        def fire() -> None:
            self.timers -= counts
            if over():  # kept as one that went off, it would end the block before its time the next time
                return
            self._append(["fired", key])
            act()

        def start() -> None:
            self.engine.waiting.later(delay, fire)

        order = self.past.fired.get(key)
        if order is not None:
            heappush(self.due, (order, self.number(), act, ()))
            self.engine.wake()  # what has ended meanwhile may have been all that was going on
            return 0.0 if counts else delay
        self.timers += counts
        if self.replaying:
            self.timed.append(start)
        else:
            start()
        return delay

    def expires(self, frame: Frame, instruction: Instruction) -> bool:
        """See `Keeper`."""
        return (
            bool(self.past.fired) and f"{step_of(frame, instruction, self.root)}!deadline" in self.past.fired
        )

    async def ask(self, frame: Frame, instruction: Instruction, question: Question) -> Any:
        """See `Keeper`."""
        step = question.step
        with self.engine.guarded():
            if step not in self.past.asked:
                told = {
                    "operation": question.operation,
                    "prompt": question.prompt,
                    "type": text(question.result),
                    "choices": list(question.choices()),
                    "inputs": self._inputs(frame, instruction),
                }
                self._append(["asked", self._now(), step, told])
            self.absent[step] = Absent(question, frame, instruction)
        try:
            await self.engine.loop.create_future()  # for ever: it ends with the process, or is cancelled
        finally:
            self.absent.pop(step, None)
            if not self.engine.root.cancelled:  # another arm has won, or its time is up
                with self.engine.held():
                    self._append(["cancelled", self._now(), step, None])

    async def sleep(self, frame: Frame, instruction: Instruction, seconds: float) -> None:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root)
        with self.engine.guarded():
            left = self._left(f"{step}!sleep", seconds)
            if left > LONG_WAIT and not self.patient:
                self.absent[step] = Absent(None, frame, instruction)
        try:
            await asyncio.sleep(left)
        finally:
            self.absent.pop(step, None)

    def _park(self) -> None:
        """Ends the process's part of a run in which only those who are not here are waited for."""
        engine = self.engine
        idle = not engine.ready and not engine.workers.bodies and not self.timers
        if idle and self.absent and engine.under_way == len(self.absent):
            if any(each.frame.scope.cancelled for each in self.absent.values()):
                return  # its time is up, and it will end
            step, first = next(iter(self.absent.items()))
            problem = waiting_for(step, first.question, len(self.absent))
            engine.fail_scope(engine.root, placed(problem, first.instruction))
