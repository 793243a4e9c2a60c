"""Bringing rows of queries, keys and values into the memory of a block, as halves.

Where they lie in memory as halves, side by side and aligned, copies run beside the arithmetic; else each
thread computes what it brings.
"""

from collections.abc import Callable, Sequence

from attrs import frozen
from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import FixedBitwidthType, MemRefType, NoneAttr, VectorType
from xdsl.ir import Operation, SSAValue

from flowc.dialects import device
from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_to_gpu.launch import only_if, sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering, is_aligned
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Indices, Place
from flowc.passes.array_to_loops.reductions import Carried
from flowc.passes.array_to_loops.stored import contiguous_axis, located, stored_as

CHUNK = 8
"""Halves in 16 bytes: what one copy brings, and one row of a matrix that tensor cores load."""


@frozen
class Panel:
    """`rows` rows of `columns` halves in shared memory, so placed that 8 rows of a chunk meet all banks: by
    swapping chunks within each row where it fills all banks, else by a chunk between rows."""

    memory: SSAValue
    rows: int
    columns: int

    @property
    def swapped(self) -> bool:
        """Whether chunks are swapped."""
        return _swaps(self.columns)


def _swaps(columns: int) -> bool:
    return columns % 64 == 0


def panel_bytes(rows: int, columns: int) -> int:
    """The shared memory of a panel."""
    return rows * (columns if _swaps(columns) else columns + CHUNK) * 2


def panel_at(s: DeviceLowering, offset: int, rows: int, columns: int, dtype: str) -> Panel:
    """A panel in the shared memory that the launch asks for."""
    stride = panel_bytes(rows, columns) // rows // 2
    shared = device.SharedAtOp(s.b.index(offset), scalars.stored_type(dtype), [rows, stride])
    return Panel(s.b.insert(shared), rows, columns)


def chunk_position(s: DeviceLowering, panel: Panel, row: Index, chunk: Index) -> list[SSAValue]:
    """Where a chunk of a row begins."""
    b = s.b
    if panel.swapped:
        phase = b.insert(arith.AndIOp(b.index(row), b.index(7)))
        chunk = b.insert(arith.XOrIOp(b.index(chunk), phase))
    return [b.index(row), b.index(b.mul(chunk, CHUNK))]


@frozen
class Source:
    """Rows of an operand: `at(row)` is the position of one in the stack and along the rows, and whether there
    is such a row. `copies` says whether its chunks can be copied as they lie: None if they cannot."""

    value: SSAValue
    at: Callable[[Index], tuple[Indices, SSAValue]]
    copies: SSAValue | bool


def copyable(s: DeviceLowering, value: SSAValue, dtype: str) -> SSAValue | bool:
    """Whether the last axis of a value lies in memory in whole, aligned chunks, as the host finds."""
    rank = len(shape_of(value.type))
    stored = stored_as(s, value, dtype, scalars.stored_type(dtype)) and not _picked(s, value)
    if not stored or contiguous_axis(s, value) != rank - 1:
        return False
    buffer, at = located(s, value, (0,) * rank)
    type_ = buffer.type
    assert isinstance(type_, MemRefType)
    if not isinstance(type_.layout, NoneAttr):
        return False
    b, last = s.b, type_.get_num_dims() - 1
    extent = type_.get_shape()[last]
    width: Index = extent if extent >= 0 else b.insert(memref.DimOp(buffer, b.index(last)))
    ragged = [b.remainder(each, CHUNK) for each in (width, at[last])]
    if any(isinstance(each, int) and each for each in ragged):
        return False
    unknown = [each for each in ragged if isinstance(each, SSAValue)]
    if not is_aligned(buffer):
        address = b.insert(memref.ExtractAlignedPointerAsIndexOp.get(buffer))
        unknown.append(b.index(b.remainder(address, CHUNK * 2)))
    if not unknown:
        return True
    bits = unknown[0]
    for each in unknown[1:]:
        bits = b.insert(arith.OrIOp(bits, each))
    return b.compare("eq", bits, b.index(0))


def _picked(s: DeviceLowering, value: SSAValue) -> bool:
    """Whether it takes data to find where an element of a view lies."""
    while value not in s.buffers:
        op = value.owner
        if isinstance(op, ops.GatherOp):
            return True
        assert isinstance(op, Operation)
        value = op.operands[0]
    return False


def as_halves(s: DeviceLowering, value: SSAValue, dtype: str) -> None:
    """Brings an operand into memory of its own, as halves, where it lies otherwise: later launches of the
    same code find it there."""
    if copyable(s, value, dtype) is not False:
        return
    sizes = s.sizes(value)
    place = Place(s.allocate(scalars.stored_type(dtype), sizes))
    own = dtype_of(value.type)
    assert own == dtype
    sweep(s, sizes, lambda at: s.store(s.element(value, at), place, at), "halves")
    s.tiles.pop(value, None)
    s.settle(value, place)


def stage(
    s: DeviceLowering, panel: Panel, source: Source, dtype: str, thread: SSAValue, threads: int
) -> None:
    """All threads of a block bring the rows of a panel; those that there are not are zeros."""

    def copy(row: Index, chunk: Index) -> None:
        at, inside = source.at(row)
        buffer, position = located(s, source.value, (*at, s.b.mul(chunk, CHUNK)))
        indices = [s.b.index(i) for i in position]
        target = chunk_position(s, panel, row, chunk)
        s.b.append(device.CopyAsyncOp(buffer, indices, panel.memory, target, inside))

    def compute(row: Index, chunk: Index) -> None:
        at, inside = source.at(row)
        target = chunk_position(s, panel, row, chunk)
        some, none = _computed(s, source.value, (*at, s.b.mul(chunk, CHUNK)), dtype), _zeros(s, dtype)
        s.b.either(inside, lambda: _store(s, some(), panel, target), lambda: _store(s, none(), panel, target))

    def one_by_one() -> None:
        def some(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
            chunks = panel.columns // CHUNK
            compute(s.b.quotient(number, chunks), s.b.remainder(number, chunks))
            return ()

        s.b.loop(thread, panel.rows * panel.columns // CHUNK, (), some, step=threads, plain=True)

    s.b.either(source.copies, lambda: _for_chunks(s, panel, thread, threads, copy), one_by_one)


def _for_chunks(
    s: DeviceLowering, panel: Panel, thread: SSAValue, threads: int, body: Callable[[Index, Index], None]
) -> None:
    """The chunks of a panel that a thread brings; neighbours bring neighbours."""
    b, chunks = s.b, panel.columns // CHUNK
    total = panel.rows * chunks
    if threads % chunks or total % threads:

        def some(number: SSAValue, _: Carried) -> Sequence[SSAValue]:
            body(b.quotient(number, chunks), b.remainder(number, chunks))
            return ()

        b.loop(thread, total, (), some, step=threads)
        return
    first, chunk, apart = b.quotient(thread, chunks), b.remainder(thread, chunks), threads // chunks

    def several(n: SSAValue, _: Carried) -> Sequence[SSAValue]:
        body(b.add(b.mul(n, apart), first), chunk)
        return ()

    b.loop(0, total // threads, (), several)


def _computed(
    s: DeviceLowering, value: SSAValue, at: Sequence[Index], dtype: str
) -> Callable[[], list[SSAValue]]:
    """Code for the elements of a chunk as halves."""

    def code() -> list[SSAValue]:
        half = scalars.stored_type(dtype)
        places = [(*at[:-1], s.b.add(at[-1], lane)) for lane in range(CHUNK)]
        return [scalars.stored(s.b, s.as_dtype(value, place, dtype), half) for place in places]

    return code


def _zeros(s: DeviceLowering, dtype: str) -> Callable[[], list[SSAValue]]:
    def code() -> list[SSAValue]:
        zero = s.b.constant(0, scalars.held_type(dtype))
        return [scalars.stored(s.b, zero, scalars.stored_type(dtype))] * CHUNK

    return code


def _store(s: DeviceLowering, halves: Sequence[SSAValue], panel: Panel, target: Sequence[SSAValue]) -> None:
    s.b.append(vector.StoreOp(packed(s, halves), panel.memory, target))


def packed(s: DeviceLowering, values: Sequence[SSAValue]) -> SSAValue:
    """Values side by side in a vector."""
    whole = s.b.insert(vector.BroadcastOp(values[0], VectorType(values[0].type, [len(values)])))
    for number, value in enumerate(values[1:], 1):
        whole = s.b.insert(vector.InsertOp(value, whole, (number,)))
    return whole


def change_signs(
    s: DeviceLowering, panel: Panel, offset: int, condition: SSAValue, thread: SSAValue, threads: int
) -> None:
    """Changes the sign of all halves of a panel, at its offset in shared memory, under a condition that all
    threads share."""
    b, words = s.b, panel_bytes(panel.rows, panel.columns) // 4
    type_ = scalars.stored_type("i32")
    assert isinstance(type_, FixedBitwidthType)
    memory = b.insert(device.SharedAtOp(b.index(offset), type_, [words]))

    def change() -> None:
        def one(word: SSAValue, _: Carried) -> Sequence[SSAValue]:
            signs = b.constant(-0x7FFF8000, type_)
            b.store(b.insert(arith.XOrIOp(b.load(memory, [word]), signs)), memory, [word])
            return ()

        b.loop(thread, words, (), one, step=threads)

    only_if(s, condition, change)
