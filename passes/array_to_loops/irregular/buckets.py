"""Sorting a long vector of keys on several threads: its keys are distributed to buckets, which are then
sorted side by side.

A sample of the keys gives the limits of buckets. Each chunk of the vector parts its own keys by them, by two
and two; then the chunks' shares of a bucket are copied to one place.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith
from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute, SSAValue

from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.irregular.partition import KeyVectors, Row, copy, part
from flowc.passes.array_to_loops.irregular.quick import STACK, Work, quicksort
from flowc.passes.array_to_loops.irregular.ranges import ceil_divide, grain_of, scratch

LEVELS = 5
BUCKETS = 1 << LEVELS
SAMPLE = 256
MANY = 1 << 16
"""Shorter vectors are one bucket."""
LEAST_CHUNK = 1 << 14
NANOSECONDS = 6
"""What a key costs, about."""

Emit = Callable[[Row, Index, Index], None]
"""Takes the keys of a range of a row, which are in order."""


@frozen
class Vector:
    """A vector of keys: two rows of memory, how long it is, and what gives a key."""

    k: KeyVectors
    rows: SSAValue
    extent: Index
    key_of: Callable[[Index], SSAValue]


@frozen
class _Tables:
    """The sorted sample, the least key of each bucket, where buckets begin, and the same for each chunk in
    the first row of keys and in the second."""

    sample: SSAValue
    limits: SSAValue
    starts: SSAValue
    own: SSAValue
    shared: SSAValue


def sort_vector(v: Vector, emit: Emit) -> None:
    """Sorts all keys; `emit` is called for each bucket that is in order."""
    b = v.k.b
    many = b.compare("sge", b.index(v.extent), b.index(MANY))
    chunks = b.add(ceil_divide(b, v.extent, _grain(v)), 1)
    memory: list[tuple[Attribute, Sequence[Index]]] = [(v.k.type, [SAMPLE]), (v.k.type, [BUCKETS + 1])]
    memory += [(i64, [BUCKETS + 1]), (i64, [chunks, BUCKETS + 1]), (i64, [chunks, BUCKETS + 1])]

    def with_tables(*buffers: SSAValue) -> None:
        tables = _Tables(*buffers)

        def distributed() -> Sequence[SSAValue]:
            _choose(v, tables)
            _distribute(v, tables)
            return b.index(BUCKETS), b.index(1)

        def alone() -> Sequence[SSAValue]:
            _fill(v, 0, v.extent)
            b.store(b.constant(0, i64), tables.starts, [0])
            b.store(b.to_integer(v.extent), tables.starts, [1])
            b.store(b.constant(0, v.k.type), tables.limits, [0])
            b.store(b.constant(0, v.k.type), tables.limits, [1])
            return b.index(1), b.index(0)

        count, row = b.branch(many, distributed, alone)
        _sort_buckets(v, tables, count, row, emit)

    scratch(b, memory, with_tables)


def _grain(v: Vector) -> Index:
    return grain_of(v.k.b, v.extent, LEAST_CHUNK)


def _fill(v: Vector, low: Index, high: Index) -> None:
    def one(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        v.k.b.store(v.key_of(i), v.rows, [0, i])
        return ()

    v.k.b.loop(low, high, (), one)


def _choose(v: Vector, tables: _Tables) -> None:
    """Sorts a sample by rank and takes the limits of the buckets from it; below the first is nothing."""
    b = v.k.b
    distance = b.quotient(v.extent, SAMPLE)
    scratch(b, [(v.k.type, [SAMPLE])], lambda picked: _rank(v, tables, distance, picked))

    def limit(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        key = b.load(tables.sample, [b.mul(number, SAMPLE // BUCKETS)])
        b.store(key, tables.limits, [number])
        return ()

    b.loop(1, BUCKETS, (), limit)
    for end in (0, BUCKETS):
        b.store(b.constant(0, v.k.type), tables.limits, [end])


def _rank(v: Vector, tables: _Tables, distance: Index, picked: SSAValue) -> None:
    b, one, none = v.k.b, v.k.b.constant(1, i64), v.k.b.constant(0, i64)
    b.nest([SAMPLE], lambda at: b.store(v.key_of(b.mul(at[0], distance)), picked, at))

    def place(at: tuple[SSAValue, ...]) -> None:
        own = b.load(picked, at)

        def before(j: SSAValue, count: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            other = b.load(picked, [j])
            less, equal = b.compare("ult", other, own), b.compare("eq", other, own)
            earlier = b.insert(arith.AndIOp(equal, b.compare("ult", j, at[0])))
            ahead = b.insert(arith.OrIOp(less, earlier))
            return (b.insert(arith.AddiOp(count[0], b.select(ahead, one, none))),)

        b.store(own, tables.sample, [b.to_index(b.loop(0, SAMPLE, (none,), before)[0])])

    b.nest([SAMPLE], place)


def _distribute(v: Vector, tables: _Tables) -> None:
    """Moves all keys to their buckets, in the second row."""
    b, grain = v.k.b, _grain(v)
    first, second = Row(v.rows, [0]), Row(v.rows, [1])
    work = b.mul(v.extent, NANOSECONDS)

    def chunk(low: SSAValue, high: SSAValue) -> None:
        number = b.quotient(low, grain)
        _fill(v, low, high)
        b.store(b.to_integer(low), tables.own, [number, 0])
        b.store(b.to_integer(high), tables.own, [number, BUCKETS])

        def level(_: SSAValue, carried: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            (span,) = carried
            half = b.insert(arith.ShRUIOp(span, b.index(1)))

            def halves(start: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                ends = [b.to_index(b.load(tables.own, [number, at])) for at in (start, b.add(start, span))]
                middle = b.add(start, half)
                found = part(v.k, first, second, ends[0], ends[1], b.load(tables.limits, [middle]))
                b.store(b.to_integer(found), tables.own, [number, middle])
                return ()

            b.loop(0, BUCKETS, (), halves, span, plain=True)
            return (half,)

        b.loop(0, LEVELS, (b.index(BUCKETS),), level, plain=True)

    def gather(low: SSAValue, _: SSAValue) -> None:
        number = b.quotient(low, grain)

        def share(bucket: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            start, end = (b.to_index(b.load(tables.own, [number, b.add(bucket, at)])) for at in (0, 1))
            target = b.to_index(b.load(tables.shared, [number, bucket]))
            copy(v.k, (first, start), (second, target), b.sub(end, start))
            return ()

        b.loop(0, BUCKETS, (), share, plain=True)

    b.parallel(v.extent, grain, work, chunk)
    _place(v, tables, ceil_divide(b, v.extent, grain))
    b.parallel(v.extent, grain, work, gather)


def _place(v: Vector, tables: _Tables, chunks: Index) -> None:
    """Where each bucket begins, and the share of each chunk in it."""
    b = v.k.b

    def of_bucket(bucket: SSAValue, before: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        b.store(before[0], tables.starts, [bucket])

        def of_chunk(number: SSAValue, running: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            b.store(running[0], tables.shared, [number, bucket])
            start, end = (b.load(tables.own, [number, b.add(bucket, at)]) for at in (0, 1))
            return (b.insert(arith.AddiOp(running[0], b.insert(arith.SubiOp(end, start)))),)

        return b.loop(0, chunks, before, of_chunk)

    end = b.loop(0, BUCKETS, (b.constant(0, i64),), of_bucket)[0]
    b.store(end, tables.starts, [BUCKETS])


def _sort_buckets(v: Vector, tables: _Tables, count: SSAValue, row: SSAValue, emit: Emit) -> None:
    b = v.k.b
    rows = Row(v.rows, [row]), Row(v.rows, [b.sub(1, row)])

    def bucket(low: SSAValue, _: SSAValue) -> None:
        def sort(stack: SSAValue) -> None:
            start, end = (b.to_index(b.load(tables.starts, [b.add(low, at)])) for at in (0, 1))
            least, next_least = (b.load(tables.limits, [b.add(low, at)]) for at in (0, 1))
            most = b.insert(arith.SubiOp(next_least, b.constant(1, v.k.type)))
            work = Work(v.k, *rows, stack)
            quicksort(work, start, end, (least, most))
            emit(rows[0], start, end)

        scratch(b, [STACK], sort)

    b.parallel(count, 1, b.mul(v.extent, NANOSECONDS), bucket)
