"""A region in flight, and the scopes that bound it.

A `Frame` is one execution of a block: its slots and how many predecessors each node still waits for. A
`Scope` is what fails, is cancelled and is limited together: the run, an arm of a race, the tried half of an
attempt, a limited call. All changes happen under the engine's lock.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

from flowc.runtime.errors import Problem
from flowc.runtime.limits import Budget
from flowc.runtime.scheduler.blocks import Block, Instruction
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
    parts: list[str] = []
    at: Frame | None = frame
    step: Instruction | None = instruction
    suffix = ""
    while at is not None and step is not None and not at.block.synthetic:
        parts.append(step.place + suffix)
        suffix = _place(at)
        step, at = at.instruction, at.parent
    parts.append(root)
    return "/".join(reversed(parts))


def _place(frame: Frame) -> str:
    """Which execution of which region of its step a frame is: "[2]" for an element, ".1" for a second
    region.
    """
    place = f"[{frame.position}]" if frame.position >= 0 else ""
    if frame.instruction is not None and len(frame.instruction.blocks) > 1:
        place += f".{frame.instruction.blocks.index(frame.block)}"
    return place


class Scope:
    """What ends together. `failed` is called, under the lock, once everything inside has come to rest.

    `deadline` is when its time is up, on the loop's clock. `undecided` says that it may not be wanted.
    """

    __slots__ = (
        "abandoned",
        "budgets",
        "cancelled",
        "children",
        "deadline",
        "failed",
        "memory",
        "parent",
        "plain",
        "problem",
        "reported",
        "running",
        "tasks",
        "undecided",
        "waiting",
    )

    def __init__(self, parent: "Scope | None", failed: Callable[[Problem], None], *budgets: Budget) -> None:
        self.parent = parent
        self.failed = failed
        self.children: set[Scope] = set()
        self.cancelled = False
        self.abandoned = False
        self.reported = False
        self.problem: Problem | None = None
        self.running = 0
        self.waiting = 0
        self.tasks: set[asyncio.Task[None]] = set()
        inherited = parent.budgets if parent is not None else ()
        self.budgets: tuple[Budget, ...] = (*inherited, *budgets)
        self.plain = not self.budgets
        self.deadline: float = parent.deadline if parent is not None else inf
        self.undecided: Undecided | None = parent.undecided if parent is not None else None
        if parent is not None:
            parent.children.add(self)
            self.cancelled = parent.cancelled

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
