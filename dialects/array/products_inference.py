"""Type rules of the operators built of products."""

from collections.abc import Sequence

from xdsl.ir import Attribute

from flowc.dialects.array.kinds import arity
from flowc.dialects.array.types import (
    Extent,
    ShapeError,
    array_type,
    broadcast,
    dtype_of,
    is_float,
    promote,
    shape_of,
)

STEPS = ("where", "add", "sub", "mul", "div", "minimum", "maximum", "tanh", "abs", "neg")
"""The kinds of operators that may change the scores of attention."""


def attention_type(
    types: Sequence[Attribute],
    scale: Attribute,
    steps: Sequence[tuple[str, Attribute | None]],
    window: int | None,
) -> Attribute:
    """The type of attention over queries, keys and values, by what changes its scores."""
    query, key, value = (shape_of(type_) for type_ in types)
    dtypes = {dtype_of(type_) for type_ in types}
    if len(dtypes) != 1 or not is_float(dtype_of(types[0])):
        raise ShapeError("attention needs queries, keys and values of one floating dtype")
    if not len(query) == len(key) == len(value) or len(query) < 2:
        raise ShapeError("attention needs queries, keys and values of one rank, at least 2")
    if shape_of(scale) or not is_float(dtype_of(scale)):
        raise ShapeError("the scale of attention is a floating number")
    if _differ(query[-1], key[-1]):
        raise ShapeError(f"queries of {query[-1]} features meet keys of {key[-1]}")
    if _differ(key[-2], value[-2]) or any(map(_differ, key[:-2], value[:-2])):
        raise ShapeError("attention needs a value for each key")
    if any(map(_differ, query[:-3], key[:-3])):
        raise ShapeError("queries and keys of attention come in stacks of different extents")
    if len(query) > 2 and _uneven(query[-3], key[-3]):
        raise ShapeError(f"{query[-3]} heads of queries cannot share {key[-3]} heads of keys evenly")
    if window is not None and window < 1:
        raise ShapeError("the window of attention is at least 1")
    whole = (*query[:-1], key[-2])
    for kind, other in steps:
        if kind not in STEPS:
            raise ShapeError(f"the scores of attention cannot be changed by `{kind}`")
        if other is None:
            continue
        if len(shape_of(other)) > len(whole) or len(broadcast([shape_of(other), whole])) != len(whole):
            raise ShapeError("the mask of attention must broadcast to the scores")
        if not (dtype_of(other) == "bool" if kind == "where" else is_float(dtype_of(other))):
            raise ShapeError("the mask of attention is boolean or floating")
    return array_type(dtype_of(types[0]), (*query[:-1], value[-1]))


def check_steps(kinds: Sequence[str], others: int) -> None:
    """Raises ShapeError for steps that attention does not know, or that do not take so many operands."""
    for kind in kinds:
        if kind not in STEPS:
            raise ShapeError(f"the scores of attention cannot be changed by `{kind}`")
    wanted = sum(arity[kind] > 1 for kind in kinds)
    if wanted != others:
        raise ShapeError(f"the steps of attention take {wanted} operands, not {others}")


def convolve_type(
    source: Attribute, filters: Attribute, stride: Sequence[int], padding: Sequence[int]
) -> Attribute:
    """The type of a convolution of images [n, h, w, c] with filters [a, b, c, o]."""
    images, windows = shape_of(source), shape_of(filters)
    if len(images) != 4 or len(windows) != 4:
        raise ShapeError("conv2d needs images [n, h, w, c] and filters [kh, kw, c, o]")
    if dtype_of(source) == "bool" or dtype_of(filters) == "bool":
        raise ShapeError("conv2d needs numbers")
    if _differ(images[3], windows[2]):
        raise ShapeError(f"images of {images[3]} channels meet filters of {windows[2]}")
    if len(stride) != 2 or min(stride) < 1 or len(padding) != 4 or min(padding) < 0:
        raise ShapeError("conv2d needs strides of at least 1 and no negative padding")
    rows = _windows(images[1], windows[0], stride[0], padding[0] + padding[1])
    columns = _windows(images[2], windows[1], stride[1], padding[2] + padding[3])
    return array_type(promote(dtype_of(source), dtype_of(filters)), (images[0], rows, columns, windows[3]))


def _windows(extent: Extent, size: Extent, stride: int, padding: int) -> Extent:
    """How many windows fit into an axis; none where it is shorter than one."""
    if not isinstance(extent, int) or not isinstance(size, int):
        return ""
    return max((extent + padding - size) // stride + 1, 0)


def _differ(a: Extent, b: Extent) -> bool:
    return a != b and isinstance(a, int) and isinstance(b, int)


def _uneven(heads: Extent, shared: Extent) -> bool:
    return isinstance(heads, int) and isinstance(shared, int) and (shared == 0 or heads % shared != 0)
