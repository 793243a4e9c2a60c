"""Building array operators: each function infers the result type and raises `ShapeError` where operands do
not fit.

Python numbers are weak: give them `constant(value, dtype)` with the dtype of the array they meet
(`weak_dtype`).
"""

import math
from collections.abc import Sequence

from xdsl.dialects.builtin import (
    AnyFloat,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import SSAValue

from flowc.dialects.array import inference, ops
from flowc.dialects.array.slices import SliceSpec, dynamic_bounds
from flowc.dialects.array.types import (
    Extent,
    RangeError,
    ShapeError,
    array_type,
    integer_range,
    is_float,
    shape_of,
    type_of_dtype,
)


def constant(value: bool | int | float, dtype: str) -> ops.ConstantOp:
    """A number of this dtype; raises ShapeError where an integer does not fit."""
    element = type_of_dtype[dtype]
    attribute: IntegerAttr | FloatAttr
    if isinstance(element, AnyFloat):
        try:
            attribute = FloatAttr(float(value), element)
        except OverflowError:  # it rounds to infinity, as in NumPy
            attribute = FloatAttr(math.inf if value > 0 else -math.inf, element)
    elif isinstance(element, IntegerType):
        if isinstance(value, float) and not value.is_integer():
            raise ShapeError(f"{value} is no {dtype}")
        number = int(value)
        low, high = integer_range(dtype)
        if dtype != "bool" and not low <= number <= high:
            raise RangeError(f"{number} does not fit in {dtype}")
        attribute = IntegerAttr(int(bool(number)) if dtype == "bool" else number, element)
    return ops.ConstantOp.create(properties={"value": attribute}, result_types=[element])


def weak_dtype(value: bool | int | float, other: str) -> str:
    """The dtype a Python number takes beside an array of dtype `other`.

    >>> weak_dtype(2, "f32"), weak_dtype(0.5, "i8"), weak_dtype(True, "i8")
    ('f32', 'f64', 'i8')
    """
    if isinstance(value, bool) or is_float(other):
        return other
    if isinstance(value, int):
        return "i64" if other == "bool" else other
    return "f64"


def elementwise(kind: str, operands: Sequence[SSAValue]) -> ops.ElementwiseOp:
    """An elementwise operator of `kinds.arity` over broadcast operands."""
    return ops.ElementwiseOp.create(
        operands=operands,
        properties={"kind": StringAttr(kind)},
        result_types=[inference.elementwise_type(kind, [operand.type for operand in operands])],
    )


def cast(source: SSAValue, dtype: str) -> ops.CastOp:
    """`source` with elements of `dtype`."""
    return ops.CastOp.create(operands=[source], result_types=[array_type(dtype, shape_of(source.type))])


def reduce(
    kind: str, source: SSAValue, axes: Sequence[int] | None = None, keepdims: bool = False
) -> ops.ReduceOp:
    """A reduction over `axes`, or over all of them."""
    normal = inference.normalise_axes(axes, len(shape_of(source.type)))
    return ops.ReduceOp.create(
        operands=[source],
        properties={
            "kind": StringAttr(kind),
            "axes": DenseArrayBase.from_list(i64, normal),
            **_keepdims(keepdims),
        },
        result_types=[inference.reduce_type(kind, source.type, normal, keepdims)],
    )


def argreduce(kind: str, source: SSAValue, axis: int = -1, keepdims: bool = False) -> ops.ArgReduceOp:
    """`argmax` or `argmin` along an axis."""
    normal = inference.normalise_axis(axis, len(shape_of(source.type)))
    return ops.ArgReduceOp.create(
        operands=[source],
        properties={"kind": StringAttr(kind), "axis": IntegerAttr(normal, i64), **_keepdims(keepdims)},
        result_types=[inference.argreduce_type(source.type, normal, keepdims)],
    )


def contract(left: SSAValue, right: SSAValue) -> ops.ContractOp:
    """`left @ right`."""
    return ops.ContractOp.create(
        operands=[left, right], result_types=[inference.contract_type(left.type, right.type)]
    )


def transpose(source: SSAValue, permutation: Sequence[int] | None = None) -> ops.TransposeOp:
    """The axes in the order of `permutation`, reversed by default."""
    rank = len(shape_of(source.type))
    order = [inference.normalise_axis(axis, rank) for axis in permutation or range(rank - 1, -1, -1)]
    return ops.TransposeOp.create(
        operands=[source],
        properties={"permutation": DenseArrayBase.from_list(i64, order)},
        result_types=[inference.transpose_type(source.type, order)],
    )


def slices(source: SSAValue, spec: SliceSpec, bounds: Sequence[SSAValue] = ()) -> ops.SliceOp:
    """`source[spec]`, with the i64 values that `$0`, `$1` ... in it stand for."""
    if dynamic_bounds(spec) != len(bounds):
        raise ShapeError(f"slice {spec} needs {dynamic_bounds(spec)} bounds, not {len(bounds)}")
    return ops.SliceOp.create(
        operands=[source, *bounds],
        properties={"spec": StringAttr(str(spec))},
        result_types=[inference.slice_type(source.type, spec)],
    )


def index(source: SSAValue, position: SSAValue, axis: int = 0) -> ops.IndexOp:
    """`source[position]` along `axis`; `position` is an i64."""
    normal = inference.normalise_axis(axis, len(shape_of(source.type)))
    return ops.IndexOp.create(
        operands=[source, position],
        properties={"axis": IntegerAttr(normal, i64)},
        result_types=[inference.index_type(source.type, normal)],
    )


def gather(source: SSAValue, indices: SSAValue) -> ops.GatherOp:
    """`source[indices]` along axis 0."""
    return ops.GatherOp.create(
        operands=[source, indices], result_types=[inference.gather_type(source.type, indices.type)]
    )


def expand(source: SSAValue, axis: int) -> ops.ExpandOp:
    """A new axis of extent 1 before `axis`."""
    normal = inference.normalise_axis(axis, len(shape_of(source.type)) + 1)
    return ops.ExpandOp.create(
        operands=[source],
        properties={"axis": IntegerAttr(normal, i64)},
        result_types=[inference.expand_type(source.type, normal)],
    )


def broadcast(source: SSAValue, shape: Sequence[Extent], extents: Sequence[SSAValue]) -> ops.BroadcastOp:
    """`source` stretched to `shape`; `extents` are the same as i64 values."""
    return ops.BroadcastOp.create(
        operands=[source, *extents], result_types=[inference.broadcast_type(source.type, tuple(shape))]
    )


def softmax(source: SSAValue, axis: int = -1) -> ops.SoftmaxOp:
    """The softmax along an axis."""
    normal = inference.normalise_axis(axis, len(shape_of(source.type)))
    return ops.SoftmaxOp.create(
        operands=[source],
        properties={"axis": IntegerAttr(normal, i64)},
        result_types=[inference.softmax_type(source.type, normal)],
    )


def topk(source: SSAValue, count: SSAValue, extent: Extent = "") -> ops.TopKOp:
    """The `count` largest along the last axis; `extent` is that number, or its name, where known."""
    owner = count.owner
    if extent == "" and isinstance(owner, ops.ConstantOp) and isinstance(owner.value, IntegerAttr):
        extent = owner.value.value.data
    return ops.TopKOp.create(
        operands=[source, count], result_types=list(inference.topk_types(source.type, extent))
    )


def concat(inputs: Sequence[SSAValue], axis: int = 0) -> ops.ConcatOp:
    """Arrays joined along an axis."""
    types = [value.type for value in inputs]
    result = inference.concat_type(types, axis)
    normal = inference.normalise_axis(axis, len(shape_of(result)))
    return ops.ConcatOp.create(
        operands=inputs, properties={"axis": IntegerAttr(normal, i64)}, result_types=[result]
    )


def iota(extent: SSAValue, size: Extent = "") -> ops.IotaOp:
    """0, 1, ... below the i64 `extent`; `size` is the same number, or its name, where one is known."""
    return ops.IotaOp.create(operands=[extent], result_types=[inference.iota_type(size)])


def dim(source: SSAValue, axis: int) -> ops.DimOp:
    """The extent of an axis, as i64."""
    normal = inference.normalise_axis(axis, len(shape_of(source.type)))
    return ops.DimOp.create(
        operands=[source], properties={"axis": IntegerAttr(normal, i64)}, result_types=[i64]
    )


def _keepdims(keepdims: bool) -> dict[str, UnitAttr]:
    return {"keepdims": UnitAttr()} if keepdims else {}
