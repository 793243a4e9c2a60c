"""Nodes that run ahead of a model's answer: with a field, an item or a sentence of it that has come.

Each of them runs in a frame of its own beside the one that it belongs to, under the same name, and all in one
scope, so that they can be given up together. Once the answer is there, and says what was heard, they count:
what has ended is handed over to the frame, and what still runs will be.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import frozen

from flowc.runtime.errors import Problem
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.scheduler import structure
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.widths import width_of


@frozen(eq=False)
class Early:
    """What of a block may begin before a call in it has been answered.

    `sources` are nodes whose value, or the items of it, come with the answer, the call itself among them
    where its own items do. `nodes` are those that may begin, each behind those that it waits for; `inside`
    has for each the numbers of the nodes it waits for among all these, `outside` the slots it reads that
    others write, `items` the source that a map goes over item by item.
    """

    sources: Mapping[int, Instruction]
    nodes: tuple[Instruction, ...]
    inside: Mapping[int, frozenset[int]]
    outside: Mapping[int, tuple[int, ...]]
    items: Mapping[int, int]


class Beside(Frame):
    """The frame of one node that runs ahead, in place of `main`."""

    __slots__ = ("main",)

    def __init__(self, main: Frame, scope: Scope, done: Callable[[Frame], None]) -> None:
        super().__init__(main.block, scope, done, main.parent, main.instruction, main.position)
        self.main = main
        self.remaining = 1

    def home(self) -> Frame:
        """The frame that the node belongs to."""
        return self.main


class BegunMap(structure.Map):
    """A map over a list of which the first items are there. Everything happens under the engine's lock."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        self.items: list[Any] = []
        self.whole = False
        super().__init__(engine, frame, instruction, [self.items], frame.scope)

    def more(self, items: list[Any]) -> None:
        """Takes further items, and starts elements as far as the width allows."""
        self.items += items
        self.count = len(self.items)
        self.width = width_of(self.engine, self.instruction, self.scope, self.count)
        self.results += [None] * len(items)
        while self.next < self.count and self.next - self.ended < self.width and not self.scope.cancelled:
            self.engine.enter(self._open())

    def complete(self, value: list[Any]) -> None:
        """The list is there, and begins with the items that were."""
        self.whole = True
        if self.ended == len(value):
            self._gather()
        else:
            self.more(value[self.count :])

    def _gather(self) -> None:
        if self.whole:
            super()._gather()


class Ahead:
    """The nodes of a frame that have begun with what was heard of an answer. All happens under the lock."""

    def __init__(self, engine: Engine, frame: Frame, call: Instruction, early: Early) -> None:
        self.engine = engine
        self.frame = frame
        self.call = call
        self.early = early
        self.scope = Scope(frame.scope, self._failed)
        self.slots = frame.slots.copy()
        self.counts = [0] * len(frame.pending)  # of the frames made here: nothing waits in them
        self.values: dict[int, Any] = {}
        self.items: dict[int, list[Any]] = {}
        self.maps: dict[int, BegunMap] = {}
        self.begun: dict[int, Instruction] = {}
        self.ended: dict[int, Instruction] = {}
        self.kept = False

    # ---- while the answer comes

    def item(self, source: int, value: Any) -> None:
        """An item of what a source gives has come; `go_on` begins with it."""
        if source not in self.values:
            self.items.setdefault(source, []).append(value)

    def value(self, source: int, value: Any) -> None:
        """All has come of what a source gives. What comes under the same name again shows in the end."""
        if source in self.values:
            return
        self.values[source] = self.slots[self.early.sources[source].output] = value
        self._complete_maps(source, value)

    def go_on(self) -> None:
        """Begins what needs nothing more."""
        if self.scope.cancelled:
            return
        for each in self.early.nodes:
            if each.index not in self.begun and self._is_ready(each):
                self._begin(each)
        for index, begun in self.maps.items():
            items = self.items.get(self.early.items[index], [])
            begun.more(items[begun.count :])

    def _is_ready(self, node: Instruction) -> bool:
        inside = self.early.inside[node.index]
        if self.frame.pending[node.index] != len(inside):
            return False  # it waits for others than those that run ahead
        missing = inside - self.values.keys() - self.ended.keys()
        source = self.early.items.get(node.index)
        return not missing or (missing == {source} and source in self.items)

    def _begin(self, node: Instruction) -> None:
        frame, engine = self.frame, self.engine
        for slot in self.early.outside[node.index]:
            self.slots[slot] = frame.slots[slot]
        own = Beside(frame, self.scope, partial(self._ended, node))
        own.slots, own.pending = self.slots, self.counts
        self.begun[node.index] = node
        source = self.early.items.get(node.index)
        if source is not None and source not in self.values:
            self.maps[node.index] = BegunMap(engine, own, node)
        else:
            engine.queue((node.priority, engine.sequence(), own, node))

    def _ended(self, node: Instruction, own: Frame) -> None:
        own.close()
        self.ended[node.index] = node
        if self.kept:
            self._hand_over(node)
            self._leave()
        else:
            self.go_on()

    def _complete_maps(self, source: int, value: Any) -> None:
        for index in [index for index in self.maps if self.early.items[index] == source]:
            self.maps.pop(index).complete(value)

    # ---- in the end

    def give_up(self) -> None:
        """Cancels what was begun: nothing of it is left."""
        if not self.scope.cancelled:
            self.engine.stop_scope(self.scope, abandon=True)
            self.engine.settle(self.scope)

    def keep(self, answer: Any) -> None:
        """The answer is there: what was begun counts, if it is what was heard; else it is given up."""
        frame = self.frame
        if frame.scope.cancelled:
            return
        final = self._final(answer)
        if not all(index in final and self._is_as_heard(index, final[index]) for index in self.early.sources):
            self.give_up()
        elif self.scope.problem is not None:
            self.engine.fail_scope(frame.scope, self.scope.problem)
        else:
            self._keep(final)

    def _final(self, answer: Any) -> Mapping[int, Any]:
        """What the sources give in the end; less where one of them fails, as it will do again in its turn."""
        final = {self.call.index: answer}
        self.slots[self.call.output] = answer
        try:
            final |= {index: each.act(self.slots) for index, each in self._inner_sources().items()}
        except Exception:
            self.give_up()
        return final

    def _inner_sources(self) -> dict[int, Instruction]:
        """The sources without the call itself."""
        return {index: each for index, each in self.early.sources.items() if each is not self.call}

    def _is_as_heard(self, source: int, value: Any) -> bool:
        if source in self.values and not _is_same(self.values[source], value):
            return False
        items = self.items.get(source, [])
        return not items or (
            len(items) <= len(value)
            and all(_is_same(one, other) for one, other in zip(items, value, strict=False))
        )

    def _keep(self, final: Mapping[int, Any]) -> None:
        self.kept = True
        frame, engine = self.frame, self.engine
        sources = self._inner_sources()
        for index in (*sources, *self.begun):
            frame.pending[index] += 1  # so that it is not made once more
        now = engine.clock()
        for index, source in sources.items():
            self.slots[source.output] = final[index]
            engine.log.append(("node.done", frame, source, now, now, None))
            self._hand_over(source)
        for node in [*self.ended.values()]:
            self._hand_over(node)
        for index, value in final.items():
            self._complete_maps(index, value)
        self._leave()

    def _hand_over(self, node: Instruction) -> None:
        """A node has ended for the frame as well."""
        for slot in node.outputs:
            self.frame.slots[slot] = self.slots[slot]
        self.engine.queue(self.engine.release(self.frame, node))

    def _leave(self) -> None:
        if len(self.ended) == len(self.begun):
            self.scope.leave()

    def _failed(self, problem: Problem) -> None:
        if self.kept:
            self.engine.fail_scope(self.frame.scope, problem)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are one, to the type of each part and the order of members."""
    return repr(one) == repr(other) and fingerprint(one) == fingerprint(other)
