"""Operations of the loops and the device dialects, drawn."""

from collections.abc import Callable, Sequence

from xdsl.dialects import func
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AnyFloat,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    MemRefType,
    StridedLayoutAttr,
    VectorType,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.dialects import device, loops
from flowc.dialects.loops import vectors
from flowc.testing.strategies.operations.making import Making, Recipes

INDEX = IndexType()
NUMBERS = (i1, i8, i16, i32, i64, f16, bf16, f32, f64, INDEX)
BYTES: dict[Attribute, int] = {i8: 1, i16: 2, i32: 4, i64: 8, f16: 2, bf16: 2, f32: 4, f64: 8}


def end(m: Making, results: Sequence[Attribute]) -> Operation:
    """Ends a function, or the body of a loop, with values of these types."""
    return func.ReturnOp(*m.values(results)) if m.block is m.entry else loops.EndOp()


def memory(m: Making, element: Attribute, *, shared: bool = False, axes: int | None = None) -> SSAValue:
    """Memory of an element type: of a block of threads, or anywhere."""
    shape = [m.one(4, 16, DYNAMIC_INDEX) for _ in (m.times(2) if axes is None else range(axes))]
    if shared:
        return m.value(device.shared_type(element, shape))
    strides = [None] * len(shape)
    layout = StridedLayoutAttr(strides, None) if shape and m.sometimes() else None
    return m.value(MemRefType(element, shape, *([layout] if layout else [])))


def position(m: Making, base: SSAValue) -> list[SSAValue]:
    """An index for each axis of some memory."""
    assert isinstance(base.type, MemRefType)
    return [m.value(INDEX) for _ in range(base.type.get_num_dims())]


def vector(m: Making, element: Attribute, *extents: int) -> SSAValue:
    """A vector, of one of several sizes where none is given."""
    return m.value(VectorType(element, list(extents or m.one((4,), (8,), (2, 4)))))


def _parallel(m: Making) -> Operation:
    body = m.inner((INDEX, INDEX), ())
    return loops.ParallelOp(m.value(INDEX), m.value(INDEX), m.value(INDEX), body)


def _stream(m: Making) -> Operation:
    element = m.one(*BYTES)
    base = memory(m, element)
    stored = vector(m, element, m.one(16, 32, 64) // BYTES[element])
    return loops.StreamOp(stored, base, position(m, base))


def _prefetch(m: Making) -> Operation:
    base = memory(m, m.one(*BYTES))
    return loops.PrefetchOp(base, position(m, base))


def _opaque(m: Making) -> Operation:
    if m.sometimes():
        type_: AnyFloat = m.one(f32, f64, f16, bf16)
        return loops.OpaqueOp(FloatAttr(float(m.one(0.0, -1.5, "-inf")), type_))
    return loops.OpaqueOp(IntegerAttr(m.number(-8, 7), m.one(i8, i32, i64)))


def _pair_dot(m: Making) -> Operation:
    flushes = m.sometimes()
    return loops.PairDotOp(vector(m, i32, 8), vector(m, i32, 8), vector(m, f32, 8), flushes=flushes)


def _dot(m: Making) -> Operation:
    sums = m.one(4, 8)
    return loops.DotOp(vector(m, i8, 4 * sums), vector(m, i8, 4 * sums), vector(m, i32, sums))


def _sort(m: Making) -> Operation:
    keys = memory(m, m.one(i8, i16, i32, i64))
    return vectors.SortOp(keys, position(m, keys), m.value(INDEX), m.one(2, 4, 16))


def _pack(m: Making) -> Operation:
    element, extents = m.one(i32, f32, i64), m.one((4,), (2, 4))
    return vectors.PackOp(vector(m, element, *extents), vector(m, i1, *extents))


def _quad_dot(m: Making) -> Operation:
    return loops.QuadDotOp(vector(m, i32, 4), vector(m, i32, 4), vector(m, i32, 4))


LOOPS: Recipes = {
    "loops.dot": _dot,
    "loops.fence": lambda m: loops.FenceOp(),
    "loops.opaque": _opaque,
    "loops.pack": _pack,
    "loops.pair_dot": _pair_dot,
    "loops.parallel": _parallel,
    "loops.prefetch": _prefetch,
    "loops.quad_dot": _quad_dot,
    "loops.require": lambda m: loops.RequireOp(m.value(i1), m.number(0, 2**40)),
    "loops.sort": _sort,
    "loops.step": lambda m: loops.StepOp(m.value(INDEX)),
    "loops.stream": _stream,
}
"""Operations of code for processors."""


def _multiply(m: Making) -> Operation:
    dtype = m.one(*device.SUMS)
    return device.MatrixMultiplyOp(
        dtype, vector(m, i32, 4), vector(m, i32, 2), vector(m, device.SUMS[dtype], 4)
    )


def _load(m: Making) -> Operation:
    transpose = m.sometimes()
    source = memory(m, m.one(*((f16, bf16, i16) if transpose else (i8, f16, i32, f32))), shared=True)
    return device.LoadMatrixOp(source, position(m, source), m.one(2, 4), transpose=transpose)


def _shuffle(m: Making) -> Operation:
    value = m.value(m.one(*NUMBERS))
    return device.ShuffleOp(m.one(*device.SHUFFLES), value, m.value(i32), m.one(1, 2, 4, 8, 16, 32))


def _shared_at(m: Making) -> Operation:
    extents = [m.value(INDEX) if m.sometimes() else m.number(1, 9) for _ in m.times()]
    return device.SharedAtOp(m.value(INDEX), m.one(*BYTES), extents)


def _copy(m: Making) -> Operation:
    element = m.one(*BYTES)
    source, target = memory(m, element), memory(m, element, shared=True)
    return device.CopyAsyncOp(source, position(m, source), target, position(m, target), m.value(i1))


def _exchange(m: Making) -> Operation:
    element: IntegerType = m.one(i32, i64)
    cell = memory(m, element)
    return device.CompareExchangeOp(cell, position(m, cell), m.value(element), m.value(element))


def _product(m: Making) -> Operation:
    factor, axes = m.one(*device.RESULTS), m.one(2, 3)
    result = m.one(*device.RESULTS[factor])
    return device.ProductOp(
        memory(m, factor, axes=axes), memory(m, factor, axes=axes), memory(m, result, axes=axes)
    )


def _words(kind: Callable[..., Operation], *dtypes: str) -> Callable[[Making], Operation]:
    count, type_ = (2, f32) if kind is device.PackHalvesOp else (3, i32)
    return lambda m: kind(m.one(*dtypes), *m.values([type_] * count))


DEVICE: Recipes = {
    "device.ballot": lambda m: device.BallotOp(m.value(i1)),
    "device.commit_copies": lambda m: device.CommitCopiesOp(),
    "device.compare_exchange": _exchange,
    "device.copy_async": _copy,
    "device.dot_bytes": _words(device.DotBytesOp, "i8", "u8"),
    "device.fence": lambda m: device.FenceOp(),
    "device.load_matrix": _load,
    "device.matrix_multiply": _multiply,
    "device.pack_halves": _words(device.PackHalvesOp, "f16", "bf16"),
    "device.product": _product,
    "device.shared": lambda m: device.SharedOp(m.one(*BYTES), [m.one(4, 16) for _ in m.times()]),
    "device.shared_at": _shared_at,
    "device.shuffle": _shuffle,
    "device.sync_warp": lambda m: device.SyncWarpOp(),
    "device.wait_copies": lambda m: device.WaitCopiesOp(m.number(0, 63)),
}
"""Operations of code for GPUs."""

BODY: Recipes = LOOPS | DEVICE
