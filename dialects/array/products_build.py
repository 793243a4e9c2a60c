"""Building attention and convolution; each function infers the result type and raises `ShapeError` where
operands do not fit."""

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    f64,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.dialects.array import build
from flowc.dialects.array import products_inference as inference
from flowc.dialects.array.products import AttentionOp, ConvolveOp
from flowc.dialects.array.types import dtype_of, shape_of

Emit = Callable[[Operation], SSAValue]


def attention(
    query: SSAValue,
    key: SSAValue,
    value: SSAValue,
    scale: SSAValue,
    mask: SSAValue | None = None,
    causal: bool = False,
    window: int | None = None,
    hidden: float | None = None,
    steps: Sequence[tuple[str, SSAValue | None]] = (),
) -> AttentionOp:
    """softmax(scale * query @ key.T) @ value, the scores changed by `steps`, then by a mask.

    A boolean mask says what is seen, any other is added.
    """
    if mask is not None:
        steps = [*steps, ("where" if dtype_of(mask.type) == "bool" else "add", mask)]
    types = (query.type, key.type, value.type)
    changes = [(kind, None if other is None else other.type) for kind, other in steps]
    result = inference.attention_type(types, scale.type, changes, window)
    properties: dict[str, Attribute] = {}
    if steps:
        properties["steps"] = ArrayAttr([StringAttr(kind) for kind, _ in steps])
    if causal:
        properties["causal"] = UnitAttr()
    if window is not None:
        properties["window"] = IntegerAttr(window, i64)
    if hidden is not None:
        properties["hidden"] = FloatAttr(hidden, f64)
    operands = [query, key, value, scale, *(other for _, other in steps if other is not None)]
    return AttentionOp.create(operands=operands, properties=properties, result_types=[result])


def scale_of(emit: Emit, query: SSAValue, given: float | None) -> SSAValue:
    """The scale of attention as a number: as given, else 1 / sqrt of the number of features."""
    wide = "f64" if dtype_of(query.type) == "f64" else "f32"
    features = shape_of(query.type)[-1]
    if given is None and not isinstance(features, int):
        extent = emit(build.cast(emit(build.dim(query, len(shape_of(query.type)) - 1)), wide))
        return emit(build.elementwise("rsqrt", [extent]))
    if given is None:
        given = max(int(features), 1) ** -0.5
    return emit(build.constant(float(given), wide))


def convolve(
    source: SSAValue,
    filters: SSAValue,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0, 0, 0),
) -> ConvolveOp:
    """A two-dimensional convolution, channels last."""
    result = inference.convolve_type(source.type, filters.type, stride, padding)
    properties: dict[str, Attribute] = {
        "stride": DenseArrayBase.from_list(i64, list(stride)),
        "padding": DenseArrayBase.from_list(i64, list(padding)),
    }
    return ConvolveOp.create(operands=[source, filters], properties=properties, result_types=[result])
