"""A run made once more over what is kept of it: nothing outside is touched, and nothing is written.

What packs values and what computes is made again, and so are pure tools; every other step is given the end
that is kept. The replay agrees with the run if every step is asked for with the inputs that it had, every
pure tool gives what it gave, and the run comes to what it came to. A step that does not agree is told, and
given what is kept all the same, so that it is told once and not again by every step that reads it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from attrs import frozen

from flowc.runtime.durable.codec import packed, unpacked
from flowc.runtime.durable.keeper import Keeping, may_be_undone
from flowc.runtime.durable.past import Outcome, Past
from flowc.runtime.errors import WAITING, Problem
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.blocks import BODY, Instruction
from flowc.runtime.scheduler.current import current_step
from flowc.runtime.scheduler.failure import problem_of
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.given_up import within
from flowc.runtime.scheduler.keeping import Recalled
from flowc.runtime.scheduler.streaming import STREAM
from flowc.runtime.scheduler.tools import is_async

FINAL = frozenset({"ok", "failed", "over-budget"})
"""The statuses in which a run has come to its end."""

AT_REST = Problem(WAITING, "the replay has come to where the run stands")
"""Ends a replay: whoever goes on with the run begins here."""

QUIET = 3
"""Turns of the loop in which nothing was asked for, after which what goes on there has come to rest."""


@frozen
class Difference:
    """Where a replay does not agree with what is kept: a step, its operation, what differs (`operation`,
    `inputs`, `result`, `type`, `prompt`, `model`, `gone` or `end`), and that in words. `wrote` says that it
    was a call that writes.
    """

    step: str
    operation: str
    what: str
    told: str
    wrote: bool = False


class Unwritten:
    """In place of a journal's writer: a replay writes nothing."""

    def append(self, *_: Any, **__: Any) -> int:
        """Writes nothing."""
        return 0

    def wait(self, position: int, *, sync: bool) -> None:
        """Nothing is waited for."""

    def durable(self, position: int, *, sync: bool) -> "asyncio.Future[None]":
        """A future that is done."""
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


Pure = tuple[Callable[..., Any], Callable[[Any], Any]]
"""The function of a pure tool, and what makes its result a value."""

Check = Callable[[Frame, Instruction, Outcome, Any], Sequence[Difference]]
"""What else to compare where a step is given its end: the call, what is kept of it, and the value of that."""


class Replaying(Keeping):
    """Replays a run from its `past`, read whole. `pure` has the tools that are made again."""

    def __init__(
        self,
        past: Past,
        blob: Callable[[bytes], bytes],
        pure: Mapping[str, Pure],
        check: Check | None = None,
    ) -> None:
        super().__init__(past.run, past, Unwritten(), blob, lambda: past.last)
        self.replaying = True
        self.pure = pure
        self.check = check
        self.differences: list[Difference] = []
        self.asked: set[str] = set()
        self.parked: dict[str, tuple[Frame, Instruction]] = {}
        self.released: set[str] = set()
        self.making = self.made = self.quiet = 0
        self.looking = False
        self.status = ""
        self.value: Any = None
        self.problem: Problem | None = None

    def _append_text(self, *_: Any, **__: Any) -> int:
        return 0

    async def finish(self, status: str, value: Any, problem: Problem | None) -> None:
        """The replay has ended so: the run with its program has, or `AT_REST`."""
        self.status, self.value, self.problem = status, value, problem

    def ended(self, frame: Frame, instruction: Instruction, value: Any, problem: Problem | None) -> None:
        """Nothing is kept."""

    # ---- steps

    def meet(self, frame: Frame, instruction: Instruction) -> bool:
        """See `Keeper`."""
        if self.changes and self._change(frame, instruction):
            return True
        step = step_of(frame, instruction, self.root)
        if step in self.released:
            return False
        outcome = self.past.outcomes.get(step)
        if outcome is None or self._is_guess(frame, instruction, outcome):
            self.parked[step] = frame, instruction
            return True
        self.asked.add(step)
        self.quiet = 0
        frame.scope.waiting += may_be_undone(frame, instruction)
        heappush(self.due, (outcome.order, self.number(), self._give, (frame, instruction, outcome)))
        return True

    def is_asked_for(self, step: str) -> bool:
        """Whether the program has asked for a step, as far as the replay came."""
        return step in self.asked or step in self.parked or step in self.released

    def _is_guess(self, frame: Frame, instruction: Instruction, outcome: Outcome) -> bool:
        """Whether what is kept is of a call that ran ahead of an answer, with what it was not to be called
        with.
        """
        unfinished = self.past.status not in FINAL
        return unfinished and not self._fits(outcome, frame, instruction) and _may_run_ahead(frame)

    def _give(self, frame: Frame, instruction: Instruction, outcome: Outcome) -> None:
        """The turn of a step has come: it is given its end; if it is pure, it is made first, and compared."""
        if frame.scope.cancelled:
            self._serve(frame, instruction, outcome)
            return
        self._look_at(frame, instruction, outcome)
        operation = instruction.operation
        if operation is not None and operation.name in self.pure and outcome.step not in self.past.told:
            self._make(frame, instruction, outcome, self.pure[operation.name])
        else:
            self._serve(frame, instruction, outcome)

    def _look_at(self, frame: Frame, instruction: Instruction, outcome: Outcome) -> None:
        """Compares a call with what is kept of it."""
        name = instruction.node.name
        if outcome.operation not in (name, outcome.step):
            self._differs(
                outcome, "operation", f"was a call of `{outcome.operation}`, and is one of `{name}`"
            )
        elif not self._fits(outcome, frame, instruction):
            self._differs(outcome, "inputs", "is called with other inputs than it was")
        if self.check is not None:
            value = None if outcome.problem is not None else unpacked(outcome.value, self.blob)
            self.differences += self.check(frame, instruction, outcome, value)

    def _differs(self, outcome: Outcome, what: str, told: str) -> None:
        self.differences.append(Difference(outcome.step, outcome.operation, what, told))

    def _make(self, frame: Frame, instruction: Instruction, outcome: Outcome, pure: Pure) -> None:
        """Calls a pure tool on a thread of its own. Nothing else is given meanwhile."""
        engine = self.engine
        function, convert = pure
        arguments = self._values(frame, instruction)
        self.making += 1

        def work() -> None:
            value, problem = None, None
            try:
                with current_step(engine.session, frame, instruction):
                    value = convert(within(partial(_call, function, arguments)))
            except BaseException as error:
                problem = problem_of(error, instruction)
            with engine.held():
                self.making -= 1
                self.made += 1
                self._compare(outcome, value, problem)
                self._serve(frame, instruction, outcome)
                engine.wake()

        engine.workers.submit(work)

    def _compare(self, outcome: Outcome, value: Any, problem: Problem | None) -> None:
        kept = outcome.problem
        if kept is None and problem is None:
            if packed(value, []) != outcome.value:
                self._differs(outcome, "result", "is pure, and gives another result than it did")
        elif kept is None or problem is None:
            before = "succeeded" if kept is None else f"failed with {kept.code}"
            now = "succeeds" if problem is None else f"fails: {problem.message} ({problem.why})"
            self._differs(outcome, "result", f"is pure and {before}; now it {now}")
        elif (kept.code, kept.why) != (problem.code, problem.why):
            self._differs(outcome, "result", f"failed with: {kept.why}; and now with: {problem.why}")

    async def recall(self, frame: Frame, instruction: Instruction) -> Recalled | None:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root)
        with self.engine.lock:
            outcome = self.past.outcomes.get(step)
            if outcome is not None:
                self._look_at(frame, instruction, outcome)
        return await self._recall(step, lambda _: True)

    async def _recall(
        self, step: str, fits: Callable[[Outcome], bool], operation: Operation | None = None
    ) -> Recalled | None:
        """The end of a step that does not pass through the engine; never, where none is kept."""
        with self.engine.lock:
            self.quiet = 0
            outcome = self.past.outcomes.pop(step, None)
            if outcome is not None:
                self.asked.add(step)
                if not fits(outcome):
                    self._differs(outcome, "inputs", "is called with other inputs than it was")
                value = None if outcome.problem is not None else unpacked(outcome.value, self.blob)
                return Recalled(value, outcome.problem)
            self.released.add(step)  # asked for, as those that are parked
        never: asyncio.Future[Recalled] = self.engine.loop.create_future()
        return await never

    # ---- the end

    def waits(self) -> bool:
        """See `Keeper`."""
        return True

    def more(self) -> bool:
        """See `Keeper`."""
        if self.engine.root.cancelled:
            return False
        while self.due and not self.making:
            _, _, act, arguments = heappop(self.due)
            act(*arguments)
            if self.engine.ready:
                return True
        if not self.making and not self._runs():
            if self._let_refused_go():
                return True
            if not self.engine.under_way and not self.engine.undoing:
                self._stop()
            elif not self.looking:
                self.looking = True
                self.engine.waiting.later(0.0, self._look)
        return False

    def _runs(self) -> bool:
        """Whether a body runs that ends by itself."""
        return any(scope.running for scope in self.engine.root.tree())

    def _let_refused_go(self) -> bool:
        """A call that a budget refuses leaves no record. Those that it would refuse now may find that out."""
        engine = self.engine
        for step, (frame, instruction) in [*self.parked.items()]:
            if frame.scope.cancelled:
                del self.parked[step]
            elif instruction.kind == BODY and _is_refused(frame):
                del self.parked[step]
                self.released.add(step)
                engine.queue((instruction.priority, engine.sequence(), frame, instruction))
        return bool(engine.ready)

    def _look(self) -> None:
        """Whether what goes on by itself on the loop, batches and transactions, has come to rest."""
        self.looking = False
        self.quiet += 1
        if self.engine.ready or self.due or self.making or self._runs() or self.engine.root.cancelled:
            return
        if self.quiet > QUIET:
            self._stop()
        else:
            self.looking = True
            self.engine.waiting.later(0.0, self._look)

    def _stop(self) -> None:
        self.engine.fail_scope(self.engine.root, AT_REST)


def _is_refused(frame: Frame) -> bool:
    """Whether a budget of calls around a frame has none left."""
    limits = [(budget.limits.calls, budget.calls) for budget in frame.scope.budgets]
    return any(most is not None and calls >= most for most, calls in limits)


def _may_run_ahead(frame: Frame) -> bool:
    """Whether calls in a frame may have begun with parts of an answer."""
    at: Frame | None = frame
    while at is not None:
        if any(each.node.settings.get(STREAM) is True for each in at.block.instructions):
            return True
        at = at.parent
    return False


def _call(function: Callable[..., Any], arguments: list[Any]) -> Any:
    return asyncio.run(function(*arguments)) if is_async(function) else function(*arguments)
