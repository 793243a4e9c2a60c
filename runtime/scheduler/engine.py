"""The engine of one run: what is ready, what has ended, what failed, and who must hear of it.

One lock guards all state. Who takes the ready node of the highest rank goes on with what that made ready,
so a chain of quick nodes costs no hand-over. Where something ended on the loop, that is the loop, as long as
nothing can block: waiting, control flow, and what packs values. With the first body of a tool or a kernel a
runner thread takes over. Bodies known to be slow get threads of their own; nodes that wait for the world are
posted to the loop. Control flow happens under the lock.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from heapq import heappush
from itertools import count
from typing import Any

from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.limits import charge_memory
from flowc.runtime.scheduler.blocks import WAIT, Block, Instruction
from flowc.runtime.scheduler.failure import (
    STOPPED,
    UNCATCHABLE,
    UNCERTAIN,
    cancelled_from_outside,
    placed,
    problem_of,
)
from flowc.runtime.scheduler.frames import Frame, Scope, Written
from flowc.runtime.scheduler.holding import Held, Turn
from flowc.runtime.scheduler.keeping import Keeper
from flowc.runtime.scheduler.promised import promised
from flowc.runtime.scheduler.session import Session
from flowc.runtime.scheduler.waiting import Waiting
from flowc.runtime.scheduler.workers import Workers, is_harmless
from flowc.runtime.values import size_of

Entry = tuple[str, Frame, Instruction, float, float, Any]
"""A line of the log: kind, frame, instruction, start and end on the run's clock, and what else there is
to say; of control flow, how often the inside ran or which region did.
"""

LONG = 8_192
"""Entries of the log of a durable run: of more the older ones are let go, and their sums kept."""


class Engine:
    """Runs one block to its end. `clock` gives seconds; `loop` is where waiting happens. In virtual time a
    run without threads has its bodies run on the loop, one after the other: so it is exactly the same again.
    """

    def __init__(
        self,
        session: Session,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        *,
        threads: int,
        virtual: bool,
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.virtual = virtual
        self.inline = virtual and not threads
        self.lock = threading.Lock()
        self.ready: list[tuple[float, int, Frame, Instruction]] = []
        self.sequence = count().__next__
        self.log: list[Entry] = []
        self.fold: Callable[[], None] = _nothing
        self._held = Held(self.lock, self.broke)
        self._turn = Turn(self.lock, self.broke, self._end_turn)
        self.waiting = Waiting(loop, self._turn, self._perform, self._never_began)
        self.go_on: Callable[[], None] = _nothing
        self.complete: deque[Frame] = deque()
        self.completing = False
        self.observed = False
        self.keeper: Keeper | None = None
        self.undoing: dict[Scope, Callable[[], None]] = {}
        self.under_way = 0
        self.intended: list[tuple[Frame, Instruction]] = []
        self.safe: deque[tuple[Frame, Instruction]] = deque()
        self.position = 0
        self.outcome: asyncio.Future[Problem | list[Any]] = loop.create_future()
        self.session = session
        self.root = Scope(None, self._run_failed)
        self.workers = Workers(self.lock, self._at_rest, threads)

    # ---- the start and the end

    def open(self, block: Block, arguments: list[Any]) -> None:
        """Makes the first nodes of `block` ready, with these values of its parameters."""
        with self.guarded():
            frame = Frame(block, self.root, self._run_done, None, None, -1)
            for slot, value in zip(block.parameters, arguments, strict=True):
                frame.slots[slot] = value
            self.enter(frame)

    def _run_done(self, frame: Frame) -> None:
        self._conclude(frame.results())
        frame.close()

    def _run_failed(self, problem: Problem) -> None:
        self._conclude(problem)

    def _conclude(self, outcome: Problem | list[Any] | BaseException) -> None:
        self.workers.stop()
        for scope in self.root.tree():
            scope.cancelled = True
        self.waiting.soon(self._settle_outcome, outcome)

    def _settle_outcome(self, outcome: Problem | list[Any] | BaseException) -> None:
        if self.outcome.done():
            return
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)

    def cancel(self, problem: Problem) -> None:
        """Ends the run from outside: waiting stops, what runs on threads is given up."""
        with self.guarded():
            if self.keeper is None or self.keeper.may_stop(problem):
                self.fail_scope(self.root, problem, abandon=True)

    def held(self) -> Held:
        """Holds the lock. Should the engine itself break inside, the run ends and says so instead of
        hanging.
        """
        return self._held

    def guarded(self) -> Turn:
        """Holds the lock as `held` does, on the loop, which then goes on with what became ready."""
        return self._turn

    def _end_turn(self) -> None:
        self.go_on()
        while self.waiting.outbox:  # to drop what was posted in a scope that failed since may end the scope
            self.waiting.start_posted()
            self.go_on()

    def broke(self, error: BaseException) -> None:
        """Ends the run, under the lock, for an error of the engine itself: no problem of the program's."""
        if not self.outcome.done():
            self._conclude(error)

    # ---- going on; everything below runs under the lock

    def enter(self, frame: Frame) -> None:
        """Makes the first nodes of a new frame ready; a frame without nodes is done at once."""
        if not frame.remaining:
            frame.done(frame)
            return
        ready, sequence = self.ready, self.sequence
        for instruction in frame.block.initial:
            heappush(ready, (instruction.priority, sequence(), frame, instruction))
        self.wake()

    def finish(self, frame: Frame, instruction: Instruction, values: list[Any]) -> None:
        """Ends a node that is not a body: writes its outputs and readies what waited for it."""
        if frame.scope.cancelled:
            return
        slots = frame.slots
        for slot, value in zip(instruction.outputs, values, strict=True):
            slots[slot] = value
        self.queue(self.release(frame, instruction))

    def release(self, frame: Frame, instruction: Instruction) -> tuple[float, int, Frame, Instruction] | None:
        """Readies the nodes that waited for this one only, and drops the arrays that it was the last to read;
        returns one of the nodes instead of queueing it."""
        pending = frame.pending
        following = None
        for index, other in instruction.dependents:
            left = pending[index] - 1
            pending[index] = left
            if not left:
                if following is None:
                    following = (other.priority, self.sequence(), frame, other)
                else:
                    heappush(self.ready, (other.priority, self.sequence(), frame, other))
                    self.wake()
        for index, slot in instruction.lets_go:
            pending[index] -= 1
            if not pending[index]:
                frame.slots[slot] = None
        frame.remaining -= 1
        if not frame.remaining:
            self.close(frame)
        return following

    def close(self, frame: Frame) -> None:
        """Tells the owner of a frame that its last node has ended. That may end the owner's frame in turn,
        and so on outwards: one after the other, since calls may be nested deeper than the stack is.
        """
        if len(self.log) > LONG:
            self.fold()
        if self.completing:
            self.complete.append(frame)
            return
        self.completing = True
        try:
            frame.done(frame)
            while self.complete:
                frame = self.complete.popleft()
                frame.done(frame)
        finally:
            self.completing = False

    def dispatch(self, frame: Frame, instruction: Instruction) -> None:
        """Starts a node that is no body: control flow here and now, waiting on the loop."""
        if instruction.kind == WAIT:
            if self.keeper is not None and instruction.kept and self.keeper.meet(frame, instruction):
                return
            self.under_way += 1
            self.waiting.post(frame, instruction)
            return
        try:
            instruction.act(self, frame, instruction)
        except Exception as error:
            self.fail(frame, instruction, problem_of(error, instruction))

    def redo(self, frame: Frame, instruction: Instruction) -> None:
        """Makes a call again that an earlier process had begun in a transaction which is cancelled by now: it
        can be taken back once it has ended.
        """
        self.under_way += 1
        self.waiting.post(frame, instruction, begun=True)

    # ---- failing and cancelling

    def fail(self, frame: Frame, instruction: Instruction, problem: Problem) -> None:
        """A node failed: its scope ends, and whoever owns the scope hears of it once all has come to rest."""
        self.note("node.failed", frame, instruction, problem)
        scope = self.root if problem.code in UNCATCHABLE else frame.scope
        self.fail_scope(scope, placed(problem, instruction))

    def fail_scope(self, scope: Scope, problem: Problem, *, abandon: bool = False) -> None:
        """Cancels everything in `scope` for this reason. With `abandon`, threads are not waited for."""
        if scope.cancelled:
            if scope is self.root and self.undoing and problem.code in STOPPED and self.keeper is not None:
                scope.problem = problem  # a run that fails is stopped before all was taken back
                self._suspend_undoing()
                self.settle(scope)
            return
        scope.problem = problem
        self.stop_scope(scope, abandon=abandon)
        self.settle(scope)

    def stop_scope(self, scope: Scope, *, abandon: bool) -> None:
        """Cancels everything in `scope` without calling it a failure: the losers of a race."""
        tasks: list[asyncio.Task[None]] = []
        for inner in scope.tree():
            if inner.stopped is not None and not inner.cancelled:
                inner.stopped()
            inner.cancelled = True
            inner.abandoned = inner.abandoned or abandon
            tasks.extend(inner.tasks)
        if tasks:
            self.waiting.soon(_cancel_all, tasks)
        self.workers.abandon()
        if scope is self.root:
            self._suspend_undoing()

    def _suspend_undoing(self) -> None:
        for suspend in [*self.undoing.values()]:
            suspend()

    def settle(self, scope: Scope) -> None:
        """Reports the failed scopes from here outwards that have come to rest."""
        at: Scope | None = scope
        while at is not None:
            outer = at.parent
            if at.cancelled and not at.reported and at.at_rest():
                at.reported = True
                at.leave()
                if at.problem is not None:
                    at.failed(at.problem)
            at = outer

    def queue(self, item: tuple[float, int, Frame, Instruction] | None) -> None:
        """Puts a node that became ready among the others."""
        if item is not None:
            heappush(self.ready, item)
            self.wake()

    def wake(self) -> None:
        """Something is ready. Where no thread goes on with it the loop does, which is told unless it is its
        turn.
        """
        if self.workers.asleep:
            self.waiting.call()

    def _at_rest(self) -> None:
        """No thread has anything to do: a loop that waits for that, as the virtual one does, may look
        again; and a keeper may have more.
        """
        if self.keeper is not None and self.keeper.waits() and self.workers.asleep:
            self.waiting.call()
        elif self.virtual:
            self.loop.call_soon_threadsafe(_nothing)

    def ended(
        self, frame: Frame, instruction: Instruction, value: object, problem: Problem | None
    ) -> tuple[float, int, Frame, Instruction] | None:
        """A body has ended, in whatever way; what it made ready is returned as `release` does."""
        scope = frame.scope
        whole = scope.done is not None and bool(instruction.undos)  # a transaction lets its writes end
        if self.keeper is not None and instruction.kept:
            if not whole and (scope.abandoned or (scope.cancelled and is_harmless(instruction))):
                self.keeper.cut(frame, instruction)  # it was broken off, whatever it says
            else:
                self.keeper.ended(frame, instruction, value, problem)
        if whole and scope.done is not None and (problem is None or problem.code in UNCERTAIN):
            inputs = [frame.slots[slot] for slot in instruction.inputs]
            scope.done.append(Written(frame, instruction, inputs, value, problem))
        if scope.cancelled:
            self.drop(frame, instruction)
            return None
        if problem is None and not scope.plain:
            try:
                charge_memory(scope.budgets, size_of(value), instruction.node.name)
            except FlowError as error:
                problem = error.problem
        if problem is not None:
            self.fail(frame, instruction, problem)
            return None
        if self.observed and instruction.effectful:
            self.note("effect.done", frame, instruction, value)
        if isinstance(value, tuple) and len(instruction.outputs) > 1:  # a kernel with several results
            for slot, part in zip(instruction.outputs, value, strict=True):
                frame.slots[slot] = part
        else:
            frame.slots[instruction.output] = value
        return self.release(frame, instruction)

    def drop(self, frame: Frame, instruction: Instruction) -> None:
        """A body has ended in a scope that was cancelled: nobody reads what it gave."""
        self.note("node.dropped", frame, instruction, None)
        self.settle(frame.scope)

    # ---- the log

    def note(self, kind: str, frame: Frame, instruction: Instruction, more: Any) -> None:
        """Writes a line of the log about something that takes no time."""
        now = self.clock()
        self.log.append((kind, frame, instruction, now, now, more))

    def intend(self, frame: Frame, instruction: Instruction, attempt: int) -> None:
        """Notes, before it happens, that an effect is about to be tried."""
        if self.observed:
            values = [frame.slots[slot] for slot in instruction.inputs]
            self.note("effect.intent", frame, instruction, (attempt, values))

    # ---- waiting

    def _never_began(self, frame: Frame) -> None:
        self.under_way -= 1
        frame.scope.waiting -= 1
        self.settle(frame.scope)

    async def _perform(self, frame: Frame, instruction: Instruction, begun: bool) -> None:
        """One waiting node: its coroutine, its time, its end."""
        if frame.scope.cancelled and not begun:
            with self.guarded():
                self._never_began(frame)
            return
        problem: Problem | None = None
        value: object = None
        dropped = False
        elements: int | None = None
        start = self.clock()
        try:
            value = await instruction.act(self, frame, instruction)
            if instruction.blocks:
                elements = len(frame.slots[instruction.inputs[0]])
        except asyncio.CancelledError:
            dropped = True
        except BaseException as error:
            problem = problem_of(error, instruction)
        end = self.clock()
        with self.guarded():
            cut = dropped and frame.scope.is_over()
            self.under_way -= 1
            frame.scope.waiting -= 1
            inner = bool(instruction.blocks)  # then the calls inside have told their own times and sizes
            kind = "cancelled" if dropped else "structure" if inner else "node.done"
            self.log.append((kind, frame, instruction, start, end, elements))
            if dropped and not cut:
                problem = cancelled_from_outside(instruction)
            if inner and problem is None and not frame.scope.cancelled:
                self.finish(frame, instruction, [value])
            elif cut and self.keeper is not None and instruction.kept:
                self.keeper.cut(frame, instruction)
                self.drop(frame, instruction)
            else:
                self.queue(self.ended(frame, instruction, value, problem))

    async def in_thread(self, function: Callable[[], Any], scope: Scope | None = None) -> Any:
        """The result of a plain function, run on a thread of its own. A cancelled one is given up."""
        if self.inline:
            return function()
        outcome, job = promised(self.loop, function)
        with self.lock:
            self.workers.submit(job, scope)
        try:
            return await outcome
        except asyncio.CancelledError:
            with self.lock:
                self.workers.give_up(job)
            raise


def _nothing() -> None:
    pass


def _cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
