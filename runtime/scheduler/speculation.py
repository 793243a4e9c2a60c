"""Speculation: branches that start while their condition is still being found out.

`speculate` opens the frames that an `if` of its region would open, each in a scope of its own, and runs in
them what the `if` names as early; the rest is held back. The `if` then keeps one frame, lets the rest of it
go on, and cancels the other. What has failed by then counts only in the branch that is taken.
"""

import asyncio
from functools import partial
from heapq import heappush
from typing import Any

from flowc.runtime.errors import Problem
from flowc.runtime.limits import USUAL_ANSWER, Price
from flowc.runtime.plan import Node
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.structure import Return
from flowc.runtime.scheduler.undecided import Undecided, can_spare
from flowc.runtime.scheduler.workers import is_open


class _Branch:
    """A branch under way: what is held back in it, whether it has ended, or failed."""

    def __init__(self, scope: Scope, frame: Frame, held: tuple[int, ...]) -> None:
        self.scope = scope
        self.frame = frame
        self.held = held
        self.ended = False
        self.problem: Problem | None = None


class Speculation:
    """The branches of one `if` that have started, until it is decided."""

    def __init__(
        self, engine: Engine, frame: Frame, instruction: Instruction, others: tuple[int, ...]
    ) -> None:
        self.engine = engine
        self.frame = frame
        self.instruction = instruction
        self.undecided = Undecided(others, frame.scope.undecided)
        self.branches: dict[int, _Branch] = {}
        self.taken: int | None = None
        self.give_back: Return | None = None

    def start(self) -> None:
        """Starts what is early; nothing where budgets are around of which the compiler knew nothing."""
        if len(self.frame.scope.budgets) != len(self.undecided.others):
            return
        for number, early in enumerate(early_of(self.instruction.node)):
            if early:
                self._open(number, frozenset(early))

    def _open(self, number: int, early: frozenset[int]) -> None:
        engine, block = self.engine, self.instruction.blocks[number]
        scope = Scope(self.frame.scope, partial(self._failed, number))
        scope.undecided = self.undecided
        child = Frame(block, scope, partial(self._ended, number), self.frame, self.instruction, -1)
        held = tuple(index for index in range(block.count) if index not in early)
        self.branches[number] = _Branch(scope, child, held)
        for index in held:
            child.pending[index] += 1
        for first in block.initial:
            if first.index in early:
                heappush(engine.ready, (first.priority, engine.sequence(), child, first))
        engine.wake()

    def _ended(self, number: int, child: Frame) -> None:
        branch = self.branches[number]
        branch.ended = True
        if self.taken == number:
            self._conclude(branch)

    def _failed(self, number: int, problem: Problem) -> None:
        if self.taken == number:
            self.engine.fail(self.frame, self.instruction, problem)
        else:
            self.branches[number].problem = problem

    def decide(self, condition: bool) -> None:
        """The `if` knows its condition: one branch goes on, the other is given up."""
        engine = self.engine
        awake = self.undecided.decide()
        if awake:
            engine.loop.call_soon_threadsafe(_wake, awake)
        self.taken = 0 if condition else 1
        self.give_back = Return(engine)
        for number, branch in self.branches.items():
            if number != self.taken and not branch.scope.cancelled:
                engine.stop_scope(branch.scope, abandon=True)
                engine.settle(branch.scope)
        taken = self.branches.get(self.taken)
        if taken is None:
            block = self.instruction.blocks[self.taken]
            engine.enter(Frame(block, self.frame.scope, self.give_back, self.frame, self.instruction, -1))
        elif taken.problem is not None:
            engine.fail(self.frame, self.instruction, taken.problem)
        elif taken.ended:
            self._conclude(taken)
        elif not taken.scope.cancelled:
            self._release(taken)

    def _release(self, branch: _Branch) -> None:
        """Lets the rest of a branch go on. What it captures may have come since the branch was opened."""
        engine, child = self.engine, branch.frame
        for source, slot in child.block.captures:
            child.slots[slot] = self.frame.slots[source]
        for index in branch.held:
            child.pending[index] -= 1
            if not child.pending[index]:
                held = child.block.instructions[index]
                heappush(engine.ready, (held.priority, engine.sequence(), child, held))
        engine.wake()

    def _conclude(self, branch: _Branch) -> None:
        assert self.give_back is not None
        branch.scope.leave()
        for source, slot in branch.frame.block.captures:
            branch.frame.slots[slot] = self.frame.slots[source]
        self.give_back(branch.frame)


def _wake(waiters: list[Any]) -> None:
    for wake in waiters:
        wake()


def early_of(node: Node) -> tuple[tuple[int, ...], ...]:
    """The indexes of the nodes of each region of an `if` that may start before it."""
    found = node.settings.get("early", [])
    if not isinstance(found, list):
        raise ValueError("`early` must be a list")
    return tuple(
        tuple(index for index in each if isinstance(index, int)) if isinstance(each, list) else ()
        for each in found
    )


def others_of(node: Node) -> tuple[int, ...]:
    """The numbers that a node carries for the budgets around it."""
    found = node.settings.get("others", [])
    if not isinstance(found, list):
        raise ValueError("`others` must be a list")
    return tuple(number for number in found if isinstance(number, int))


def enter_speculate(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """speculate: starts the branches of the `if` that reads it, and ends at once."""
    (branch,) = (other for _, other in instruction.dependents if instruction.output in other.inputs)
    started = Speculation(engine, frame, branch, others_of(instruction.node))
    started.start()
    engine.finish(frame, instruction, [started])


def is_doubtful(scope: Scope) -> bool:
    """Whether it is still to be decided if what runs in a scope is wanted."""
    return is_open(scope)


async def decided(engine: Engine, scope: Scope) -> None:
    """Waits until what runs in a scope is known to be wanted; what is not is cancelled meanwhile."""
    while True:
        known: asyncio.Future[None] = engine.loop.create_future()
        with engine.lock:
            if scope.undecided is None or not scope.undecided.open():
                return
            scope.undecided.wait(partial(_settle, known))
        await known


def may_spend(scope: Scope, prompt: int, answer: int | None, price: Price) -> bool:
    """Whether a call in a scope may draw on the budgets around it now; where not, it asks again later."""
    undecided = scope.undecided
    if undecided is None or not undecided.open():
        return True
    if undecided.outer is not None and undecided.outer.open():
        return False
    around = scope.budgets[: len(undecided.others)]
    return can_spare(around, undecided.others, (prompt, USUAL_ANSWER if answer is None else answer), price)


def in_doubt(scope: Scope) -> int:
    """How many of the budgets of a scope, from the outermost, lie around a decision that is still to come."""
    undecided = scope.undecided
    return 0 if undecided is None or not undecided.open() else len(undecided.others)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
