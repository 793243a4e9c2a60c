"""Maps that begin while the list they go over is still being written, and plans that begin with their steps.

A `generate` with the setting `stream` reads its answer as it comes. Each item that is complete becomes an
element of those maps over the answer that have the setting too. They run in a scope of their own until the
answer is there and found sound. If the items are those of the answer, the maps go on as if they had begun
with it; else, and wherever the call fails or is tried again, what was begun is given up. Elements write
nothing, so nothing is left of it. A plan is heard step by step in the same way; `early_steps` says which
begin.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve

from flowc.runtime.coerce import Coercer, Mismatch
from flowc.runtime.errors import Problem
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.json_stream import LIST, PLAN, ListReader
from flowc.runtime.providers.base import Request
from flowc.runtime.scheduler import structure
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.early_steps import BegunPlan
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, Scope

STREAM = "stream"
"""The setting of calls whose answers may be read while they come, and of what begins with them."""


class BegunMap(structure.Map):
    """A map over a list of which the first items are there. Everything happens under the engine's lock."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        self.items: list[Any] = []
        self.whole = False
        self.problem: Problem | None = None
        super().__init__(engine, frame, instruction, [self.items], Scope(frame.scope, self._failed))

    def more(self, items: list[Any]) -> None:
        """Takes further items, and starts elements as far as the width allows."""
        self.items += items
        self.count = len(self.items)
        self.results += [None] * len(items)
        while self.next < self.count and self.next - self.ended < self.width and not self.scope.cancelled:
            self.engine.enter(self._open())

    def complete(self) -> None:
        """The list is there, and this is the map's turn: its end, or its failure, counts from now on."""
        value = self.frame.slots[self.instruction.inputs[0]]
        self.whole = True
        if self.problem is not None:
            self.engine.fail(self.frame, self.instruction, self.problem)
        elif self.ended == len(value):
            self._gather()
        else:
            self.more(value[self.count :])

    def give_up(self) -> None:
        """Cancels what was begun."""
        if not self.scope.cancelled:
            self.engine.stop_scope(self.scope, abandon=True)
            self.engine.settle(self.scope)

    def _gather(self) -> None:
        if self.whole:
            self.scope.leave()
            super()._gather()

    def _failed(self, problem: Problem) -> None:
        self.problem = problem
        if self.whole:
            self.engine.fail(self.frame, self.instruction, problem)


def enter_map(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """map: one that has begun goes on; until then it stands in the slot of its result."""
    begun = frame.slots[instruction.output]
    if isinstance(begun, BegunMap):
        begun.complete()
    else:
        structure.enter_map(engine, frame, instruction)


async def with_elements(
    engine: Engine,
    frame: Frame,
    instruction: Instruction,
    convert: Coercer | None,
    request: Request,
    ask: Callable[[Request], Awaitable[Any]],
) -> Any:
    """What `ask` gives for the request; meanwhile what goes over it begins with the items that have come.

    Under a budget nothing begins early: what may be for nothing must not take from it.
    """
    readers = _readers(instruction) if instruction.node.settings.get(STREAM) is True else []
    if convert is None or not readers or frame.scope.budgets:
        return await ask(request)
    early = _Early(engine, frame, readers, convert, request.stream)
    try:
        value = await ask(evolve(request, stream=early.hear))
    except BaseException:
        early.end(None)
        raise
    early.end(value)
    return value


def _readers(instruction: Instruction) -> list[Instruction]:
    """The maps over the result of a node, and what runs it as a plan, where they need nothing else of it."""
    result = instruction.output
    dependents = [other for _, other in instruction.dependents]
    return [
        other
        for other in dependents
        if other.node.settings.get(STREAM) is True
        and other.inputs == (result,)
        and (other.node.op == "execute" or _goes_over(other, result))
    ]


def _goes_over(other: Instruction, result: int) -> bool:
    return (
        other.node.op == "map"
        and other.blocks[0].count > 0
        and all(source != result for source, _ in other.blocks[0].captures)
    )


Begun = BegunMap | BegunPlan
"""What stands, begun early, in the slot of its own result until its turn has come."""


class _Early:
    """One attempt of a call, heard as its answer comes."""

    def __init__(
        self,
        engine: Engine,
        frame: Frame,
        readers: list[Instruction],
        convert: Coercer,
        told: Callable[[str], None] | None,
    ) -> None:
        self.engine = engine
        self.frame = frame
        self.readers = readers
        self.convert = convert
        self.told = told
        self.reader = ListReader(PLAN if readers[0].node.op == "execute" else LIST)
        self.items: list[Any] = []
        with engine.guarded():
            self._give_up()  # what a try that came to nothing has begun

    def hear(self, part: str) -> None:
        """Reads a part of the answer, on the loop."""
        if self.told is not None:
            self.told(part)
        found: list[Any] = []
        try:
            found += map(self.convert, self.reader.feed(part))
        except (Mismatch, RecursionError):
            self.reader.over = True
        if found:
            self.items += found
            with self.engine.guarded():
                self._go_on()

    def _go_on(self) -> None:
        """Hands items to what waits for nothing but this call."""
        if self.frame.scope.cancelled:
            return
        slots = self.frame.slots
        for each in self.readers:
            if self.frame.pending[each.index] == 1:
                begun = slots[each.output]
                if not isinstance(begun, Begun):
                    make = BegunPlan if each.node.op == "execute" else BegunMap
                    begun = slots[each.output] = make(self.engine, self.frame, each)
                begun.more(self.items[begun.count :])

    def end(self, value: Any) -> None:
        """Keeps what was begun where its items are those of the answer; None for no answer.

        A plan looks at each of its steps by itself, when its turn has come.
        """
        with self.engine.guarded():
            if value is None or (isinstance(value, list) and not _begins(value, self.items)):
                self._give_up()

    def _give_up(self) -> None:
        if self.frame.scope.cancelled:
            return
        slots = self.frame.slots
        for each in self.readers:
            begun = slots[each.output]
            if isinstance(begun, Begun):
                begun.give_up()
                slots[each.output] = None


def _begins(value: list[Any], items: list[Any]) -> bool:
    """Whether a list begins with these items, to the type of each part and the order of members."""
    return len(items) <= len(value) and all(
        repr(one) == repr(other) and fingerprint(one) == fingerprint(other)
        for one, other in zip(items, value, strict=False)
    )
