"""Built-ins that become irregular array operators: sorting, scans, grouping, random numbers."""

from collections.abc import Callable, Mapping

from xdsl.ir import SSAValue

from flowc.compiler.checker.model import BoundCall
from flowc.compiler.lower import products
from flowc.compiler.lower.arrays import as_array, as_number, extents, index, operand
from flowc.compiler.lower.frame import Frame
from flowc.dialects.array import composites
from flowc.dialects.array import irregular_build as build
from flowc.dialects.array.types import Extent, dtype_of
from flowc.runtime.types import Array, Type

Former = Callable[[Frame, BoundCall, Type], SSAValue]


def call(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    """The value of a call whose form is in `FORMS`."""
    return FORMS[bound.form](frame, bound, result)


def _array(frame: Frame, bound: BoundCall, position: int) -> SSAValue:
    return as_array(frame, operand(frame, bound.arguments[position]))


def _index(frame: Frame, bound: BoundCall, position: int) -> SSAValue:
    return index(frame, operand(frame, bound.arguments[position]))


def _number(frame: Frame, bound: BoundCall, position: int, dtype: str) -> SSAValue:
    return as_number(frame, operand(frame, bound.arguments[position]), dtype)


def _axis(bound: BoundCall) -> int:
    axis = bound.options.get("axis")
    return axis if isinstance(axis, int) else -1


def _first_extent(result: Type) -> Extent:
    return result.dims[0] if isinstance(result, Array) else ""


def _sort(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    return frame.emit(build.sort(_array(frame, bound, 0), _axis(bound)))


def _argsort(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    return frame.emit(build.argsort(_array(frame, bound, 0), _axis(bound)))


def _scan(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    return frame.emit(build.scan(bound.operator, _array(frame, bound, 0), _axis(bound)))


def _searchsorted(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    ordered = _array(frame, bound, 0)
    return frame.emit(build.searchsorted(ordered, _array(frame, bound, 1), bound.operator))


def _take_along(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    source = _array(frame, bound, 0)
    return frame.emit(build.take_along(source, _array(frame, bound, 1), _axis(bound)))


def _scatter(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    base, indices = _array(frame, bound, 0), _array(frame, bound, 1)
    values = _number(frame, bound, 2, dtype_of(base.type))
    return frame.emit(build.scatter(bound.operator, base, indices, values))


def _segment(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    extent = _first_extent(result)
    if bound.operator == "count":
        keys = _array(frame, bound, 0)
        return frame.emit(build.segment("count", keys, _index(frame, bound, 1), extent=extent))
    values, keys, count = _array(frame, bound, 0), _array(frame, bound, 1), _index(frame, bound, 2)
    if bound.operator == "mean":
        return composites.segment_mean(frame.emit, keys, count, values, extent)
    return frame.emit(build.segment(bound.operator, keys, count, values, extent))


def _histogram(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    source, bins = _array(frame, bound, 0), _index(frame, bound, 1)
    low, high = (_number(frame, bound, position, "f64") for position in (2, 3))
    return composites.histogram(frame.emit, source, bins, low, high, size=_first_extent(result))[0]


def _random(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    seed = _index(frame, bound, 0)
    dims = result.dims if isinstance(result, Array) else ()
    sizes = extents(frame, bound.arguments[1])
    return frame.emit(build.random(bound.operator, seed, dims, sizes, str(bound.options["dtype"])))


def _dropout(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    source, rate = _array(frame, bound, 0), _number(frame, bound, 1, "f64")
    return composites.dropout(frame.emit, source, rate, _index(frame, bound, 2))


def _categorical(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    logits = _array(frame, bound, 0)
    return composites.categorical(frame.emit, logits, _index(frame, bound, 1))


FORMS: Mapping[str, Former] = {
    "sort": _sort,
    "argsort": _argsort,
    "scan": _scan,
    "searchsorted": _searchsorted,
    "take_along": _take_along,
    "scatter": _scatter,
    "segment": _segment,
    "histogram": _histogram,
    "random": _random,
    "dropout": _dropout,
    "categorical": _categorical,
    **products.FORMS,
}
"""How each form is built."""
