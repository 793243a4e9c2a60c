"""The keeper of a run: writes to the journal what its steps do, and plays back what they did before.

Going on with a run is running it again. Where a step's end is in the journal it is given that end, in the
order in which the ends were kept, each one when nothing else is left to do; so races, votes and failures come
out as they did. When no kept end is asked for any more, the steps that were held back meanwhile begin in
earnest. Durable workflow engines replay in such a way (Burckhardt et al., "Durable Functions: Semantics for
Stateful Serverless", OOPSLA 2021).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from heapq import heappop, heappush
from typing import Any

from flowc.runtime.durable.calling import Calling
from flowc.runtime.durable.changing import changed_call
from flowc.runtime.durable.choosing import Choosing
from flowc.runtime.durable.codec import key_of, unpacked
from flowc.runtime.durable.past import Intent, Outcome
from flowc.runtime.durable.problems import diverged, in_doubt
from flowc.runtime.durable.timing import Timing
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.blocks import BODY, Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import placed
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.keeping import Part, Recalled, is_repeatable


class Keeping(Calling, Timing, Choosing):
    """Keeps one run, and plays back what is kept of it."""

    def attach(self, engine: Engine) -> None:
        """The run begins, or goes on, in this engine."""
        super().attach(engine)
        engine.keeper = self

    def meet(self, frame: Frame, instruction: Instruction) -> bool:
        """See `Keeper`."""
        if self.changes and self._change(frame, instruction):
            return True
        if not (self.replaying or self.past.outcomes or self.past.intents):
            return self.stopping is not None
        step = step_of(frame, instruction, self.root)
        outcome = self.past.outcomes.get(step)
        if outcome is not None and self._fits(outcome, frame, instruction):
            frame.scope.waiting += may_be_undone(frame, instruction)
            heappush(self.due, (outcome.order, self.number(), self._serve, (frame, instruction, outcome)))
            return True
        if outcome is not None and self._must_fit(instruction.operation):
            self.engine.fail_scope(self.engine.root, placed(diverged(outcome), instruction))
            return True
        if self.replaying:
            if step in self.past.intents:
                frame.scope.waiting += may_be_undone(frame, instruction)
            self.held_back.append((step, frame, instruction))
            return True
        doubtful = self._doubtful([step])
        if doubtful:
            self.engine.fail_scope(self.engine.root, placed(self._in_doubt(doubtful), instruction))
        return bool(doubtful) or self.stopping is not None

    def _fits(self, outcome: Outcome, frame: Frame, instruction: Instruction) -> bool:
        """Whether what is kept is of this very call; what ran ahead of an answer may have been another."""
        return outcome.inputs == "" or outcome.inputs == self._inputs(frame, instruction)

    def _must_fit(self, operation: Operation | None) -> bool:
        """Whether a kept call must not be made again with other inputs, unless somebody has said so."""
        changed = self.changes or self.past.migrations
        return operation is not None and not changed and not is_repeatable(operation.effects)

    def _change(self, frame: Frame, instruction: Instruction) -> bool:
        """Has a call made as a fork sets it, in place of the program's."""
        step = step_of(frame, instruction, self.root)
        given = self.changes.get(step)
        if given is None or step in self.changed:
            return False
        self.changed.add(step)
        changed = changed_call(instruction, given)
        self.engine.queue((instruction.priority, self.engine.sequence(), frame, changed))
        return True

    def _serve(self, frame: Frame, instruction: Instruction, outcome: Outcome) -> None:
        undone = may_be_undone(frame, instruction)
        frame.scope.waiting -= undone
        if frame.scope.cancelled and not undone:
            return
        engine = self.engine
        value = None if outcome.problem is not None else unpacked(outcome.value, self.blob)
        now = engine.clock()
        engine.log.append(("node.done", frame, instruction, now, now, None))
        if instruction.kind != BODY:
            engine.session.calls[instruction.node.op] += 1
        self.past.outcomes.pop(outcome.step, None)
        self.serving = True
        try:
            engine.queue(engine.ended(frame, instruction, value, outcome.problem))
        finally:
            self.serving = False

    def _doubtful(self, steps: Sequence[str]) -> list[Intent]:
        """Which of these steps were begun, may have happened, and must not be made again unasked."""
        found = (self.past.intents.get(step) for step in steps)
        return [intent for intent in found if intent is not None and not intent.repeatable]

    def _in_doubt(self, doubtful: Sequence[Intent]) -> Problem:
        """What stops the run for these. One that was given up with what had called it is asked for again by
        now, so it is kept that somebody has to say how it ended.
        """
        for intent in doubtful:
            if intent.step in self.past.cancelled:
                self.past.cancelled.discard(intent.step)
                self._append(["doubted", intent.step])
        return in_doubt(doubtful)

    def more(self) -> bool:
        """See `Keeper`."""
        while self.due:
            _, _, act, arguments = heappop(self.due)
            act(*arguments)
            if self.engine.ready:
                return True
        if self.replaying:
            self._go_live()
            return True
        self._park()
        return False

    def _go_live(self) -> None:
        self.replaying = False
        self._thaw()
        wanted = [each for each in self.held_back if not each[1].scope.cancelled]
        left = self._left_in_transactions()
        doubtful = self._doubtful([step for step, _, _ in (*wanted, *left)])
        held, self.held_back = self.held_back, []
        if doubtful:
            first = next(instruction for step, _, instruction in held if step == doubtful[0].step)
            self.engine.fail_scope(self.engine.root, placed(self._in_doubt(doubtful), first))
            return
        engine = self.engine
        for _, frame, instruction in wanted:
            engine.queue((instruction.priority, engine.sequence(), frame, instruction))
        for _, frame, instruction in left:
            engine.redo(frame, instruction)
        for start in self.timed:
            start()
        self.timed = []
        waiting, self.live = self.live, []
        for future in waiting:
            self.engine.waiting.soon(_release, future)

    def _left_in_transactions(self) -> list[tuple[str, Frame, Instruction]]:
        """Writes that were begun, and no end of them is known, in transactions that are to be taken back."""
        found = []
        for step, frame, instruction in self.held_back:
            if step in self.past.intents and may_be_undone(frame, instruction):
                frame.scope.waiting -= 1
                found += [(step, frame, instruction)] if frame.scope.cancelled else []
        return found

    async def recall(self, frame: Frame, instruction: Instruction) -> Recalled | None:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root)
        return await self._recall(step, lambda outcome: self._fits(outcome, frame, instruction))

    async def _recall(
        self, step: str, fits: Callable[[Outcome], bool], operation: Operation | None = None
    ) -> Recalled | None:
        while True:
            with self.engine.lock:
                outcome = self.past.outcomes.get(step)
                if outcome is not None and fits(outcome):
                    del self.past.outcomes[step]
                    value = None if outcome.problem is not None else unpacked(outcome.value, self.blob)
                    return Recalled(value, outcome.problem)
                if outcome is not None and self._must_fit(operation):
                    raise FlowError(diverged(outcome))
                if not self.replaying:
                    doubtful = self._doubtful([step])
                    if doubtful:
                        raise FlowError(self._in_doubt(doubtful))
                    return None
                future: asyncio.Future[None] = self.engine.loop.create_future()
                self.live.append(future)
            await future

    async def perform(
        self, frame: Frame, instruction: Instruction, part: Part, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """See `Keeper`."""
        step, operation = step_of(frame, instruction, self.root) + part.inner, part.operation
        key = key_of(operation.name, part.inputs)
        known = await self._recall(step, lambda outcome: outcome.inputs in ("", key), operation)
        if known is not None:
            return known.result()
        try:
            value = await work()
        except FlowError as error:
            with self.engine.lock:
                self._ended(step, operation.name, key, None, error.problem)
            raise
        with self.engine.lock:
            self._ended(step, operation.name, key, value, None)
        return value


def may_be_undone(frame: Frame, instruction: Instruction) -> bool:
    """Whether a transaction has to know how a call ends before it can take back what was written."""
    return frame.scope.done is not None and bool(instruction.undos)


def _release(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
