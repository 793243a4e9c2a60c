"""Subscripts with arrays of positions or masks among whole numbers and slices: NumPy's advanced indexing.

The axes that arrays pick from come first and are seen as one; positions in it are picked from, or scattered
to, and what came of the arrays goes where NumPy has it: in place of the first of them where all stand side by
side, else to the front.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.arithmetic import apply, to_dtype, value_of
from flowc.compiler.python.numeric.basic import Range, basic_views, expanded
from flowc.compiler.python.numeric.context import INTEGERS, Context
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.masks import require_alike, side_by_side, spread
from flowc.compiler.python.numeric.picking import positions_by_axis
from flowc.compiler.python.numeric.values import Array, Number
from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.reshape import reshape
from flowc.dialects.array.types import dtype_of, shape_of


@frozen
class Picking:
    """What a subscript with arrays means: `seen` is the array with the picked axes first, `positions` the
    places in these axes taken as one, of `count` axes; the result has what comes of them at axis `place`."""

    seen: Array
    positions: Array
    count: int
    place: int


def whole_mask(c: Context, array: Array, items: Sequence[object]) -> Array | None:
    """The mask of a subscript that is one mask of the array's shape."""
    (first, *rest) = items
    if rest or not isinstance(first, Array) or first.dtype != "bool":
        return None
    if len(first.shape) != len(array.shape):
        return None
    require_alike(c, array, first, 0)
    return first


def gathered(c: Context, array: Array, items: Sequence[object]) -> object:
    """`array[items]`, new values."""
    picking = _picking(c, array, items)
    source = _as_one(c, c.value(picking.seen), picking.count)
    taken = c.emit(build.gather(source, c.value(picking.positions)))
    width, place = len(picking.positions.shape), picking.place
    rank = len(shape_of(taken.type))
    if place and rank > width:
        order = [*range(width, width + place), *range(width), *range(width + place, rank)]
        taken = c.emit(build.transpose(taken, order))
    return c.wrap(taken)


def scattered(c: Context, array: Array, items: Sequence[object], value: object, kind: str) -> None:
    """Stores at positions, the last of equal positions winning, or combines what is there with a value."""
    picking = _picking(c, array, items)
    whole = c.value(picking.seen)
    base = _as_one(c, whole, picking.count)
    given = _spread(c, picking, value, base)
    made = c.emit(irregular_build.scatter(kind, base, c.value(picking.positions), given))
    if picking.count > 1:
        extents = [c.emit(build.dim(whole, axis)) for axis in range(len(shape_of(whole.type)))]
        made = c.emit(reshape(made, extents, shape_of(whole.type)))
    c.write(picking.seen, made)


def _spread(c: Context, picking: Picking, value: object, base: SSAValue) -> SSAValue:
    """A value stretched to what is stored, the axes that come of the positions first."""
    given = to_dtype(c, value_of(c, value), dtype_of(base.type))
    where, rest = c.value(picking.positions), shape_of(base.type)[1:]
    width, place = len(picking.positions.shape), picking.place
    shape = [*shape_of(where.type), *rest]
    sources = [(where, axis) for axis in range(width)] + [(base, axis + 1) for axis in range(len(rest))]
    order = [*range(width, width + place), *range(width), *range(width + place, len(shape))]
    if place:
        shape, sources = [shape[k] for k in order], [sources[k] for k in order]

    def extent(axis: int) -> SSAValue:
        return c.emit(build.dim(*sources[axis]))

    given = spread(c, given, tuple(shape), extent)
    if shape_of(given.type) != tuple(shape):
        extents = list(map(extent, range(len(shape))))
        given = c.emit(build.broadcast(given, tuple(shape), extents))
    if place:
        given = c.emit(build.transpose(given, [order.index(k) for k in range(len(order))]))
    return given


def _picking(c: Context, array: Array, items: Sequence[object]) -> Picking:
    full = expanded(array, _without_masks(c, array, items))
    places = [number for number, item in enumerate(full) if isinstance(item, Array)]
    advanced = [n for n, item in enumerate(full) if isinstance(item, Array | Number | int)]
    others: list[object] = [Range() if isinstance(item, Array) else item for item in full]
    rest = c.view(array, *basic_views(c, array, others))
    assert isinstance(rest, Array)
    axes = [_axes_before(others, place) for place in places]
    together = advanced == list(range(advanced[0], advanced[-1] + 1))
    order = [*axes, *(k for k in range(len(rest.shape)) if k not in axes)]
    seen = rest
    if order != sorted(order):
        turned = c.view(rest, lambda source: build.transpose(source, order))
        assert isinstance(turned, Array)
        seen = turned
    positions = _flat(c, seen, [full[place] for place in places])
    return Picking(seen, positions, len(axes), axes[0] if together else 0)


def _axes_before(items: Sequence[object], place: int) -> int:
    """How many axes the items before a place leave behind."""
    return sum(item is None or isinstance(item, Range) for item in items[:place])


def _without_masks(c: Context, array: Array, items: Sequence[object]) -> list[object]:
    """The items with each mask as the positions of its true elements, one array for each of its axes."""
    found: list[object] = []
    masked = False
    axis = 0
    named = sum(map(_axes_of, items))
    for item in items:
        if isinstance(item, Array) and item.dtype == "bool":
            require_alike(c, array, item, axis)
            found += [c.array(part) for part in positions_by_axis(c, c.value(item))]
            masked = True
        else:
            found.append(item)
        axis += len(array.shape) - named if item is Ellipsis else _axes_of(item)
    vectors = [item for item in found if isinstance(item, Array)]
    if not masked or any(len(vector.shape) > 1 for vector in vectors):
        return found
    aligned = iter(side_by_side(c, vectors))
    return [next(aligned) if isinstance(item, Array) else item for item in found]


def _axes_of(item: object) -> int:
    """How many axes an item stands for."""
    if item is None or item is Ellipsis:
        return 0
    return len(item.shape) if isinstance(item, Array) and item.dtype == "bool" else 1


def _flat(c: Context, seen: Array, positions: Sequence[object]) -> Array:
    """Positions along the first axes as places in these axes taken as one.

    One that lies outside becomes a place behind the last, so that it is found out where it is used.
    """
    for item in positions:
        if isinstance(item, Array) and item.dtype not in INTEGERS:
            raise Refused(f"positions are whole numbers, not {item.dtype}", code=SHAPES)
    first, *more = positions
    assert isinstance(first, Array)
    if not more:
        return first
    place: object = 0
    outside: object = False
    total: object = 1
    for axis, item in enumerate(positions):
        extent = c.extent(seen, axis)
        item = c.wrap(to_dtype(c, value_of(c, item), "i64"))
        negative = apply(c, "lt", item, 0)
        counted = apply(c, "where", negative, apply(c, "add", item, extent), item)
        beyond = apply(c, "or", apply(c, "lt", counted, 0), apply(c, "ge", counted, extent))
        outside = beyond if axis == 0 else apply(c, "or", outside, beyond)
        place = counted if axis == 0 else apply(c, "add", apply(c, "mul", place, extent), counted)
        total = apply(c, "mul", total, extent)
    result = apply(c, "where", outside, total, place)
    assert isinstance(result, Array)
    return result


def _as_one(c: Context, value: SSAValue, count: int) -> SSAValue:
    """The first axes seen as one."""
    if count == 1:
        return value
    shape = shape_of(value.type)
    extent = c.emit(build.dim(value, 0))
    for axis in range(1, count):
        extent = c.emit(build.elementwise("mul", [extent, c.emit(build.dim(value, axis))]))
    rest = [c.emit(build.dim(value, axis)) for axis in range(count, len(shape))]
    known = 1
    for part in shape[:count]:
        known = known * part if isinstance(part, int) and known >= 0 else -1
    return c.emit(reshape(value, [extent, *rest], (known if known >= 0 else "", *shape[count:])))
