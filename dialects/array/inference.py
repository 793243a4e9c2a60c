"""The shape and dtype rule of each operator: from the types of the operands to the type of the result.

The builders, the verifiers and the lowering all ask here. Every function raises `ShapeError` for operands
that do not fit, in words that name both shapes.
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute

from flowc.dialects.array.kinds import (
    COMPARISON,
    REDUCTIONS,
    arity,
    operand_dtype,
    reduction_dtype,
    result_dtype,
)
from flowc.dialects.array.slices import SliceSpec, sliced_extent
from flowc.dialects.array.types import (
    Extent,
    Shape,
    ShapeError,
    array_type,
    broadcast,
    dtype_of,
    is_float,
    promote,
    promote_all,
    shape_of,
    shape_text,
)


def elementwise_type(kind: str, operands: Sequence[Attribute]) -> Attribute:
    """The type of an elementwise operator over broadcast operands."""
    if kind not in arity:
        raise ShapeError(f"there is no elementwise operator `{kind}`")
    if len(operands) != arity[kind]:
        raise ShapeError(f"`{kind}` takes {arity[kind]} operands, not {len(operands)}")
    dtypes = [dtype_of(operand) for operand in operands]
    if kind == "where":
        if dtypes[0] != "bool":
            raise ShapeError(f"the condition of `where` must be bool, not {dtypes[0]}")
        dtype = promote_all(dtypes[1:])
    else:
        dtype = result_dtype(kind, dtypes)
    return array_type(dtype, broadcast([shape_of(operand) for operand in operands]))


def elementwise_operand_dtype(kind: str, operands: Sequence[Attribute]) -> str:
    """The dtype in which an elementwise operator computes; for `where`, that of the two choices."""
    dtypes = [dtype_of(operand) for operand in operands]
    if kind == "where":
        return promote_all(dtypes[1:])
    return promote_all(dtypes) if kind in COMPARISON else operand_dtype(kind, dtypes)


def normalise_axis(axis: int, rank: int) -> int:
    """A Python axis counted from the front; raises ShapeError where the array has no such axis."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} does not exist: the array has {rank} axes")
    return axis % rank


def normalise_axes(axes: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front in ascending order; all of them for None."""
    if axes is None:
        return tuple(range(rank))
    normal = sorted(normalise_axis(axis, rank) for axis in axes)
    if len(set(normal)) != len(normal):
        raise ShapeError(f"axes {list(axes)} name an axis twice")
    return tuple(normal)


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """The shape left when `axes` are reduced away, or kept as extent 1."""
    if keepdims:
        return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return tuple(extent for axis, extent in enumerate(shape) if axis not in axes)


def reduce_type(kind: str, source: Attribute, axes: Sequence[int], keepdims: bool) -> Attribute:
    """The type of a reduction over `axes`."""
    if kind not in REDUCTIONS:
        raise ShapeError(f"there is no reduction `{kind}`")
    shape = shape_of(source)
    normal = normalise_axes(axes, len(shape))
    return array_type(reduction_dtype(kind, dtype_of(source)), reduced_shape(shape, normal, keepdims))


def argreduce_type(source: Attribute, axis: int, keepdims: bool) -> Attribute:
    """The type of the positions of the extreme values along `axis`."""
    shape = shape_of(source)
    return array_type("i64", reduced_shape(shape, (normalise_axis(axis, len(shape)),), keepdims))


def contract_type(left: Attribute, right: Attribute) -> Attribute:
    """The type of `left @ right`: vectors, matrices, and stacks of matrices that broadcast."""
    a, b = shape_of(left), shape_of(right)
    if not a or not b:
        raise ShapeError("`@` needs arrays; multiply by a number with `*`")
    inner_a, inner_b = a[-1], b[-2] if len(b) > 1 else b[-1]
    if inner_a != inner_b and "" not in (inner_a, inner_b):
        raise ShapeError(
            f"{shape_text(a)} @ {shape_text(b)}: the inner extents {inner_a} and {inner_b} differ",
            (inner_a, inner_b),
        )
    stack = broadcast([a[:-2], b[:-2]])
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    return array_type(promote(dtype_of(left), dtype_of(right)), stack + rows + columns)


def transpose_type(source: Attribute, permutation: Sequence[int]) -> Attribute:
    """The type with its axes in the order of `permutation`."""
    shape = shape_of(source)
    if sorted(permutation) != list(range(len(shape))):
        raise ShapeError(f"{list(permutation)} is no permutation of the axes of {shape_text(shape)}")
    return array_type(dtype_of(source), tuple(shape[axis] for axis in permutation))


def slice_type(source: Attribute, spec: SliceSpec) -> Attribute:
    """The type of `source[start:stop:step, ...]`."""
    shape = shape_of(source)
    if len(spec.axes) > len(shape):
        raise ShapeError(f"{shape_text(shape)} has {len(shape)} axes, the slice names {len(spec.axes)}")
    if any(bounds.step == 0 for bounds in spec.axes):
        raise ShapeError("the step of a slice cannot be 0")
    front = tuple(sliced_extent(extent, bounds) for extent, bounds in zip(shape, spec.axes, strict=False))
    return array_type(dtype_of(source), front + shape[len(spec.axes) :])


def index_type(source: Attribute, axis: int) -> Attribute:
    """The type of `source[i]` along `axis`, which disappears."""
    shape = shape_of(source)
    if not shape:
        raise ShapeError("a number cannot be indexed")
    normal = normalise_axis(axis, len(shape))
    return array_type(dtype_of(source), shape[:normal] + shape[normal + 1 :])


def gather_type(source: Attribute, indices: Attribute) -> Attribute:
    """The type of `source[indices]` for an array of integers, along axis 0."""
    shape = shape_of(source)
    if not shape:
        raise ShapeError("a number cannot be indexed")
    if is_float(dtype_of(indices)) or dtype_of(indices) == "bool":
        raise ShapeError(f"indices must be integers, not {dtype_of(indices)}")
    return array_type(dtype_of(source), shape_of(indices) + shape[1:])


def expand_type(source: Attribute, axis: int) -> Attribute:
    """The type with a new axis of extent 1 before `axis`."""
    shape = shape_of(source)
    normal = normalise_axis(axis, len(shape) + 1)
    return array_type(dtype_of(source), (*shape[:normal], 1, *shape[normal:]))


def softmax_type(source: Attribute, axis: int) -> Attribute:
    """The type of a softmax: the source's, in f64 for integers."""
    shape = shape_of(source)
    normalise_axis(axis, len(shape))
    dtype = dtype_of(source)
    return array_type(dtype if is_float(dtype) else "f64", shape)


def topk_types(source: Attribute, count: Extent) -> tuple[Attribute, Attribute]:
    """The types of the k largest values along the last axis and of their positions."""
    shape = shape_of(source)
    if not shape:
        raise ShapeError("`topk` needs an array")
    if isinstance(count, int) and isinstance(shape[-1], int) and count > shape[-1]:
        raise ShapeError(f"`topk` of {count} from an axis of {shape[-1]}")
    result = (*shape[:-1], count)
    return array_type(dtype_of(source), result), array_type("i64", result)


def broadcast_type(source: Attribute, shape: Shape) -> Attribute:
    """The type of `source` stretched to `shape`."""
    have = shape_of(source)
    pairs = list(zip(reversed(have), reversed(shape), strict=False))
    differing = [
        (extent, target) for extent, target in pairs if extent not in (1, "", target) and target != ""
    ]
    if len(have) > len(shape) or differing:
        conflict = differing[0] if differing else ()
        raise ShapeError(f"{shape_text(have)} does not broadcast to {shape_text(shape)}", conflict)
    return array_type(dtype_of(source), shape)


def concat_type(sources: Sequence[Attribute], axis: int) -> Attribute:
    """The type of arrays joined along an axis they have."""
    if not sources:
        raise ShapeError("`concat` needs at least one array")
    shapes = [shape_of(source) for source in sources]
    rank = len(shapes[0])
    normal = normalise_axis(axis, rank)
    if any(len(shape) != rank for shape in shapes):
        raise ShapeError("`concat` needs arrays of equal rank")
    joined = [_joined([shape[k] for shape in shapes], k == normal) for k in range(rank)]
    return array_type(promote_all([dtype_of(source) for source in sources]), joined)


def _joined(extents: Sequence[Extent], along: bool) -> Extent:
    if along:
        if len(extents) == 1:
            return extents[0]
        numbers = [extent for extent in extents if isinstance(extent, int)]
        return sum(numbers) if len(numbers) == len(extents) else ""
    known = list(dict.fromkeys(extent for extent in extents if extent != ""))
    if len(known) > 1:
        raise ShapeError(f"`concat`: the extents {known[0]} and {known[1]} differ", (known[0], known[1]))
    return known[0] if known else ""


def iota_type(extent: Extent) -> Attribute:
    """The type of 0, 1, ... below `extent`."""
    return array_type(i64, (extent,))
