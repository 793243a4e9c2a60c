"""What travels round a loop: its body is run until the types of the names that it changes have settled."""

import ast
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen
from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute, Block, SSAValue

from flowc.compiler.python.numeric.arithmetic import beside, to_dtype
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import UNSETTLED, Refused
from flowc.compiler.python.numeric.expressions import as_type, joined_type
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.jumps import EscapingWhile
from flowc.compiler.python.numeric.liveness import Names
from flowc.compiler.python.numeric.outcome import Runner
from flowc.compiler.python.numeric.values import NUMBERS, Array, Number, Storage
from flowc.dialects.array import build, memory
from flowc.dialects.array.types import dtype_of, shape_of, type_of_dtype

ATTEMPTS = 8


@define
class Carried:
    """What travels round a loop: numbers by dtype and weakness, names whose arrays become memory, and the
    types of arrays that are bound in the loop only and read after it, or that take the place of a number."""

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
class Loop:
    """A loop as it is written: the names that it binds, those read at its head and those read after it; how
    its body is run, and what is done first with the number of the round, if its rounds are counted."""

    node: ast.For | ast.While
    names: Names
    head: Names
    live: Names
    run: Runner
    enter: Callable[[SSAValue], None] | None = None


@frozen
class Settled:
    """A loop whose types have settled."""

    loop: Loop
    round: Round
    carried: Carried
    arrays: Mapping[str, Array]

    def leave(self, frame: Frame, results: Sequence[SSAValue]) -> None:
        """What the names stand for after the loop."""
        for name in self.loop.names - self.loop.live:
            if name not in self.carried.numbers and name not in self.arrays:
                frame.names.pop(name, None)
        for (name, (_, weak)), result in zip(self.carried.numbers.items(), results, strict=True):
            frame.names[name] = Number(result, weak)
        frame.names.update(self.arrays)


def carry(frame: Frame, loop: Loop) -> Settled:
    """Runs the body until the types of what travels round have settled."""
    c = frame.c
    before = dict(frame.names)
    carried = Carried()
    for name in sorted(loop.names & loop.head):
        if name in before and isinstance(before[name], NUMBERS):
            carried.numbers[name] = joined_type([before[name]])
    counts = dict(c.counts)
    for _ in range(ATTEMPTS):
        frame.names = dict(before)
        c.counts = dict(counts)
        settled, attempt = _attempt(frame, loop, carried, before)
        if settled:
            frame.names = dict(before)
            c.take(attempt.round.before)
            return attempt
        for block in (attempt.round.body, attempt.round.before):
            block.drop_all_references()
    raise Refused("the types of the names in this loop do not settle", code=UNSETTLED)


def _attempt(
    frame: Frame, loop: Loop, carried: Carried, before: Mapping[str, object]
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
            arrays[name] = _full(c, name, type_, before.get(name, 0))
    counters = [] if loop.enter is None else [i64]
    types = [type_of_dtype[carried.numbers[name][0]] for name in travelling]
    inner = Block(arg_types=[*counters, *types])
    for name, argument in zip(travelling, inner.args[len(counters) :], strict=True):
        frame.names[name] = Number(argument, carried.numbers[name][1])
    frame.names.update(arrays)
    written = {storage: storage.writes for storage in c.visible()}
    ends: tuple[SSAValue, ...] = ()
    with c.inside(inner, loops=1):
        if loop.enter is not None:
            loop.enter(inner.args[0])
        loop.run(frame, loop.node.body, loop.head)
        settled = _settle(frame, loop, carried, before, arrays)
        if settled:
            ends = tuple(as_type(frame, frame.names[name], carried.numbers[name]) for name in travelling)
            _store_arrays(frame, arrays)
            _note_copies(frame, arrays, written)
    return settled, Settled(loop, Round(outside, inner, starts, ends), carried, arrays)


def _bound_where_read(loop: Loop) -> Names:
    """The names that have a value after the loop if they are read there, though it may run no round."""
    if not isinstance(loop.node, EscapingWhile):
        return frozenset()
    return loop.live if loop.node.endless else loop.live & loop.node.kept


def _full(c: Context, name: str, type_: Attribute, number: object) -> Array:
    """An array of one number: of zeros, or of what the name stands for before the loop."""
    extents = [c.known_extent(extent) for extent in shape_of(type_)]
    if any(extent is None for extent in extents):
        raise Refused(
            f"`{name}` is made in the loop, with an extent that only the run knows, and read later",
            help="make the array before the loop",
            code=UNSETTLED,
        )
    value = to_dtype(c, beside(c, number, dtype_of(type_)), dtype_of(type_))
    sizes = [c.extent_value(extent) for extent in extents]
    return c.memory(c.emit(build.broadcast(value, shape_of(type_), sizes)))


def _settle(
    frame: Frame,
    loop: Loop,
    carried: Carried,
    before: Mapping[str, object],
    arrays: Mapping[str, Array],
) -> bool:
    """Whether the names end a round as they began it; what does not is carried at the next attempt."""
    settled = True
    for name in sorted(loop.names & loop.head):
        now = frame.names.get(name)
        if isinstance(now, NUMBERS) and name in carried.numbers:
            begun = carried.numbers[name]
            joined = joined_type([Number(_typed(begun), begun[1]), now])
            settled, carried.numbers[name] = settled and joined == begun, joined
        elif isinstance(now, NUMBERS) and name not in before:
            carried.numbers[name] = joined_type([now])
            settled = False
        elif isinstance(now, Array) and name in carried.numbers:
            carried.fresh[name] = now.type
            del carried.numbers[name]
            settled = False
        elif isinstance(now, Array):
            settled = _settle_array(loop, name, now, carried, before, arrays) and settled
        elif name in before and now is not before[name] and now != before[name]:
            raise Refused(f"`{name}` stands for another thing after each round", code=UNSETTLED)
    return settled


def _settle_array(
    loop: Loop,
    name: str,
    now: Array,
    carried: Carried,
    before: Mapping[str, object],
    arrays: Mapping[str, Array],
) -> bool:
    old = arrays.get(name, before.get(name))
    if old is None:
        if name in _bound_where_read(loop):
            carried.fresh[name] = now.type
            return False
        if name in loop.live:
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
