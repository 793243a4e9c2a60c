"""Ranges and slices by a step that only the run knows: how many positions they have, and which."""

from collections.abc import Callable

from xdsl.dialects import scf
from xdsl.dialects.builtin import i64
from xdsl.ir import Block

from flowc.compiler.python.numeric.arithmetic import apply, truth_value, value_of
from flowc.compiler.python.numeric.basic import Range, expanded
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.values import Array, Number
from flowc.dialects.array import build
from flowc.dialects.array.require import require


def steps(c: Context, start: object, stop: object, step: object) -> object:
    """How many numbers a range has, by a step of either sign; ends the kernel where the step is 0."""
    c.append(require(truth_value(c, apply(c, "ne", step, 0)), "assertion"))
    up = apply(c, "sub", apply(c, "add", apply(c, "sub", stop, start), step), 1)
    down = apply(c, "add", apply(c, "add", apply(c, "sub", stop, start), step), 1)
    span = apply(c, "where", apply(c, "gt", step, 0), up, down)
    return apply(c, "maximum", apply(c, "floordiv", span, step), 0)


def with_positions(c: Context, array: Array, items: list[object]) -> list[object]:
    """The items of a subscript, with positions for each slice whose step only the run knows."""
    if not any(_is_open(item) for item in items):
        return items
    found = []
    axis = 0
    for item in expanded(array, items):
        if isinstance(item, Range) and _is_open(item):
            item = _positions(c, item, c.extent(array, axis))
        axis += item is not None
        found.append(item)
    return found


def store_by_steps(
    c: Context, array: Array, items: list[object], store: Callable[[list[object]], None]
) -> bool:
    """Stores in a loop where a vector is subscripted by one slice whose step only the run knows; whether it
    is."""
    if len(array.shape) != 1 or len(items) != 1 or not _is_open(items[0]):
        return False
    start, step, count = _counted(c, items[0], c.extent(array, 0))
    body = Block(arg_types=[i64])
    with c.inside(body, loops=1):
        store([apply(c, "add", apply(c, "mul", Number(body.args[0], weak=True), step), start)])
        c.append(scf.YieldOp())
    c.append(scf.ForOp(c.constant(0, "i64"), c.extent_value(count), c.constant(1, "i64"), [], body))
    return True


def _is_open(item: object) -> bool:
    return isinstance(item, Range) and isinstance(item.step, Number) and not item.step.parameter


def _positions(c: Context, item: Range, extent: object) -> Array:
    start, step, count = _counted(c, item, extent)
    places = c.array(c.emit(build.iota(value_of(c, count), c.extent_name(count))))
    made = apply(c, "add", apply(c, "mul", places, step), start)
    assert isinstance(made, Array)
    return made


def _counted(c: Context, item: object, extent: object) -> tuple[object, object, object]:
    """Where a slice of an axis begins, its step, and how many positions it has."""
    assert isinstance(item, Range)
    up = apply(c, "gt", item.step, 0)
    low = apply(c, "where", up, 0, -1)
    high = apply(c, "add", low, extent)

    def bound(given: object, default: object) -> object:
        if given is None:
            return default
        wrapped = apply(c, "where", apply(c, "lt", given, 0), apply(c, "add", given, extent), given)
        return apply(c, "minimum", apply(c, "maximum", wrapped, low), high)

    start = bound(item.start, apply(c, "where", up, 0, apply(c, "sub", extent, 1)))
    stop = bound(item.stop, apply(c, "where", up, extent, -1))
    return start, item.step, steps(c, start, stop, item.step)
