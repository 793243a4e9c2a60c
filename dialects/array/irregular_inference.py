"""Shape and dtype rules of the irregular operators; each raises `ShapeError` where operands do not fit."""

from xdsl.ir import Attribute

from flowc.dialects.array.inference import normalise_axis
from flowc.dialects.array.kinds import reduction_dtype
from flowc.dialects.array.types import (
    Extent,
    Shape,
    ShapeError,
    array_type,
    dtype_of,
    is_float,
    promote,
    shape_of,
    shape_text,
)

SCANS = ("sum", "prod", "min", "max")
SCATTERS = ("set", *SCANS)
SEGMENTS = ("count", *SCANS)
RANDOM = {"bits": ("i64",), "uniform": ("f32", "f64"), "normal": ("f32", "f64")}
"""The kinds of random numbers and the dtypes they come in."""


def sort_type(source: Attribute, axis: int) -> Attribute:
    """The type of a sorted array: that of the source, which needs the axis."""
    normalise_axis(axis, len(shape_of(source)))
    return source


def argsort_type(source: Attribute, axis: int) -> Attribute:
    """The type of the positions that sort an axis."""
    shape = shape_of(source)
    normalise_axis(axis, len(shape))
    return array_type("i64", shape)


def order_statistics_type(source: Attribute, first: Attribute, count: int) -> Attribute:
    """The type of some neighbours in the order of each line: `first` is one number, or one for each line."""
    shape = shape_of(source)
    if not shape:
        raise ShapeError("a number has no order")
    if dtype_of(first) != "i64" or len(shape_of(first)) not in (0, len(shape) - 1):
        raise ShapeError(f"the first position is one i64, or one for each line of {shape_text(shape)}")
    return array_type(dtype_of(source), (*shape[:-1], count))


def true_positions_type(source: Attribute) -> Attribute:
    """The type of the positions of true elements, as many as there are elements."""
    if dtype_of(source) != "bool" or len(shape_of(source)) != 1:
        raise ShapeError(
            f"true positions are those of a vector of bools, not of {shape_text(shape_of(source))}"
        )
    return array_type("i64", shape_of(source))


def pick_type(source: Attribute, mask: Attribute) -> Attribute:
    """The type of what a mask picks, as many as there are elements."""
    if dtype_of(mask) != "bool" or len(shape_of(mask)) != 1 or len(shape_of(source)) != 1:
        raise ShapeError(
            f"a vector of bools picks from a vector, not {shape_text(shape_of(mask))} "
            f"from {shape_text(shape_of(source))}"
        )
    return array_type(dtype_of(source), shape_of(mask))


def scan_type(kind: str, source: Attribute, axis: int) -> Attribute:
    """The type of a scan: the dtype of the reduction, the shape of the source."""
    if kind not in SCANS:
        raise ShapeError(f"there is no scan `{kind}`")
    shape = shape_of(source)
    normalise_axis(axis, len(shape))
    return array_type(reduction_dtype(kind, dtype_of(source)), shape)


def searchsorted_type(side: str, ordered: Attribute, values: Attribute) -> Attribute:
    """The type of positions in a sorted vector, one for each value."""
    if side not in ("left", "right"):
        raise ShapeError(f"`searchsorted` has the sides left and right, not `{side}`")
    if len(shape_of(ordered)) != 1:
        raise ShapeError(f"`searchsorted` looks into a vector, not {shape_text(shape_of(ordered))}")
    promote(dtype_of(ordered), dtype_of(values))
    return array_type("i64", shape_of(values))


def take_along_type(source: Attribute, indices: Attribute, axis: int) -> Attribute:
    """The type of elements taken along one axis: the indices' shape, which agrees on the other axes."""
    have, want = shape_of(source), shape_of(indices)
    _require_integers(indices, "indices")
    normal = normalise_axis(axis, len(have))
    if len(want) != len(have) or any(
        a != b and "" not in (a, b) for k, (a, b) in enumerate(zip(have, want, strict=True)) if k != normal
    ):
        raise ShapeError(
            f"indices {shape_text(want)} and array {shape_text(have)} may differ in axis {normal} alone"
        )
    return array_type(dtype_of(source), want)


def scatter_type(kind: str, base: Attribute, indices: Attribute, values: Attribute) -> Attribute:
    """The type of `base` after rows of it were written: its own."""
    if kind not in SCATTERS:
        raise ShapeError(f"there is no scatter `{kind}`")
    shape, rows = shape_of(base), shape_of(indices) + shape_of(base)[1:]
    if not shape:
        raise ShapeError("a number cannot be indexed")
    _require_integers(indices, "indices")
    given = shape_of(values)
    if len(given) > len(rows) or any(
        a not in (1, b) and "" not in (a, b) for a, b in zip(reversed(given), reversed(rows), strict=False)
    ):
        raise ShapeError(f"values {shape_text(given)} do not broadcast to {shape_text(rows)}")
    if promote(dtype_of(base), dtype_of(values)) != dtype_of(base):
        raise ShapeError(f"values of {dtype_of(values)} do not fit in an array of {dtype_of(base)}")
    return base


def segment_type(kind: str, keys: Attribute, count: Extent, values: Attribute | None) -> Attribute:
    """The type of one result for each of `count` groups."""
    if kind not in SEGMENTS:
        raise ShapeError(f"there is no grouping `{kind}`")
    _require_integers(keys, "keys")
    shape = shape_of(keys)
    if len(shape) != 1:
        raise ShapeError(f"keys are a vector, not {shape_text(shape)}")
    if (kind == "count") != (values is None):
        raise ShapeError("counting takes keys alone, every other grouping takes values too")
    if values is None:
        return array_type("i64", (count,))
    rows = shape_of(values)
    if not rows or (rows[0] != shape[0] and "" not in (rows[0], shape[0])):
        raise ShapeError(f"keys {shape_text(shape)} need as many values, not {shape_text(rows)}")
    return array_type(reduction_dtype(kind, dtype_of(values)), (count, *rows[1:]))


def histogram_type(source: Attribute, edges: Attribute, weights: Attribute | None) -> Attribute:
    """The type of a histogram: i64 counts, or sums in the dtype of the sum of weights."""
    shape = shape_of(edges)
    if len(shape) != 1:
        raise ShapeError(f"edges are a vector, not {shape_text(shape)}")
    if isinstance(shape[0], int) and shape[0] < 1:
        raise ShapeError("a histogram needs an edge")
    if dtype_of(edges) != edge_dtype(dtype_of(source)):
        raise ShapeError(f"edges for {dtype_of(source)} are {edge_dtype(dtype_of(source))}")
    bins: Extent = shape[0] - 1 if isinstance(shape[0], int) else ""
    if weights is None:
        return array_type("i64", (bins,))
    if not _agree(shape_of(weights), shape_of(source)):
        raise ShapeError(
            f"weights {shape_text(shape_of(weights))} differ from {shape_text(shape_of(source))}"
        )
    return array_type(reduction_dtype("sum", dtype_of(weights)), (bins,))


def edge_dtype(dtype: str) -> str:
    """The dtype in which elements are compared with the edges of bins."""
    return "f32" if is_float(dtype) and dtype != "f64" else "f64"


def random_type(kind: str, declared: Attribute, rank: int) -> Attribute:
    """The declared type, where the kind has that dtype and there are as many extents as axes."""
    if kind not in RANDOM:
        raise ShapeError(f"there are no random numbers of kind `{kind}`")
    if dtype_of(declared) not in RANDOM[kind]:
        raise ShapeError(f"random numbers of kind `{kind}` are {' or '.join(RANDOM[kind])}")
    if len(shape_of(declared)) != rank:
        raise ShapeError(f"{len(shape_of(declared))} axes need as many extents, not {rank}")
    return declared


def _require_integers(type_: Attribute, what: str) -> None:
    if is_float(dtype_of(type_)) or dtype_of(type_) == "bool":
        raise ShapeError(f"{what} must be integers, not {dtype_of(type_)}")


def _agree(first: Shape, second: Shape) -> bool:
    return len(first) == len(second) and all(
        a == b or "" in (a, b) for a, b in zip(first, second, strict=True)
    )
