"""Elementwise operators on a device: each thread computes neighbours, by vectors of 16 bytes where memory
lies dense, and goes on by the stride of the grid."""

from collections.abc import Mapping, Sequence

from xdsl.dialects.builtin import FixedBitwidthType, StringAttr
from xdsl.ir import Operation, SSAValue

from flowc.passes.array_to_gpu.either import by_vectors, either
from flowc.passes.array_to_gpu.launch import (
    Threads,
    blocks_for,
    launch,
    neighbours,
    only_if,
    strided,
    sweep,
    unravelled,
)
from flowc.passes.array_to_gpu.limits import BLOCK, VECTOR_BYTES
from flowc.passes.array_to_gpu.lowering import DeviceLowering, is_dense
from flowc.passes.array_to_gpu.transposes import lower_across, read_across, worth_turning
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place
from flowc.passes.array_to_loops.stages import FLAT, NoFlatForm, Stage, reads

Stores = Sequence[tuple[SSAValue, Place]]
MOST_ROWS = 1 << 14
"""Blocks along the second axis of a grid, which has at most 65,535."""


def lower_elementwise(s: DeviceLowering, stages: Sequence[Stage], places: Mapping[SSAValue, Place]) -> None:
    """Stores the values of stages that go through the same positions; others are computed where they are
    used."""
    stores = [(stage.result, places[stage.result]) for stage in stages if stage.result in places]
    if not stores:
        return
    name = name_of([value for value, _ in stores])
    sizes = s.sizes(stores[0][0])
    count = lanes_of(s, stages, places)
    if not sizes:
        sweep(s, [], lambda at: store_at(s, stores, [at]), name)
    elif _is_flat(s, stages, stores):
        _flat(s, stores, sizes, count, name)
    else:
        turned = read_across(s, stages)

        def single() -> None:
            sweep(s, sizes, lambda at: store_at(s, stores, [at]), name)

        def in_place() -> None:
            _rows(s, stores, sizes, count, name)

        pays = False if turned is None else worth_turning(s, turned, sizes)
        if turned is None or pays is False:
            in_place()
        else:
            either(s, pays, lambda: lower_across(s, turned, stores, sizes, name), single)


def name_of(values: Sequence[SSAValue]) -> str:
    """What a launch does, by the last operators of what it computes."""
    words = []
    for value in values:
        if isinstance(value.owner, Operation):
            kind = value.owner.properties.get("kind")
            words.append(kind.data if isinstance(kind, StringAttr) else value.owner.name.split(".")[-1])
    return "_".join(list(dict.fromkeys(words))[:3]) or "elementwise"


def lanes_of(s: DeviceLowering, stages: Sequence[Stage], places: Mapping[SSAValue, Place]) -> int:
    """How many neighbours a thread computes, so that the widest elements fill a vector; one where some of
    what is read does not lie dense."""
    buffers = [place.buffer for value, place in places.items() if any(value is t.result for t in stages)]
    for stage in stages:
        buffers += [s.buffers[value] for value, _ in reads(s, stage, None, set()) if value in s.buffers]
    if not all(map(is_dense, buffers)):
        return 1
    sizes = [_bytes_of(buffer) for buffer in buffers]
    return max(VECTOR_BYTES // max(sizes, default=VECTOR_BYTES), 1)


def _bytes_of(buffer: SSAValue) -> int:
    element = scalars.element_type(buffer)
    return element.size if isinstance(element, FixedBitwidthType) else 8


def _is_flat(s: DeviceLowering, stages: Sequence[Stage], stores: Stores) -> bool:
    """Whether everything that is read or stored has the same positions in row-major order."""
    return reads_flat(s, stages) and all(place.dense for _, place in stores)


def reads_flat(s: DeviceLowering, stages: Sequence[Stage]) -> bool:
    """Whether everything that stages read has the positions of their sweep in row-major order. Positions are
    counted along the last axis, so that must not be known to have one alone."""
    for stage in stages:
        assert stage.space is not None
        if stage.rank > 1 and s.extents.shape(stage.space)[-1] == 1:
            return False
        try:
            for _ in reads(s, stage, FLAT, set()):
                pass
        except NoFlatForm:
            return False
    return True


def store_at(s: DeviceLowering, stores: Stores, at: Sequence[Sequence[Index]]) -> None:
    """Stores the elements of all values at some neighbours, once all of them are computed."""
    found = [[s.element(value, position) for position in at] for value, _ in stores]
    for values, (_, place) in zip(found, stores, strict=True):
        s.store_lanes(values, place, at)


def _flat(s: DeviceLowering, stores: Stores, sizes: Sequence[Index], count: int, name: str) -> None:
    total = s.top.product(sizes)
    before = (0,) * (len(sizes) - 1)

    def vectors() -> None:
        whole = s.top.floordiv(total, count)

        def body(threads: Threads) -> None:
            def vector(i: SSAValue) -> None:
                base = s.b.index(s.b.mul(i, count))
                store_at(s, stores, [(*before, position) for position in neighbours(s, base, count)])

            def rest(i: SSAValue) -> None:
                store_at(s, stores, [(*before, s.b.add(s.b.mul(whole, count), i))])

            strided(s, threads, whole, vector)
            left = s.b.sub(total, s.b.mul(whole, count))
            if left != 0:
                strided(s, threads, left, rest)

        launch(s, name, [blocks_for(s, s.top.ceiling(total, count))], [BLOCK], body)

    def single() -> None:
        def body(threads: Threads) -> None:
            strided(s, threads, total, lambda i: store_at(s, stores, [(*before, i)]))

        launch(s, name, [blocks_for(s, total)], [BLOCK], body)

    if count == 1:
        single()
    else:
        by_vectors(s, vectors, single)


def _rows(s: DeviceLowering, stores: Stores, sizes: Sequence[Index], count: int, name: str) -> None:
    """Threads side by side go along a row, and the grid's second axis from rows to rows."""

    def by(lanes: int) -> None:
        _along_rows(s, stores, sizes, lanes, name)

    if count == 1:
        by(1)
        return
    even = s.top.remainder(sizes[-1], count)
    fits = even == 0 if isinstance(even, int) else s.b.compare("eq", even, s.b.index(0))
    by_vectors(s, lambda: by(count), lambda: by(1), fits)


def _along_rows(s: DeviceLowering, stores: Stores, sizes: Sequence[Index], lanes: int, name: str) -> None:
    """A block takes as many rows at once as it has threads for; the threads left over have none."""
    rows = s.counted(sizes[:-1])
    steps = s.top.floordiv(sizes[-1], lanes)
    width = s.top.max(s.top.min(steps, BLOCK), 1)
    high = s.top.quotient(BLOCK, width)

    def body(threads: Threads) -> None:
        x, y = s.b.remainder(threads.thread[0], width), s.b.quotient(threads.thread[0], width)
        first = s.b.add(s.b.mul(threads.block[0], width), x)
        stride = s.b.mul(threads.blocks[0], width)

        def row(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            outer = unravelled(s, number, sizes[:-1])

            def visit(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                base = s.b.index(s.b.mul(i, lanes))
                store_at(s, stores, [(*outer, position) for position in neighbours(s, base, lanes)])
                return ()

            s.b.loop(first, steps, (), visit, step=stride)
            return ()

        def all_rows() -> None:
            low = s.b.add(s.b.mul(threads.block[1], high), y)
            s.b.loop(low, rows, (), row, step=s.b.mul(threads.blocks[1], high))

        whole = isinstance(width, int) and BLOCK % width == 0
        only_if(s, whole or s.b.compare("slt", s.b.index(y), s.b.index(high)), all_rows)

    blocks = [blocks_for(s, steps, width), s.top.min(s.top.ceiling(rows, high), MOST_ROWS)]
    launch(s, name, blocks, [BLOCK], body)
