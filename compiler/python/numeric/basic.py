"""Basic subscripts: whole numbers, slices, None and `...` as views."""

from collections.abc import Sequence

from attrs import frozen
from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.arithmetic import to_dtype, value_of
from flowc.compiler.python.numeric.context import INTEGERS, Context
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.values import Array, Number, View
from flowc.dialects.array import build
from flowc.dialects.array.slices import AxisSlice, Bound, SliceSpec

LONGEST = 1 << 61
"""A step that no axis has room for: a longer one picks the same elements, and its count would wrap."""


@frozen
class Range:
    """`start:stop:step` in a subscript; each a number or None."""

    start: object = None
    stop: object = None
    step: object = None


def basic_views(c: Context, array: Array, items: Sequence[object]) -> list[View]:
    """The views that basic indexing means."""
    full = expanded(array, items)
    views: list[View] = []
    spec, bounds = _slices(c, full)
    if not all(axis.is_full for axis in spec.axes):
        views.append(lambda source: build.slices(source, spec, bounds))
    axis = 0
    for item in full:
        if item is None:
            views.append(_expand(axis))
            axis += 1
        elif isinstance(item, Range):
            axis += 1
        else:
            views.append(_index(axis, _position(c, item)))
    return views


def expanded(array: Array, items: Sequence[object]) -> list[object]:
    """The items with `...` written out, one for each axis and each new axis."""
    rank = len(array.shape)
    named = sum(item is not None and item is not Ellipsis for item in items)
    if named > rank:
        raise Refused(f"{named} subscripts for an array of {rank} axes", code=SHAPES)
    missing: list[object] = [Range()] * (rank - named)
    found: list[object] = []
    seen = False
    for item in items:
        if item is Ellipsis:
            if seen:
                raise Refused("a subscript has one `...` only", code=SHAPES)
            found, seen = [*found, *missing], True
        else:
            found.append(item)
    return found if seen else [*found, *missing]


def _expand(axis: int) -> View:
    return lambda source: build.expand(source, axis)


def _index(axis: int, position: SSAValue) -> View:
    return lambda source: build.index(source, position, axis)


def _position(c: Context, item: object) -> SSAValue:
    if isinstance(item, bool) or not isinstance(item, int | Number):
        raise Refused("a subscript is a whole number, a slice, None, `...` or an array")
    if isinstance(item, Number) and item.dtype not in INTEGERS:
        raise Refused(f"a position is a whole number, not {item.dtype}", help="write `int(...)`")
    return to_dtype(c, value_of(c, item), "i64")


def _slices(c: Context, items: Sequence[object]) -> tuple[SliceSpec, list[SSAValue]]:
    bounds: list[SSAValue] = []

    def bound(value: object) -> Bound:
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        bounds.append(_position(c, value))
        return f"${len(bounds) - 1}"

    axes = []
    for item in items:
        if isinstance(item, Range):
            step = 1 if item.step is None else c.static(item.step, "the step of a slice")
            if not isinstance(step, int) or step == 0:
                raise Refused("the step of a slice is a whole number other than 0", code=SHAPES)
            step = max(-LONGEST, min(step, LONGEST))
            axes.append(AxisSlice(bound(item.start), bound(item.stop), step))
        elif item is not None:
            axes.append(AxisSlice())
    return SliceSpec(tuple(axes)), bounds
