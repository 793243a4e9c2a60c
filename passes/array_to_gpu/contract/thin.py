"""Products with few rows or columns, which the speed of memory bounds: the large factor is read once, by
vectors where it allows it."""

from collections.abc import Callable, Sequence

from attrs import evolve
from xdsl.dialects import vector
from xdsl.dialects.builtin import VectorType, i8, i32
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.dialects.array.types import bits
from flowc.passes.array_to_gpu.across import across_warp
from flowc.passes.array_to_gpu.contract.cuts import (
    Cut,
    Finish,
    Here,
    Sink,
    below,
    block_at,
    blocks_of,
    by_parts,
    part_of,
)
from flowc.passes.array_to_gpu.contract.factors import DEPTH, SIDE, Factor, Problem
from flowc.passes.array_to_gpu.contract.panels import load_chunk
from flowc.passes.array_to_gpu.contract.tensor import as_tensor
from flowc.passes.array_to_gpu.launch import Threads, barrier, launch, only_if, sweep, unravelled
from flowc.passes.array_to_gpu.limits import VECTOR_BYTES, WARP, WARPS
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.reductions import Carried

FEW = 8
"""Rows or columns that are few: a thread has a sum for each."""
SUMS = 64
"""Sums of a thread."""
MOST_PARTS = 1024
"""Parts of a contraction whose result has few elements."""


def by_elements(s: DeviceLowering, p: Problem, finish: Finish) -> None:
    """A thread for each element of the result, for short contractions."""

    def element(at: tuple[Index, ...]) -> None:
        *stack, i, j = at

        def add(k: SSAValue, carried: Carried) -> Sequence[SSAValue]:
            one, other = p.left.element(tuple(stack), i, k), p.right.element(tuple(stack), j, k)
            factors = p.numbers.widened(s, one), p.numbers.widened(s, other)
            return (p.numbers.multiplied(s, *factors, carried[0]),)

        (total,) = s.b.loop(0, p.depth, (p.numbers.zero(s),), add)
        finish([p.numbers.result(s, total)], [p.position(tuple(stack), i, j)])

    sweep(s, [*p.stack, p.rows, p.columns], element, "product")


def lanes_of(factor: Factor) -> int:
    """How many numbers of a factor a vector has."""
    return VECTOR_BYTES * 8 // max(bits(factor.stored), 8)


def by_lines(s: DeviceLowering, p: Problem, finish: Finish, *, vectors: bool) -> None:
    """A warp, or part of one, for each row of the left factor, which lies along the contraction; there are
    few columns."""
    columns = p.columns
    assert isinstance(columns, int)
    count = lanes_of(p.left) if vectors and p.left.dense else 1
    dots = count > 1 and _has_dots(s, p)
    p = as_tensor(p) if dots else p
    width = _width(p.depth, count)
    lines = WARP // width

    def form(cut: Cut, sink: Sink) -> None:
        total = s.top.product([*p.stack, cut.parts, p.rows])

        def body(threads: Threads) -> None:
            lane = s.b.remainder(threads.thread[0], width)
            warp = s.b.add(s.b.mul(threads.block[0], WARPS), threads.thread[1])
            number = s.b.index(s.b.add(s.b.mul(warp, lines), s.b.quotient(threads.thread[0], width)))
            known = below(s, number, total)
            inside = s.b.min(number, s.top.sub(total, 1))
            outer, i = s.b.quotient(inside, p.rows), s.b.remainder(inside, p.rows)
            matrix, part = s.b.quotient(outer, cut.parts), s.b.remainder(outer, cut.parts)
            here = Here(unravelled(s, matrix, p.stack), matrix, part, i, 0, *part_of(s, p, cut, part))
            sums = _line(s, p, here, i, s.b.mul(lane, count), count * width, count, dots)
            found = [across_warp(s, (total,), _adds(s, p), threads.thread[0], width)[0] for total in sums]
            only_if(s, known, lambda: _one_each(s, here, found, i, s.b.index(lane), sink))

        launch(s, "lines", [s.top.ceiling(total, WARPS * lines)], [WARP, WARPS], body)

    by_parts(s, p, form, finish, (WARPS * lines, columns, count * width), MOST_PARTS)


def turned(s: DeviceLowering, p: Problem) -> Problem:
    """A product for `by_lines` whose right factor lies along the contraction: what lies otherwise is
    copied first, since every line would have to gather it anew."""
    if p.stack or (p.right.dense and p.right.contiguous == DEPTH):
        return p
    dtype = p.numbers.dtype
    memory = s.allocate(scalars.stored_type(dtype), [p.columns, p.depth])

    def store(at: tuple[Index, ...]) -> None:
        scalars.store(s.b, p.right.element((), *at), memory, at)

    sweep(s, [p.columns, p.depth], store, "turn")
    right = Factor(
        element=lambda _, j, k: scalars.load(s.b, memory, [j, k], dtype),
        place=lambda _, j, k: (memory, [j, k]),
        stored=dtype,
        contiguous=DEPTH,
        dense=True,
    )
    return evolve(p, right=right)


def _width(depth: Index, count: int) -> int:
    """The threads that share a row: as many as have something to read."""
    width = WARP
    while isinstance(depth, int) and width > FEW and (width // 2) * count >= depth:
        width //= 2
    return width


def _adds(s: DeviceLowering, p: Problem) -> Callable[[Carried, Carried], Carried]:
    return lambda one, other: (p.numbers.added(s, one[0], other[0]),)


def _line(
    s: DeviceLowering, p: Problem, here: Here, i: Index, first: Index, step: int, count: int, dots: bool
) -> tuple[SSAValue, ...]:
    """What a thread adds up of one row times each column: `count` numbers at a time, bytes by `dots`."""
    assert isinstance(p.columns, int)
    together = p.right.dense and p.right.contiguous == DEPTH

    def words(k: SSAValue, before: Carried) -> Sequence[SSAValue]:
        left, after = _words(s, p.left, here, i, k), list(before)
        for j in range(len(after)):
            for one, other in zip(left, _words(s, p.right, here, j, k), strict=True):
                after[j] = s.b.insert(device.DotBytesOp(p.tensor, one, other, after[j]))
        return after

    def some(k: SSAValue, before: Carried) -> Sequence[SSAValue]:
        left = _numbers(s, p, p.left, here, i, k, count, vectors=count > 1)
        after = list(before)
        for j in range(len(after)):
            right = _numbers(s, p, p.right, here, j, k, count, vectors=count > 1 and together)
            for one, other in zip(left, right, strict=True):
                after[j] = p.numbers.multiplied(s, one, other, after[j])
        return after

    zeros = (p.numbers.zero(s),) * p.columns
    return s.b.loop(s.b.add(here.low, first), here.high, zeros, words if dots else some, step=step)


def _has_dots(s: DeviceLowering, p: Problem) -> bool:
    """Whether both factors are bytes that lie in memory along the contraction."""
    both = p.left.dense and p.right.dense and p.left.contiguous == p.right.contiguous == DEPTH
    return both and p.tensor in ("i8", "u8") and p.left.stored == p.right.stored == p.tensor


def _words(s: DeviceLowering, factor: Factor, here: Here, side: Index, depth: Index) -> list[SSAValue]:
    """16 bytes of a factor as words."""
    assert factor.place is not None
    buffer, at = factor.place(here.stack, side, depth)
    s.vectored.add(buffer)
    loaded = s.b.insert(vector.LoadOp(buffer, [s.b.index(i) for i in at], VectorType(i8, [VECTOR_BYTES])))
    words = s.b.insert(vector.BitcastOp(loaded, VectorType(i32, [VECTOR_BYTES // 4])))
    return [s.b.insert(vector.ExtractOp(words, (word,), i32)) for word in range(VECTOR_BYTES // 4)]


def _numbers(
    s: DeviceLowering,
    p: Problem,
    factor: Factor,
    here: Here,
    side: Index,
    depth: Index,
    count: int,
    *,
    vectors: bool,
    axis: str = DEPTH,
) -> list[SSAValue]:
    """Neighbours of a factor, widened."""

    def moved(by: int) -> tuple[Index, Index]:
        return (side, s.b.add(depth, by)) if axis == DEPTH else (s.b.add(side, by), depth)

    def pack(held: SSAValue) -> SSAValue:
        return p.numbers.widened(s, held)

    found: list[SSAValue] = []
    while vectors and len(found) < count:
        at = moved(len(found))
        found += load_chunk(s, p, factor, here.stack, *at, count - len(found), p.numbers.sums, pack)
    while len(found) < count:
        found.append(pack(factor.element(here.stack, *moved(len(found)))))
    return found


def _one_each(
    s: DeviceLowering, here: Here, sums: Sequence[SSAValue], i: Index, lane: SSAValue, sink: Sink
) -> None:
    """The first lanes hand on a sum each."""
    value = sums[0]
    for number, total in enumerate(sums[1:], 1):
        value = s.b.select(s.b.compare("eq", lane, s.b.index(number)), total, value)
    column = lane if len(sums) > 1 else 0
    only_if(s, below(s, lane, len(sums)), lambda: sink(here, [value], i, [column]))


def by_columns(s: DeviceLowering, p: Problem, finish: Finish, *, vectors: bool) -> None:
    """Neighbouring threads have neighbouring columns of the right factor, whose rows lie in memory; there
    are few rows. The warps of a block share the contraction."""
    assert isinstance(p.rows, int)
    rows = p.rows
    count = min(lanes_of(p.right), _power(SUMS // rows), WARPS) if vectors and p.right.dense else 1
    size = (rows, WARP * count, WARPS)

    def form(cut: Cut, sink: Sink) -> None:
        def body(threads: Threads) -> None:
            lane, warp = threads.thread[0], threads.thread[1]
            here = block_at(s, p, size, cut, threads.block[0])
            own = s.b.add(here.column, s.b.mul(lane, count))
            sums = _column(s, p, here, own, warp, count)
            shared = s.b.insert(device.SharedOp(p.numbers.sums, [WARPS, WARP * count]))
            for i in range(rows):
                if i:
                    barrier(s)
                for place in range(count):
                    at = [warp, s.b.add(s.b.mul(lane, count), place)]
                    s.b.store(sums[i * count + place], shared, at)
                barrier(s)
                _add_warps(s, p, here, shared, (lane, warp), count, i, sink)

        launch(s, "columns", [blocks_of(s, p, size, cut)], [WARP, WARPS], body)

    by_parts(s, p, form, finish, size)


def _power(number: int) -> int:
    """The greatest power of two that is not above a number."""
    return 1 << (max(number, 1).bit_length() - 1)


def _column(
    s: DeviceLowering, p: Problem, here: Here, first: Index, warp: SSAValue, count: int
) -> tuple[SSAValue, ...]:
    """What a thread adds up for `count` neighbouring columns of each row; nothing beyond the last column."""
    assert isinstance(p.rows, int)
    rows = p.rows

    def some(k: SSAValue, before: Carried) -> Sequence[SSAValue]:
        right = _numbers(s, p, p.right, here, first, k, count, vectors=count > 1, axis=SIDE)
        after = list(before)
        for i in range(rows):
            left = p.numbers.widened(s, p.left.element(here.stack, i, k))
            for place, other in enumerate(right):
                after[i * count + place] = p.numbers.multiplied(s, left, other, after[i * count + place])
        return after

    zeros = (p.numbers.zero(s),) * (rows * count)
    high = s.b.select(below(s, first, p.columns), s.b.index(here.high), s.b.index(here.low))
    return s.b.loop(s.b.add(here.low, warp), high, zeros, some, step=WARPS)


def _add_warps(
    s: DeviceLowering,
    p: Problem,
    here: Here,
    shared: SSAValue,
    threads: tuple[SSAValue, SSAValue],
    count: int,
    i: int,
    sink: Sink,
) -> None:
    """The sums of all warps for one row, in order, a column a thread."""
    lane, warp = threads
    flat = s.b.index(s.b.add(s.b.mul(warp, WARP), lane))

    def column() -> None:
        parts = [s.b.load(shared, [number, flat]) for number in range(WARPS)]
        while len(parts) > 1:
            parts = [p.numbers.added(s, *pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        j = s.b.add(here.column, flat)
        only_if(s, below(s, j, p.columns), lambda: sink(here, parts, i, [j]))

    only_if(s, below(s, flat, count * WARP), column)
