"""Masks as subscripts: a mask is as long as what it picks from, and several pick side by side."""

from collections.abc import Callable, Mapping, Sequence

from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import PICKED, SHAPES, Refused
from flowc.compiler.python.numeric.lengths import most
from flowc.compiler.python.numeric.picking import name_picked
from flowc.compiler.python.numeric.values import Array
from flowc.dialects.array import build
from flowc.dialects.array.require import require
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import Extent, Shape, dtype_of, is_float, shape_of


def require_alike(c: Context, array: Array, mask: Array, first: int) -> None:
    """The axes of a mask are as long as those of the array from `first` on; where only the run knows, it
    looks."""
    for axis, extent in enumerate(mask.shape):
        place = first + axis
        if place >= len(array.shape):
            raise Refused("a mask has more axes than what it picks from", code=SHAPES)
        equal = c.equal_extents(array.shape[place], extent)
        if equal is False:
            raise Refused("a mask is not as long as the axis that it picks from", code=SHAPES)
        if equal is None:
            extents = [c.emit(build.dim(c.value(array), place)), c.emit(build.dim(c.value(mask), axis))]
            c.append(require(c.emit(build.elementwise("eq", extents)), "extents"))


def beside_each_other(c: Context, operands: Sequence[object]) -> Sequence[object]:
    """The operands of an elementwise operator. Where a mask says how long an axis is, and another mask or an
    argument says so too, the mask's name goes: then the run compares."""
    shapes = [operand.shape for operand in operands if isinstance(operand, Array)]
    extents = [(extent, len(shape) - axis) for shape in shapes for axis, extent in enumerate(shape)]
    if not any(_is_of_mask(extent) for extent, _ in extents):
        return operands
    said: dict[int, Extent] = {}
    for extent, behind in sorted(extents, key=lambda each: _is_of_mask(each[0])):
        if extent not in ("", 1):
            said.setdefault(behind, extent)
    return [_compared(c, each, said) if isinstance(each, Array) else each for each in operands]


def _compared(c: Context, array: Array, said: Mapping[int, Extent]) -> Array:
    value = c.value(array)
    unnamed = _unnamed(c, value, said)
    return array if unnamed is value else c.array(unnamed)


def fitting(c: Context, value: SSAValue, shape: Shape) -> SSAValue:
    """A value that meets this shape: where a mask says how long either is, the run compares."""
    said = {len(shape) - axis: extent for axis, extent in enumerate(shape) if extent not in ("", 1)}
    return _unnamed(c, value, said)


def spread(c: Context, value: SSAValue, shape: Shape, extent: Callable[[int], SSAValue]) -> SSAValue:
    """A value that goes to a place of this shape, which has this extent at an axis: if a mask picks one
    element of it, that goes everywhere."""
    given = shape_of(value.type)
    first = len(shape) - len(given)
    if given and first >= 0 and given[0] != shape[first] and _is_of_mask(given[0]):
        value = _only(c, value) if shape[first] == 1 else _along(c, value, shape[first], extent(first))
    return fitting(c, value, shape)


def _only(c: Context, value: SSAValue) -> SSAValue:
    """A value of which a mask picks one element, which the run looks at."""
    counts = [c.emit(build.dim(value, 0)), c.constant(1, "i64")]
    c.append(require(c.emit(build.elementwise("eq", counts)), "extents"))
    return c.emit(build.expand(c.emit(build.index(value, c.constant(0, "i64"), 0)), 0))


def _along(c: Context, value: SSAValue, name: Extent, extent: SSAValue) -> SSAValue:
    """A value that is as long as an axis, or stretched to it: so is what is added to nothing of a named
    extent."""
    if name == "" and c.block is c.entry:
        name = name_picked(c, extent, extent)
    if name == "":
        return value
    shape, dtype = shape_of(value.type), dtype_of(value.type)
    rest = [c.emit(build.dim(value, axis)) for axis in range(1, len(shape))]
    nothing = c.constant(-0.0 if is_float(dtype) else 0, dtype)
    whole = c.emit(build.broadcast(nothing, (name, *shape[1:]), [extent, *rest]))
    return c.emit(build.elementwise("add", [whole, _unnamed(c, value, {len(shape): name})]))


def _unnamed(c: Context, value: SSAValue, said: Mapping[int, Extent]) -> SSAValue:
    """A value without the names of extents that are not those that are said, where a mask gave either. Axes
    are counted from the end."""
    shape = shape_of(value.type)
    counts: list[SSAValue] = []
    axes: list[AxisSlice] = []
    for axis, extent in enumerate(shape):
        other = said.get(len(shape) - axis, extent)
        open_ = extent not in ("", 1, other) and (_is_of_mask(extent) or _is_of_mask(other))
        axes.append(AxisSlice(None, f"${len(counts)}" if open_ else None, 1))
        counts += [c.emit(build.dim(value, axis))] if open_ else []
    return c.emit(build.slices(value, SliceSpec(tuple(axes)), counts)) if counts else value


def _is_of_mask(extent: Extent) -> bool:
    return isinstance(extent, str) and extent.startswith(PICKED)


def side_by_side(c: Context, vectors: Sequence[Array]) -> list[Array]:
    """Vectors of positions that are used together, of one length: where only the run knows it, those of one
    element are stretched, and others must agree."""
    lengths = {vector.shape[0] for vector in vectors} - {1}
    if len(vectors) < 2 or (len(lengths) < 2 and "" not in lengths):
        return list(vectors)
    values = [c.value(vector) for vector in vectors]
    known = (c.block, *values)
    if known not in c.aligned:
        c.aligned[known] = _aligned(c, values)
    return c.aligned[known]


def _aligned(c: Context, values: Sequence[SSAValue]) -> list[Array]:
    one = c.constant(1, "i64")
    counts = [c.emit(build.dim(value, 0)) for value in values]
    length = counts[0]
    for count in counts[1:]:
        single = c.emit(build.elementwise("eq", [length, one]))
        length = c.emit(build.elementwise("where", [single, count, length]))
    name = ""
    if c.block is c.entry:
        bounds = [most(c, value, 0) for value in values]
        longest = bounds[0]
        for bound in bounds[1:]:
            longest = c.emit(build.elementwise("maximum", [longest, bound]))
        name = name_picked(c, length, longest)
    places = c.emit(build.iota(length, name))
    return [c.array(_stretched(c, value, count, places)) for value, count in zip(values, counts, strict=True)]


def _stretched(c: Context, value: SSAValue, count: SSAValue, places: SSAValue) -> SSAValue:
    """The elements of a vector at places; its only one at all of them."""
    one = c.constant(1, "i64")
    sides = [[count, one], [count, c.emit(build.dim(places, 0))]]
    single, equal = (c.emit(build.elementwise("eq", pair)) for pair in sides)
    c.append(require(c.emit(build.elementwise("or", [single, equal])), "extents"))
    last = c.emit(build.elementwise("sub", [count, one]))
    return c.emit(build.gather(value, c.emit(build.elementwise("minimum", [places, last]))))
