"""A region in flight, and the scopes that bound it.

A `Frame` is one execution of a block: its slots and how many predecessors each node still waits for. A
`Scope` is what fails, is cancelled and is limited together: the run, an arm of a race, the tried half of an
attempt, a limited call. All changes happen under the engine's lock.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

from attrs import frozen

from flowc.runtime.errors import Problem
from flowc.runtime.limits import Budget
from flowc.runtime.scheduler.blocks import Block, Instruction
from flowc.runtime.scheduler.ordered import Ordered
from flowc.runtime.scheduler.undecided import Undecided

_NOTHING: list[Any] = []
_NO_COUNTS: list[int] = []
"""What closed frames hold: the same for all, since there may be very many of them."""


class Frame:
    """One execution of a block. `done` is called, under the lock, when its last node has ended."""

    __slots__ = (
        "block",
        "done",
        "instruction",
        "parent",
        "path",
        "pending",
        "position",
        "remaining",
        "scope",
        "slots",
    )

    def __init__(
        self,
        block: Block,
        scope: "Scope",
        done: "Callable[[Frame], None]",
        parent: "Frame | None",
        instruction: Instruction | None,
        position: int,
    ) -> None:
        self.block = block
        self.scope = scope
        self.done = done
        self.parent = parent
        self.instruction = instruction
        self.position = position
        self.path: str | None = None
        self.slots = block.template.copy()
        self.pending = block.pending.copy()
        self.remaining = block.count
        if block.captures and parent is not None:
            slots, outer = self.slots, parent.slots
            for source, slot in block.captures:
                slots[slot] = outer[source]

    def results(self) -> list[Any]:
        """The values of the region's results."""
        slots = self.slots
        return [slots[slot] for slot in self.block.results]

    def home(self) -> "Frame":
        """The frame to which the trace counts what runs in this one."""
        return self

    def close(self) -> None:
        """Lets go of the values: the trace keeps frames, and must not keep what was in them."""
        self.slots = _NOTHING
        self.pending = _NO_COUNTS


def step_of(frame: Frame, instruction: Instruction, root: str) -> str:
    """The deterministic path of a step, as in "ask/5:notes[2]/1:judge"."""
    if frame.block.synthetic:
        return root
    return f"{frame.path or path_of(frame, root)}/{instruction.place}"


def path_of(frame: Frame, root: str) -> str:
    """The path of a frame, kept with it. Frames may be nested deeper than the stack is."""
    outer, instruction = frame.parent, frame.instruction
    if outer is not None and outer.path is not None and instruction is not None:  # so it is nearly always
        frame.path = f"{outer.path}/{instruction.place}{_place(frame)}"
        return frame.path
    unknown: list[Frame] = []
    at: Frame | None = frame
    while at is not None and at.path is None and not at.block.synthetic:
        unknown.append(at)
        at = at.parent
    for each in reversed(unknown):
        outer = each.parent
        if outer is None or outer.block.synthetic or each.instruction is None:
            each.path = root + _place(each)
        else:
            each.path = f"{outer.path}/{each.instruction.place}{_place(each)}"
    return root if frame.path is None else frame.path


def _place(frame: Frame) -> str:
    """Which execution of which region of its step a frame is: "[2]" for an element, ".1" for a second
    region.
    """
    place = f"[{frame.position}]" if frame.position >= 0 else ""
    blocks = () if frame.instruction is None else frame.instruction.blocks
    return place if len(blocks) < 2 else f"{place}.{blocks.index(frame.block)}"


@frozen(eq=False)
class Written:
    """A write that has ended: the step, what it was given, and what it gave; or the problem of one that may
    have happened although it failed.
    """

    frame: Frame
    instruction: Instruction
    inputs: list[Any]
    value: Any
    problem: Problem | None


class Scope:
    """What ends together. `failed` is called, under the lock, once everything inside has come to rest.

    `deadline` is when its time is up, on the loop's clock. `undecided` says that it may not be wanted. In a
    transaction `done` has the writes that may have to be taken back, in the order in which they ended;
    `stopped` is called when the scope is cancelled, for whatever reason.
    """

    __slots__ = (
        "abandoned",
        "budgets",
        "cancelled",
        "children",
        "deadline",
        "done",
        "failed",
        "memory",
        "parent",
        "plain",
        "problem",
        "reported",
        "running",
        "stopped",
        "tasks",
        "undecided",
        "waiting",
    )

    def __init__(self, parent: "Scope | None", failed: Callable[[Problem], None], *budgets: Budget) -> None:
        self.parent = parent
        self.failed = failed
        self.children: Ordered[Scope] = Ordered()
        self.cancelled = False
        self.abandoned = False
        self.reported = False
        self.problem: Problem | None = None
        self.running = 0
        self.waiting = 0
        self.tasks: Ordered[asyncio.Task[None]] = Ordered()
        inherited = parent.budgets if parent is not None else ()
        self.budgets: tuple[Budget, ...] = (*inherited, *budgets)
        self.plain = not self.budgets
        self.deadline: float = parent.deadline if parent is not None else inf
        self.undecided: Undecided | None = parent.undecided if parent is not None else None
        self.done: list[Written] | None = parent.done if parent is not None else None
        self.stopped: Callable[[], None] | None = None
        if parent is not None:
            parent.children.add(self)
            self.cancelled = parent.cancelled

    def is_over(self) -> bool:
        """Whether it has been cancelled by now."""
        return self.cancelled

    def leave(self) -> None:
        """Ends the scope, its work done."""
        if self.parent is not None:
            self.parent.children.discard(self)

    def tree(self) -> "Iterable[Scope]":
        """This scope and all scopes inside it."""
        found = [self]
        for scope in found:
            found.extend(scope.children)
        return found

    def at_rest(self) -> bool:
        """Whether nothing inside runs any more, but for threads that were given up."""
        return all(not scope.waiting and (scope.abandoned or not scope.running) for scope in self.tree())
