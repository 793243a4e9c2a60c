"""Building attention and convolution; each function infers the result type and raises `ShapeError` where
operands do not fit."""

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, UnitAttr, f64, i64
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
) -> AttentionOp:
    """softmax(scale * query @ key.T + mask) @ value."""
    types = (query.type, key.type, value.type)
    result = inference.attention_type(types, scale.type, mask.type if mask is not None else None, window)
    properties: dict[str, Attribute] = {}
    if causal:
        properties["causal"] = UnitAttr()
    if window is not None:
        properties["window"] = IntegerAttr(window, i64)
    if hidden is not None:
        properties["hidden"] = FloatAttr(hidden, f64)
    operands = [query, key, value, scale, *([] if mask is None else [mask])]
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
