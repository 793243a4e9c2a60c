"""Products by the library of the device's maker: which can be asked of it, and which should be."""

from xdsl.dialects import memref
from xdsl.dialects.builtin import MemRefType, StridedLayoutAttr
from xdsl.ir import SSAValue

from flowc.dialects import device
from flowc.dialects.array import ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import is_float, shape_of
from flowc.passes.array_to_gpu.contract.factors import Problem, as_matrix, is_packed, narrowed
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Place

WORTH = {"f16": 1 << 33, "bf16": 1 << 33, "i8": 1 << 34, "f32": 1 << 31, "f64": 1 << 30}
"""Multiplications from which on the library is faster: it is asked through Python, which takes some 40 us,
and multiplies at about 1.5 times the rate of our own code in f32, and twice that elsewhere."""
FUSED_DEPTH = {"f16": 512, "bf16": 512, "i8": 512, "f32": 128, "f64": 128}
"""Steps of a contraction up to which a product is finished as it is made: an element that goes through
memory in between takes as long as so many steps save by the library's rate."""


def pays(s: DeviceLowering, p: Problem, *, finished: bool) -> SSAValue | bool:
    """Whether the library is to compute a product, which something finishes element by element or not."""
    dtype = p.tensor or p.numbers.dtype
    if dtype not in WORTH:
        return False
    number = s.b.product([*p.stack, p.rows, p.columns, p.depth])
    enough = _more(s, number, WORTH[dtype])
    deep = _more(s, p.depth, FUSED_DEPTH[dtype]) if finished else True
    if isinstance(enough, bool):
        return enough and deep
    if isinstance(deep, bool):
        return enough if deep else False
    return s.b.select(enough, deep, enough)


def _more(s: DeviceLowering, number: Index, least: int) -> SSAValue | bool:
    if isinstance(number, int):
        return number > least
    return s.b.compare("sgt", number, s.b.index(least))


def factors_of(
    s: DeviceLowering, op: ops.ContractOp, p: Problem, place: Place | None
) -> tuple[SSAValue, SSAValue] | None:
    """Both factors as the library takes them; None where it does not, or where the order of sums is asked
    for, or where it cannot store the result in its place (None: memory of its own)."""
    ranks = len(shape_of(op.left.type)), len(shape_of(op.right.type))
    dtype = p.tensor or p.numbers.dtype
    if min(ranks) < 2 or dtype not in WORTH or (is_float(p.numbers.dtype) and s.ordered):
        return None
    held = scalars.stored_type(compute_dtype(p.numbers.dtype))
    element = held if place is None else scalars.element_type(place.buffer)
    if element not in device.RESULTS[scalars.stored_type(dtype)]:
        return None
    if place is not None and not (place.dense or (place.whole and max(ranks) == 2)):
        return None
    folds = _folds(op)
    if not folds and s.extents.shape(op.left)[:-2] != s.extents.shape(op.right)[:-2]:
        return None
    one, other = _matrices(s, op.left, dtype, folds), _matrices(s, op.right, dtype, False)
    return None if one is None or other is None else (one, other)


def _folds(op: ops.ContractOp) -> bool:
    """Whether a stack of matrices meets one matrix, and is taken for one itself."""
    return len(shape_of(op.right.type)) == 2 and len(shape_of(op.left.type)) > 2


def _matrices(s: DeviceLowering, value: SSAValue, dtype: str, folds: bool) -> SSAValue | None:
    """A factor as a matrix, or as a stack of them; None where its elements do not lie so in memory."""
    if narrowed(s, value)[0] != dtype:
        return None
    turned = False
    while value not in s.buffers:
        op = value.owner
        if isinstance(op, ops.TransposeOp) and _turns_matrices(op):
            turned, value = not turned, op.source
        elif isinstance(op, ops.CastOp):
            value = op.source
        else:
            return None
    buffer = s.buffers[value]
    if value in s.tiles or scalars.element_type(buffer) != scalars.stored_type(dtype):
        return None
    sizes = s.sizes(value)
    if len(sizes) == 2 and not turned:
        return buffer
    if not is_packed(buffer) or (folds and turned):
        return None
    return _stacked(s, buffer, sizes, folds, turned)


def _turns_matrices(op: ops.TransposeOp) -> bool:
    order = [int(axis) for axis in op.permutation.get_values()]
    rank = len(order)
    return order == [*range(rank - 2), rank - 1, rank - 2]


def _stacked(s: DeviceLowering, buffer: SSAValue, sizes: list[Index], folds: bool, turned: bool) -> SSAValue:
    """Dense memory as one matrix, or as a stack along one axis, perhaps of transposed matrices."""
    *stack, rows, columns = sizes
    if folds:
        return as_matrix(s, buffer, s.b.product([*stack, rows]), columns)
    extents, strides = ([columns, rows], [1, columns]) if turned else ([rows, columns], [columns, 1])
    if stack:
        extents = [s.b.product(stack), *extents]
        strides = [s.b.mul(rows, columns), *strides]
    shape = [extent if isinstance(extent, int) else -1 for extent in extents]
    layout = StridedLayoutAttr([stride if isinstance(stride, int) else None for stride in strides], 0)
    type_ = MemRefType(scalars.element_type(buffer), shape, layout)
    return s.b.insert(memref.ReinterpretCastOp.from_dynamic(buffer, [0], extents, strides, type_))


def multiply(s: DeviceLowering, op: ops.ContractOp, factors: tuple[SSAValue, SSAValue], place: Place) -> None:
    """Asks the library for a product."""
    result = place.buffer
    if len(shape_of(op.result.type)) > 2:
        result = _stacked(s, result, s.sizes(op.result), _folds(op), False)
    s.b.append(device.ProductOp(*factors, result))
