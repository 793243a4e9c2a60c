"""What travels round a loop: its body is run until the types of the names that it changes have settled."""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from xdsl.ir import Attribute, Block, SSAValue

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import UNSETTLED, Refused
from flowc.compiler.python.numeric.expressions import as_type, joined_type
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.jumps import EscapingWhile
from flowc.compiler.python.numeric.liveness import Names
from flowc.compiler.python.numeric.outcome import Runner
from flowc.compiler.python.numeric.values import Array, Number, Storage
from flowc.dialects.array import build, memory
from flowc.dialects.array.types import dtype_of, shape_of, type_of_dtype

ATTEMPTS = 8
NUMBERS = (Number, bool, int, float)


@define
class Carried:
    """What travels round a loop: numbers by dtype and weakness, names whose arrays become memory, and the
    types of arrays that are bound in the loop only and read after it."""

    numbers: dict[str, tuple[str, bool]] = field(factory=dict)
    arrays: set[str] = field(factory=set)
    fresh: dict[str, Attribute] = field(factory=dict)


@frozen
class Round:
    """One attempt at a loop: what stands before it, its body, and the values that travel."""

    before: Block
    body: Block
    starts: tuple[SSAValue, ...]
    ends: tuple[SSAValue, ...]


@frozen
class Settled:
    """A loop whose types have settled."""

    round: Round
    carried: Carried
    arrays: Mapping[str, Array]
    names: Names
    live: Names

    def leave(self, frame: Frame, results: Sequence[SSAValue]) -> None:
        """What the names stand for after the loop."""
        for name in self.names:
            if name not in self.live and name not in self.carried.numbers and name not in self.arrays:
                frame.names.pop(name, None)
        for (name, (_, weak)), result in zip(self.carried.numbers.items(), results, strict=True):
            frame.names[name] = Number(result, weak)
        frame.names.update(self.arrays)


def carry(
    frame: Frame,
    node: ast.For | ast.While,
    names: Names,
    head: Names,
    live: Names,
    run: Runner,
    enter: Callable[[SSAValue], None] | None,
    counters: Sequence[Any],
) -> Settled:
    """Runs the body until the types of what travels round have settled."""
    c = frame.c
    before = dict(frame.names)
    carried = Carried()
    for name in sorted(names & head):
        if name in before and isinstance(before[name], NUMBERS):
            carried.numbers[name] = joined_type([before[name]])
    counts = dict(c.counts)
    for _ in range(ATTEMPTS):
        frame.names = dict(before)
        c.counts = dict(counts)
        settled, loop = _attempt(frame, node, names, head, live, run, enter, counters, carried, before)
        if settled:
            frame.names = dict(before)
            c.take(loop.round.before)
            return loop
        for block in (loop.round.body, loop.round.before):
            block.drop_all_references()
    raise Refused("the types of the names in this loop do not settle", code=UNSETTLED)


def _attempt(
    frame: Frame,
    node: ast.For | ast.While,
    names: Names,
    head: Names,
    live: Names,
    run: Runner,
    enter: Callable[[SSAValue], None] | None,
    counters: Sequence[Any],
    carried: Carried,
    before: Mapping[str, object],
) -> tuple[bool, Settled]:
    c = frame.c
    outside = Block()
    arrays: dict[str, Array] = {}
    travelling = list(carried.numbers)
    with c.inside(outside):
        starts = tuple(as_type(frame, before.get(name, 0), carried.numbers[name]) for name in travelling)
        for name in sorted(carried.arrays):
            old = before[name]
            assert isinstance(old, Array)
            arrays[name] = c.copied(c.memory(c.value(old)), old)
        for name, type_ in carried.fresh.items():
            arrays[name] = _zeros(c, name, type_)
    types = [type_of_dtype[carried.numbers[name][0]] for name in travelling]
    inner = Block(arg_types=[*counters, *types])
    for name, argument in zip(travelling, inner.args[len(counters) :], strict=True):
        frame.names[name] = Number(argument, carried.numbers[name][1])
    frame.names.update(arrays)
    written = {storage: storage.writes for storage in c.visible()}
    with c.inside(inner, loops=1):
        if enter is not None:
            enter(inner.args[0])
        run(frame, node.body, head)
        kept = _bound_where_read(node, live)
        settled = _settle(frame, names, head, live, kept, carried, before, arrays)
        ends = (
            tuple(as_type(frame, frame.names[name], carried.numbers[name]) for name in travelling)
            if settled
            else ()
        )
        if settled:
            _store_arrays(frame, arrays)
            _note_copies(frame, arrays, written)
    return settled, Settled(Round(outside, inner, starts, ends), carried, arrays, names, live)


def _bound_where_read(node: ast.For | ast.While, live: Names) -> Names:
    """The names that have a value after the loop if they are read there, though it may run no round."""
    if not isinstance(node, EscapingWhile):
        return frozenset()
    return live if node.endless else live & node.kept


def _zeros(c: Context, name: str, type_: Attribute) -> Array:
    extents = [c.known_extent(extent) for extent in shape_of(type_)]
    if any(extent is None for extent in extents):
        raise Refused(
            f"`{name}` is made in the loop, with an extent that only the run knows, and read after it",
            help="make the array before the loop",
            code=UNSETTLED,
        )
    zero = c.constant(0, dtype_of(type_))
    sizes = [c.extent_value(extent) for extent in extents]
    return c.memory(c.emit(build.broadcast(zero, shape_of(type_), sizes)))


def _settle(
    frame: Frame,
    names: Names,
    head: Names,
    live: Names,
    kept: Names,
    carried: Carried,
    before: Mapping[str, object],
    arrays: Mapping[str, Array],
) -> bool:
    """Whether the names end a round as they began it; what does not is carried at the next attempt."""
    settled = True
    for name in sorted(names & head):
        now = frame.names.get(name)
        if isinstance(now, NUMBERS) and name in carried.numbers:
            begun = carried.numbers[name]
            joined = joined_type([Number(_typed(begun), begun[1]), now])
            settled, carried.numbers[name] = settled and joined == begun, joined
        elif isinstance(now, NUMBERS) and name not in before:
            carried.numbers[name] = joined_type([now])
            settled = False
        elif isinstance(now, Array):
            settled = _settle_array(name, now, live, kept, carried, before, arrays) and settled
        elif name in before and now is not before[name] and now != before[name]:
            raise Refused(f"`{name}` stands for another thing after each round", code=UNSETTLED)
    return settled


def _settle_array(
    name: str,
    now: Array,
    live: Names,
    kept: Names,
    carried: Carried,
    before: Mapping[str, object],
    arrays: Mapping[str, Array],
) -> bool:
    old = arrays.get(name, before.get(name))
    if old is None:
        if name in kept:
            carried.fresh[name] = now.type
            return False
        if name in live:
            raise Refused(
                f"`{name}` has no value if the loop runs no round",
                help="make the array before the loop",
                code=UNSETTLED,
            )
        return True
    if not isinstance(old, Array):
        raise Refused(f"`{name}` is a number before the loop and an array in it", code=UNSETTLED)
    if now.storage is old.storage and now.views == old.views:
        return True
    if now.dtype != old.dtype or len(now.shape) != len(old.shape):
        raise Refused(f"`{name}` changes its dtype or its rank in the loop", code=UNSETTLED)
    if name in carried.arrays or name in carried.fresh:
        _refuse_alias(name, old)
        return True
    carried.arrays.add(name)
    return False


def _refuse_alias(name: str, old: Array) -> None:
    if old.storage.writes:
        raise Refused(
            f"`{name}` is changed in place and bound anew in the same loop",
            help=f"change it in place only: `{name}[:] = ...`",
        )


def _store_arrays(frame: Frame, arrays: Mapping[str, Array]) -> None:
    """At the end of a round: first all values, then all writes, as names that swap need it."""
    c = frame.c
    ended = {name: frame.names[name] for name in arrays}
    values = {name: c.value(value) for name, value in ended.items() if isinstance(value, Array)}
    for name, value in values.items():
        if ended[name] is not arrays[name]:
            c.append(memory.write(value, c.value(arrays[name])))


def _note_copies(frame: Frame, arrays: Mapping[str, Array], written: Mapping[Storage, int]) -> None:
    """What a name is bound to at the end of a round is the array that it begins the next one with."""
    for name, begun in arrays.items():
        ended = frame.names[name]
        if not isinstance(ended, Array) or ended.storage is begun.storage:
            continue
        if ended.storage.writes > written.get(ended.storage, ended.storage.writes):
            raise Refused(
                f"`{name}` is bound to an array that is changed in the same loop",
                help=f"bind it to a copy: `{name} = x.copy()`",
            )
        begun.storage.copied = (*begun.storage.copied, ended.storage)


def _typed(type_: tuple[str, bool]) -> SSAValue:
    """A value that only stands for its type."""
    return Block(arg_types=[type_of_dtype[type_[0]]]).args[0]
