"""Scattering rows on a device: a copy of the base, unless it is changed where it is, then all rows at once.

Of rows that go to the same place the last one is found first, by the greatest number: it wins, or speaks for
all of them when they are combined. Integers of 32 and 64 bits are combined right where they belong.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, gpu
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of, is_float
from flowc.passes.array_to_gpu.irregular.atomics import change
from flowc.passes.array_to_gpu.irregular.grouped import group
from flowc.passes.array_to_gpu.irregular.grouping import Grouping, Visit, visit
from flowc.passes.array_to_gpu.irregular.segment import combined_dtype, neutral
from flowc.passes.array_to_gpu.launch import only_if, sweep, unravelled
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place, aligned

OF_BOOLS = {"sum": "max", "prod": "min"}
"""Bools as the numbers 0 and 1: what an extreme of them does."""


@frozen(eq=False)
class _Rows:
    """The rows that are scattered: the extents of the indices and of a row, and where rows go; `last` has the
    number of the last index that names each place, where several may."""

    s: DeviceLowering
    op: irregular.ScatterOp
    destination: SSAValue
    numbers: Sequence[Index]
    inner: Sequence[Index]
    places: Index
    last: SSAValue | None = None

    def split(self, at: Sequence[Index]) -> tuple[Sequence[Index], Sequence[Index]]:
        """The position in the indices and the one in a row."""
        rank = len(self.numbers)
        return at[:rank], at[rank:]

    def place(self, number: Sequence[Index]) -> Index:
        """Where a row goes."""
        index = self.s.as_dtype(self.op.indices, number, "i64")
        place = self.s.b.to_index(index)
        return place if self.op in self.s.inside else self.s.checked(place, self.places)

    def value(self, at: Sequence[Index]) -> SSAValue:
        """An element of a row, in the dtype of the base."""
        return self.s.as_dtype(
            self.op.values, aligned(self.op.values, tuple(at)), dtype_of(self.op.base.type)
        )


def lower_scatter(s: DeviceLowering, op: irregular.ScatterOp, destination: SSAValue) -> None:
    """The base with rows written; positions have been checked."""
    sizes = s.sizes(op.base)
    if s.buffers.get(op.base) is not destination:
        _copy(s, op.base, destination)
    rows = _Rows(s, op, destination, s.sizes(op.indices), sizes[1:], sizes[0])
    dtype = dtype_of(op.base.type)
    if op.kind.data == "set":
        _set(_with_last(rows))
    elif dtype in ("i32", "i64"):
        _combine_there(rows)
    else:
        _combine(_with_last(rows))


def _copy(s: DeviceLowering, base: SSAValue, destination: SSAValue) -> None:
    """Stores the base, as a whole where it lies in memory as it shall."""
    source = s.buffers.get(base)
    if source is not None and source.type == destination.type and Place(source).dense:
        s.b.append(gpu.MemcpyOp(source, destination))
        return
    sweep(
        s, s.sizes(base), lambda at: scalars.store(s.b, s.element(base, at), destination, at), "scatter_base"
    )


def _with_last(rows: _Rows) -> _Rows:
    """Finds the last of the rows that go to each place."""
    s = rows.s
    type_ = i32 if s.narrow else i64
    last = s.allocate(type_, [rows.places])
    sweep(s, [rows.places], lambda at: s.b.store(s.b.constant(-1, type_), last, at), "scatter_begin")

    def read(at: Sequence[Index]) -> Sequence[SSAValue]:
        number = s.b.insert(arith.IndexCastOp(s.b.index(_number(rows, at)), type_))
        return s.b.index(rows.place(at)), number

    def act(element: Sequence[SSAValue]) -> None:
        place, number = element
        change(s, "max", number, last, [place])

    visit(s, "scatter_last", Visit(rows.numbers, read, act))
    return _Rows(s, rows.op, rows.destination, rows.numbers, rows.inner, rows.places, last)


def _last(rows: _Rows, place: Index) -> SSAValue:
    """The number of the last row that goes to a place."""
    assert rows.last is not None
    return rows.s.b.to_index(rows.s.b.load(rows.last, [place]))


def _number(rows: _Rows, number: Sequence[Index]) -> Index:
    """The number of a row."""
    found: Index = 0
    for size, i in zip(rows.numbers, number, strict=True):
        found = rows.s.b.add(rows.s.b.mul(found, size), i)
    return found


def _set(rows: _Rows) -> None:
    """Stores the last row of each place."""
    s = rows.s
    sizes = [*rows.numbers, *rows.inner]

    def read(at: Sequence[Index]) -> Sequence[SSAValue]:
        number, inner = rows.split(at)
        place = rows.place(number)
        wins = s.b.compare("eq", _last(rows, place), s.b.index(_number(rows, number)))
        return wins, s.b.index(place), *map(s.b.index, inner), rows.value([*number, *inner])

    def act(element: Sequence[SSAValue]) -> None:
        wins, *at, value = element
        only_if(s, wins, lambda: scalars.store(s.b, value, rows.destination, at))

    visit(s, "scatter", Visit(sizes, read, act))


def _combine_there(rows: _Rows) -> None:
    """Combines integers where they belong."""
    s, kind = rows.s, rows.op.kind.data
    sizes = [*rows.numbers, *rows.inner]

    def read(at: Sequence[Index]) -> Sequence[SSAValue]:
        number, inner = rows.split(at)
        return s.b.index(rows.place(number)), *map(s.b.index, inner), rows.value([*number, *inner])

    def act(element: Sequence[SSAValue]) -> None:
        *at, value = element
        change(s, kind, value, rows.destination, at)

    visit(s, f"scatter_{kind}", Visit(sizes, read, act))


def _combine(rows: _Rows) -> None:
    """Combines the rows of each place with one another, by the number of the last, and then with the base."""
    s, op = rows.s, rows.op
    kind, dtype = op.kind.data, dtype_of(op.base.type)
    sizes, width = [*rows.numbers, *rows.inner], s.top.product(rows.inner)
    carried = combined_dtype(kind, dtype)

    def entry(at: Sequence[Index]) -> tuple[SSAValue, SSAValue]:
        number, inner = rows.split(at)
        found: Index = _last(rows, rows.place(number))
        for size, i in zip(rows.inner, inner, strict=True):
            found = s.b.add(s.b.mul(found, size), i)
        return s.b.index(found), s.b.constant(1, scalars.held_type("bool"))

    def value(at: Sequence[Index]) -> SSAValue:
        return _converted(s, rows.value(at), dtype, carried)

    def finish(which: Index, total: SSAValue) -> None:
        number, inner = rows.split(unravelled(s, which, sizes))
        place = rows.place(number)
        at = [place, *inner]

        def store() -> None:
            before = _converted(s, scalars.load(s.b, rows.destination, at, dtype), dtype, carried)
            kind_ = {"sum": "add", "prod": "mul", "min": "minimum", "max": "maximum"}[own]
            after = scalars.apply(s.b, kind_, carried, [before, total])
            scalars.store(s.b, _converted(s, after, carried, dtype), rows.destination, at)

        only_if(s, s.b.compare("eq", _last(rows, place), s.b.index(_number(rows, number))), store)

    own = OF_BOOLS.get(kind, kind) if dtype == "bool" else kind
    start = neutral(own, dtype)
    entries = s.top.mul(s.top.product(rows.numbers), width)
    single = is_float(dtype) and dtype != "f64"
    group(s, Grouping(f"scatter_{kind}", own, carried, start, entries, sizes, entry, value, finish, single))


def _converted(s: DeviceLowering, value: SSAValue, source: str, target: str) -> SSAValue:
    return value if source == target else scalars.convert(s.b, value, source, target)
