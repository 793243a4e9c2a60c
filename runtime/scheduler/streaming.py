"""Calls that are heard as their answers come: what can begin with a part of an answer does.

A `generate` with the setting `stream` reads its answer as it comes: the fields of a record, the items of a
list, the lines or sentences of a text, the steps of a plan. What needs nothing else, and has the setting
`ahead`, runs ahead (see there) until the answer is there and found sound. If that says what was heard, it
goes on as if it had begun with it; else, and wherever the call fails or is tried again, what was begun is
given up. It writes nothing, so nothing is left of it. A plan decides step by step, when its turn has come
(`early_steps`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, evolve, frozen

from flowc.runtime.coerce import Coercer, Mismatch
from flowc.runtime.json_stream import JsonReader, Path
from flowc.runtime.plan_order import reads
from flowc.runtime.providers.base import Request
from flowc.runtime.scheduler.ahead import Ahead, Beside, Early
from flowc.runtime.scheduler.blocks import Block, Instruction
from flowc.runtime.scheduler.early_steps import BegunPlan
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.text_stream import CUTS, TextReader

STREAM = "stream"
"""The setting of calls whose answers may be read while they come."""

AHEAD = "ahead"
"""The setting of what may begin with a part of such an answer, and of what takes those parts."""

ITEM = 0
"""Stands in a path for the place of an item, whichever it is."""

STEP: Path = ("steps", ITEM)
"""Where in an answer the steps of a plan are."""

MOST_NODES = 256
"""Nodes that run ahead of one answer."""


Parts = Mapping[Path, Coercer]
"""The parts of an answer that may count before it is complete: where they stand, how they become values."""


@frozen(eq=False)
class Hearing:
    """What may begin before a call has been answered, and from which parts of the answer.

    `paths` says where in the answer the value of each source stands; `splits` are the sources that split an
    answer that is a text; `plans` run the steps of one that is a plan.
    """

    early: Early
    paths: Mapping[Path, int]
    splits: tuple[Instruction, ...]
    plans: tuple[Instruction, ...]

    def watched(self) -> frozenset[Path]:
        """The containers in an answer whose members count one by one, wrapped or not."""
        inner = [STEP[:1]] if self.plans else []
        inner += [path for path, source in self.paths.items() if source in self.early.items.values()]
        return frozenset({("value",), *inner, *(("value", *path) for path in inner)})


def hearing_of(block: Block, call: Instruction) -> Hearing | None:
    """What may begin before `call` has been answered; None where nothing may."""
    dependents = [other for _, other in call.dependents if other.node.settings.get(AHEAD) is True]
    alone = [other for other in dependents if other.inputs[:1] == (call.output,)]
    plans = tuple(other for other in alone if other.node.op == "execute")
    taking = [other for other in alone if block.before[other.index] == {call.index}]
    fields = [other for other in taking if other.node.op == "field"]
    splits = [
        other
        for other in taking
        if (name := other.node.settings.get("function")) in CUTS
        and len(other.inputs) <= (2 if name == "split" else 1)
    ]
    early = _early(block, call, {each.index: each for each in (call, *fields, *splits)})
    if not early.nodes and not plans:
        return None
    paths: dict[Path, int] = {(str(each.node.settings.get("name")),): each.index for each in fields}
    return Hearing(early, {(): call.index, **paths}, tuple(splits), plans)


def _early(block: Block, call: Instruction, sources: Mapping[int, Instruction]) -> Early:
    """What may run ahead in a block: what waits for these sources, and for others not of the call."""
    made = {slot for each in sources.values() for slot in each.outputs}
    late = {call.index}
    nodes: list[Instruction] = []
    inside: dict[int, frozenset[int]] = {}
    outside: dict[int, tuple[int, ...]] = {}
    items: dict[int, int] = {}
    for index in block.order:
        if index in sources or not (before := block.before[index]) & (late | sources.keys() | inside.keys()):
            continue
        node = block.instructions[index]
        source = _goes_over(node, sources)
        waits = (before & late) - ({call.index} if source == call.index else set())
        if waits or not _may_begin(node) or len(nodes) == MOST_NODES:
            late.add(index)
            continue
        nodes.append(node)
        inside[index] = frozenset(before & (sources.keys() | inside.keys()))
        outside[index] = tuple(slot for slot in {*reads(node.node)} if slot not in made)
        if source is not None:
            items[index] = source
        made.update(node.outputs)
    return Early(sources, tuple(nodes), inside, outside, items)


def _may_begin(node: Instruction) -> bool:
    """Whether a node may run ahead: `execute` begins by steps, an `if` must not decide what `speculate`
    began.
    """
    op = node.node.op
    return node.node.settings.get(AHEAD) is True and op != "execute" and (op != "if" or len(node.inputs) == 1)


def _goes_over(node: Instruction, sources: Mapping[int, Instruction]) -> int | None:
    """The source whose items a map goes over one by one, where it needs nothing else of it."""
    if node.node.op != "map" or len(node.inputs) != 1 or not node.blocks[0].count:
        return None
    (slot,) = node.inputs
    if any(source == slot for source, _ in node.blocks[0].captures):
        return None
    return next((index for index, each in sources.items() if each.outputs == (slot,)), None)


@define(eq=False)
class Streamed:
    """A call that may be heard, and what of it counts early; found out when it is first made."""

    parts: Parts
    hearing: Hearing | None = None
    known: bool = False

    def listener(self, engine: Engine, frame: Frame, call: Instruction) -> "Listener | None":
        """What hears the call in a frame. None where nothing can begin early; where the call itself runs
        ahead; and under a budget, from which what may be for nothing must not take.
        """
        if not self.known:
            self.hearing, self.known = hearing_of(frame.block, call), True
        if self.hearing is None or isinstance(frame, Beside) or frame.scope.budgets:
            return None
        return Listener(engine, frame, call, self.hearing, self.parts)


class Listener:
    """A call that is heard, attempt by attempt."""

    def __init__(
        self, engine: Engine, frame: Frame, call: Instruction, hearing: Hearing, parts: Parts
    ) -> None:
        self.engine = engine
        self.frame = frame
        self.call = call
        self.hearing = hearing
        self.parts = parts
        self.ahead: Ahead | None = None
        self.steps: list[Any] = []
        self.read: Callable[[str], None] | None = None

    async def attempt(self, request: Request, ask: Callable[[Request], Awaitable[Any]]) -> Any:
        """What `ask` gives for the request; meanwhile what can begins with what has come. What a provider
        that was left to itself still tells of an attempt that is over begins nothing.
        """
        with self.engine.guarded():
            self._give_up()  # what a try that came to nothing has begun
            read = self.read = self._json() if request.schema is not None else self._text()
        told = request.stream

        def hear(part: str) -> None:
            if told is not None:
                told(part)
            with self.engine.guarded():
                if self.read is read and not self.frame.scope.cancelled:
                    read(part)
                    self._go_on()

        try:
            return await ask(evolve(request, stream=hear))
        except BaseException:
            with self.engine.guarded():
                self._give_up()
            raise

    def keep(self, answer: Any) -> None:
        """The call has been answered: what was begun counts if the answer is as it was heard."""
        with self.engine.guarded():
            self.read = None
            if self.ahead is not None:
                self.ahead.keep(answer)

    # ---- under the lock

    def _json(self) -> Callable[[str], None]:
        reader = JsonReader(self.hearing.watched())

        def read(part: str) -> None:
            try:
                for path, value in reader.feed(part):
                    self._found(path, value)
            except (Mismatch, RecursionError):
                reader.over = True

        return read

    def _found(self, path: Path, value: Any) -> None:
        """A part of the answer is complete."""
        inner = path[1:] if path[0:1] == ("value",) and len(path) > 1 else path
        place = tuple(ITEM if isinstance(step, int) else step for step in inner)
        convert, source = self.parts.get(place), self.hearing.paths.get(place)
        if convert is None:
            return
        if place == STEP:
            self.steps.append(convert(value))
        elif source is not None:
            self._begun().value(source, convert(value))
        elif place[-1] == ITEM and (source := self.hearing.paths.get(place[:-1])) is not None:
            self._begun().item(source, convert(value))

    def _text(self) -> Callable[[str], None]:
        slots = self.frame.slots
        readers: list[tuple[int, TextReader]] = []
        for each in self.hearing.splits:
            more = [slots[slot] for slot in each.inputs[1:]]
            if all(one is None or (one and type(one) is str) for one in more):
                cut = CUTS[str(each.node.settings.get("function"))](*more)
                readers.append((each.index, TextReader(cut)))

        def read(part: str) -> None:
            for source, reader in readers:
                for item in reader.feed(part):
                    self._begun().item(source, item)

        return read

    def _begun(self) -> Ahead:
        if self.ahead is None:
            self.ahead = Ahead(self.engine, self.frame, self.call, self.hearing.early)
        return self.ahead

    def _go_on(self) -> None:
        if self.ahead is not None:
            self.ahead.go_on()
        slots = self.frame.slots
        for each in self.hearing.plans:
            if self.steps and self.frame.pending[each.index] == 1:
                begun = slots[each.output]
                if not isinstance(begun, BegunPlan):
                    begun = slots[each.output] = BegunPlan(self.engine, self.frame, each)
                begun.more(self.steps[begun.count :])

    def _give_up(self) -> None:
        if self.ahead is not None:
            self.ahead.give_up()
        self.ahead, self.steps, self.read = None, [], None
        if self.frame.scope.cancelled:
            return
        for each in self.hearing.plans:
            begun = self.frame.slots[each.output]
            if isinstance(begun, BegunPlan):
                begun.give_up()
                self.frame.slots[each.output] = None
