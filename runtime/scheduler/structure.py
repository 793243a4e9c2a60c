"""Control flow: calls, branches, loops and parallel maps, each a few steps over frames.

Every function here is called under the engine's lock and returns at once; what it starts reports back
through the `done` of its frames.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from flowc.runtime.errors import fail
from flowc.runtime.scheduler.blocks import Block, Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.widths import width_of


class Return:
    """Gives the results of a child frame to the node that opened it, and notes how long that took."""

    __slots__ = ("engine", "start")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.start = engine.clock()

    def __call__(self, child: Frame) -> None:
        frame, instruction = child.parent, child.instruction
        assert frame is not None
        assert instruction is not None
        values = child.results()
        region = instruction.blocks.index(child.block) if len(instruction.blocks) > 1 else 0
        child.close()
        log_structure(self.engine, frame, instruction, self.start, region)
        self.engine.finish(frame, instruction, values)


def log_structure(
    engine: Engine, frame: Frame, instruction: Instruction, start: float, ran: int | None
) -> None:
    """Notes a step of control flow: it has no body, yet the trace shows how long it lasted, and what `ran`:
    how many elements, turns or ballots, or the number of the region that gave the result.
    """
    engine.log.append(("structure", frame, instruction, start, engine.clock(), ran))


def enter_call(engine: Engine, frame: Frame, instruction: Instruction, block: Block) -> None:
    """call: the flow's body in a frame of its own."""
    child = Frame(block, frame.scope, Return(engine), frame, instruction, -1)
    for slot, source in zip(block.parameters, instruction.inputs, strict=True):
        child.slots[slot] = frame.slots[source]
    engine.enter(child)


def enter_if(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """if: one of two regions. A second input is what `speculate` has started of them."""
    condition = frame.slots[instruction.inputs[0]]
    if len(instruction.inputs) > 1:
        frame.slots[instruction.inputs[1]].decide(bool(condition))
        return
    block = instruction.blocks[0 if condition else 1]
    engine.enter(Frame(block, frame.scope, Return(engine), frame, instruction, -1))


class Step:
    """A node of control flow under way."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        self.engine = engine
        self.frame = frame
        self.instruction = instruction
        self.start = engine.clock()

    def conclude(self, values: list[Any], ran: int | None = None) -> None:
        """Ends the node: these are its values, and what ran for them, as `log_structure` says it."""
        log_structure(self.engine, self.frame, self.instruction, self.start, ran)
        self.engine.finish(self.frame, self.instruction, values)


LEFT_OUT = object()
"""In place of the value of an element that a filter leaves out."""


class Map(Step):
    """map: the elements side by side, at most `width` at a time, results in order."""

    def __init__(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        columns: Sequence[Sequence[Any]],
        scope: Scope,
    ) -> None:
        super().__init__(engine, frame, instruction)
        self.columns = tuple(zip(instruction.blocks[0].parameters, columns, strict=True))
        self.scope = scope
        self.filtered = bool(instruction.node.settings.get("filtered"))
        lengths = {len(column) for column in columns}
        if len(lengths) > 1:
            raise fail(
                "E0713",
                "these lists are to be taken together but differ in length: "
                + ", ".join(str(len(column)) for column in columns),
            )
        self.count = lengths.pop() if lengths else 0
        self.width = width_of(engine, instruction, scope, self.count)
        self.results: list[Any] = [None] * self.count
        self.next = 0
        self.ended = 0

    def begin(self) -> None:
        """Starts the first elements."""
        if not self.count:
            self._gather()
            return
        block = self.instruction.blocks[0]
        if not block.count:
            while self.next < self.count:
                self._take(self._open())
            self._gather()
            return
        for _ in range(min(self.width, self.count)):
            self.engine.enter(self._open())

    def _open(self) -> Frame:
        block = self.instruction.blocks[0]
        position = self.next
        self.next += 1
        child = Frame(block, self.scope, self._element, self.frame, self.instruction, position)
        slots = child.slots
        for slot, column in self.columns:
            slots[slot] = column[position]
        return child

    def _element(self, child: Frame) -> None:
        self._take(child)
        child.close()
        self.ended += 1
        if self.next < self.count:
            self.engine.enter(self._open())
        elif self.ended == self.count:
            self._gather()

    def _take(self, child: Frame) -> None:
        """Takes over what an element gave: where the map is filtered, whether it stays, and its value."""
        slots, results = child.slots, child.block.results
        value = slots[results[-1]]
        self.results[child.position] = LEFT_OUT if self.filtered and not slots[results[0]] else value

    def _gather(self) -> None:
        self.conclude([[value for value in self.results if value is not LEFT_OUT]], self.count)


def enter_map(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """map: see `Map`."""
    columns = [frame.slots[slot] for slot in instruction.inputs]
    Map(engine, frame, instruction, columns, frame.scope).begin()


class Loop(Step, ABC):
    """Frames one after the other that hand on the carried values; `first` is the input that bounds them."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        super().__init__(engine, frame, instruction)
        self.first: Any
        self.first, *self.carried = [frame.slots[slot] for slot in instruction.inputs]
        self.turn = self.turns = 0
        self.testing = True
        self.kept = 0
        kept = frame.scope.done is None  # in a transaction each turn is gone through again: its writes count
        self.keeper = engine.keeper if kept else None
        known = None if self.keeper is None else self.keeper.turn(frame, instruction)
        if known is not None and len(known[3]) == len(self.carried):
            self.turn, self.turns, self.testing, self.carried = known

    def go_on(self) -> None:
        """Runs the next frame; blocks without nodes are gone through here, not by recursion."""
        while (entry := self._next()) is not None:
            block, values = entry
            child = Frame(block, self.frame.scope, self._ended, self.frame, self.instruction, self.turn)
            for slot, value in zip(block.parameters, values, strict=True):
                child.slots[slot] = value
            if block.count:
                self.engine.enter(child)
                return
            self._take(child)
        self.conclude(self.carried, self.turns)

    @abstractmethod
    def _next(self) -> tuple[Block, Sequence[Any]] | None:
        """The block to run and its arguments; None at the end."""

    @abstractmethod
    def _take(self, child: Frame) -> None:
        """Takes over what a frame gave."""

    def _ended(self, child: Frame) -> None:
        self._take(child)
        keeper = self.keeper
        if keeper is not None:
            state = self.turn, self.turns, self.testing
            self.kept = keeper.turned(self.frame, self.instruction, state, self.carried, self.kept)
        self.go_on()


class For(Loop):
    """for: one element after the other, until the list or `stop` ends it."""

    def _next(self) -> tuple[Block, Sequence[Any]] | None:
        if self.turn >= len(self.first):
            return None
        return self.instruction.blocks[0], (self.first[self.turn], *self.carried)

    def _take(self, child: Frame) -> None:
        stop, *self.carried = child.results()
        child.close()
        self.turns += 1
        self.turn = len(self.first) if stop else self.turn + 1


def enter_for(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """for: see `For`."""
    For(engine, frame, instruction).go_on()


class While(Loop):
    """while: test, then body, at most so many times; at the bound the loop ends."""

    def _next(self) -> tuple[Block, Sequence[Any]] | None:
        if self.turn >= self.first:
            return None
        return self.instruction.blocks[0 if self.testing else 1], self.carried

    def _take(self, child: Frame) -> None:
        if self.testing:
            going = child.results()[0]
        else:
            stop, *self.carried = child.results()
            going = not stop
            self.turn += 1
            self.turns += 1
        self.testing = not self.testing
        child.close()
        if not going:
            self.turn = self.first


def enter_while(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """while: see `While`."""
    While(engine, frame, instruction).go_on()
