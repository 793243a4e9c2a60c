"""What a run has to do on the loop: tasks that wait for the world, and calls back in its next turn.

Every method but `_collect`, which the loop calls, is called while the engine's lock is held.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.holding import Turn
from flowc.runtime.scheduler.ordered import Ordered


class Waiting:
    """The tasks of a run. `perform` is what a node does that waits; `never_began` is told of the frame of one
    whose scope had failed by the time the loop took its turn.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        turn: Turn,
        perform: Callable[[Frame, Instruction, bool], Coroutine[Any, Any, None]],
        never_began: Callable[[Frame], None],
    ) -> None:
        self.loop = loop
        self.turn = turn
        self.perform = perform
        self.never_began = never_began
        self.tasks: Ordered[asyncio.Task[Any]] = Ordered()
        self.outbox: deque[tuple[Frame, Instruction, bool]] = deque()
        self.called = False

    def post(self, frame: Frame, instruction: Instruction, *, begun: bool = False) -> None:
        """Has the loop start a node in this turn of it, or in the next; one that had `begun` before has to
        end, although its scope is cancelled.
        """
        frame.scope.waiting += 1
        self.outbox.append((frame, instruction, begun))
        self.call()

    def call(self) -> None:
        """Has the loop take a turn, unless it is in one."""
        if not self.turn.taken and not self.called:
            self.called = True
            self.loop.call_soon_threadsafe(self._collect)

    def again(self) -> None:
        """Has the loop take another turn after this one."""
        self.loop.call_soon(self._collect)

    def _collect(self) -> None:
        """On the loop: goes on with what was posted, or became ready, elsewhere."""
        with self.turn:
            self.called = False

    def start_posted(self) -> None:
        """Starts what was posted, in a turn of the loop."""
        while self.outbox:
            frame, instruction, begun = self.outbox.popleft()
            if frame.scope.cancelled and not begun:
                self.never_began(frame)
            else:
                whole = bool(instruction.undos) and frame.scope.done is not None
                self.start(self.perform(frame, instruction, begun), frame.scope, whole=whole)

    def start(
        self, work: Coroutine[Any, Any, Any], scope: Scope, *, whole: bool = False
    ) -> "asyncio.Task[Any]":
        """A task without which the run does not end. It ends with `scope`, unless it has to be done as a
        `whole`: a write that is broken off in a transaction could not be taken back.
        """
        task = self.loop.create_task(work)
        for tasks in (self.tasks,) if whole else (scope.tasks, self.tasks):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return task

    def soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Calls back on the loop, which need not be woken for it in its own turn."""
        call = self.loop.call_soon if self.turn.taken else self.loop.call_soon_threadsafe
        call(callback, *arguments)

    def later(self, delay: float, callback: Callable[[], None]) -> None:
        """Calls `callback`, under the lock, after `delay` seconds of the loop's time."""

        def fire() -> None:
            with self.turn:
                callback()

        self.soon(self.loop.call_later, delay, fire)
