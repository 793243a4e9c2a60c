"""Operations of the array dialect whose accesses depend on values, drawn."""

from xdsl.ir import Operation

from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.irregular_inference import RANDOM, SCANS, SCATTERS, edge_dtype
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.testing.strategies.operations.array import (
    DTYPES,
    EXTENTS,
    INTEGERS,
    along,
    any_shape,
    array,
    axis_of,
    inline,
    of,
)
from flowc.testing.strategies.operations.making import Making, Recipes


def _gather(m: Making) -> Operation:
    return build.gather(array(m, 1), array(m, 0, *INTEGERS, most=2))


def _take_along(m: Making) -> Operation:
    source = array(m, 1)
    axis = axis_of(m, source)
    shape = list(shape_of(source.type))
    shape[axis] = m.one(*EXTENTS)
    return irregular_build.take_along(source, of(m, m.one(*INTEGERS), *shape), axis)


def _scatter(m: Making) -> Operation:
    base = array(m, 1)
    indices = of(m, m.one(*INTEGERS), m.one(*EXTENTS))
    rows = (*shape_of(indices.type), *shape_of(base.type)[1:])
    values = of(m, m.one(dtype_of(base.type), "bool"), *rows[m.number(0, len(rows)) :])
    return irregular_build.scatter(m.one(*SCATTERS), base, indices, values)


def _segment(m: Making) -> Operation:
    keys, count = array(m, 1, *INTEGERS, most=1), of(m, "i64")
    extent = m.one("", "k", 3)
    if m.number(0, 3) == 0:
        return irregular_build.segment("count", keys, count, None, extent)
    values = of(m, m.one(*DTYPES), *shape_of(keys.type), *any_shape(m, 0, 1))
    return irregular_build.segment(m.one(*SCANS), keys, count, values, extent)


def _histogram(m: Making) -> Operation:
    source = array(m)
    edges = of(m, edge_dtype(dtype_of(source.type)), m.one("b", "", 1, 4))
    weights = of(m, m.one(*DTYPES), *shape_of(source.type)) if m.sometimes() else None
    return irregular_build.histogram(source, edges, weights, m.sometimes())


def _statistics(m: Making) -> Operation:
    source = array(m, 1)
    first = of(m, "i64", *m.one((), shape_of(source.type)[:-1]))
    return irregular_build.order_statistics(source, first, m.number(0, 3))


def _pick(m: Making) -> Operation:
    source = array(m, 1, most=1)
    return irregular_build.pick(source, of(m, "bool", *shape_of(source.type)))


def _searchsorted(m: Making) -> Operation:
    return irregular_build.searchsorted(array(m, 1, most=1), array(m), m.one("left", "right"))


def _scan(m: Making) -> Operation:
    source = array(m, 1)
    return irregular_build.scan(m.one(*SCANS), source, axis_of(m, source))


def _random(m: Making) -> Operation:
    kind, shape = m.one(*RANDOM), any_shape(m)
    return irregular_build.random(
        kind, of(m, "i64"), shape, [of(m, "i64") for _ in shape], m.one("f32", "f64")
    )


BODY: Recipes = {
    "array.argsort": along(irregular_build.argsort),
    "array.gather": inline(_gather),
    "array.histogram": _histogram,
    "array.linspace": inline(
        lambda m: irregular_build.linspace(of(m, "f64"), of(m, "f64"), of(m, "i64"), m.one("", "k", 4))
    ),
    "array.order_statistics": _statistics,
    "array.pick": _pick,
    "array.random": inline(_random),
    "array.scan": _scan,
    "array.scatter": _scatter,
    "array.searchsorted": inline(_searchsorted),
    "array.segment": _segment,
    "array.sort": along(irregular_build.sort),
    "array.take_along": inline(_take_along),
    "array.true_positions": lambda m: irregular_build.true_positions(array(m, 1, "bool", most=1)),
}
"""Operations in the body of a kernel."""
