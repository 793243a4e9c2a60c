"""Hypothesis strategies of the arguments of a flow, from its signature alone."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from flowc.runtime.coerce import Tables, coercer
from flowc.runtime.dtypes import INTEGERS, integer_range, numpy_dtype
from flowc.runtime.plan import Parameter
from flowc.runtime.reading import tables_of
from flowc.runtime.types import Array, Dict, Enum, List, Optional, PlanOf, Record, Scalar, Tuple, Type
from flowc.testing.flows.hostile import INTS, TEXTS
from flowc.testing.flows.targets import Target, Testable, target_of

EXTENTS = (0, 1, 2, 3, 5)
"""Extents that named dimensions take: none, one, and a few."""
DEEPEST = 3
LONGEST = 5
"""Elements of a list that is in no other; each level inside has half as many."""

Values = st.SearchStrategy[Any]


def inputs(flow: Testable, **given: Values | object) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of a flow by name, for `flow(**arguments)` and `check(flow, arguments)`.

    Values are of the parameters' types, hostile texts and limits of numbers among them; arrays agree in the
    dimensions that they name alike, in all parameters. Parameters with a default are left out now and then.
    `given` are strategies, or values, for parameters that the types say too little of; arrays among them
    are to agree themselves.
    """
    target = target_of(flow)  # compiled here, so that no example takes the time of that
    parameters = target.function.parameters
    names = [each.name for each in parameters]
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ValueError(f"`{target.name}` has no parameter `{unknown[0]}`; it has: {', '.join(names)}")
    tables = tables_of(target.plan)
    own = {each.name: _argument(target, each, tables) for each in parameters if each.name not in given}
    dims = sorted({dim for each in parameters for dim in named_dims(each.type, tables)})

    @st.composite
    def arguments(draw: st.DrawFn) -> dict[str, Any]:
        extents = tuple(draw(st.sampled_from(EXTENTS)) for _ in dims)
        found: dict[str, Any] = {}
        for each in parameters:
            if each.name in given:
                said = given[each.name]
                found[each.name] = draw(said) if isinstance(said, st.SearchStrategy) else said
            elif not (each.optional and draw(st.booleans())):
                found[each.name] = draw(own[each.name](dims, extents))
        return found

    return arguments()


def _argument(
    target: Target, parameter: Parameter, tables: Tables
) -> Callable[[Sequence[str], tuple[int, ...]], Values]:
    """The strategy of a parameter by the extents of dimensions; each is made once, since that takes time."""
    coerce = coercer(parameter.type, tables)
    convert: Callable[[Any], Any] = target.classes.get(parameter.name, lambda value: value)
    named = named_dims(parameter.type, tables)

    @functools.cache
    def made(extents: tuple[tuple[str, int], ...]) -> Values:
        drawn = values(parameter.type, tables, dict(extents))
        return drawn.map(lambda value: convert(coerce(value)))

    def strategy(dims: Sequence[str], extents: tuple[int, ...]) -> Values:
        pairs = zip(dims, extents, strict=True)
        return made(tuple((dim, extent) for dim, extent in pairs if dim in named))

    return strategy


def values(type_: Type, tables: Tables, extents: Mapping[str, int] | None = None, depth: int = 0) -> Values:
    """Values of a type, simple ones first; dimensions without an extent have 2."""

    def inner(of: Type) -> Values:
        return values(of, tables, extents, depth + 1)

    match type_:
        case Scalar(name):
            return scalars(name)
        case Enum(name):
            return st.sampled_from(tables.enums[name])
        case Optional(of):
            return st.none() if depth >= DEEPEST else st.none() | inner(of)
        case List(of):
            return st.just([]) if depth >= DEEPEST else st.lists(inner(of), max_size=LONGEST >> depth)
        case Dict(of):
            keys = st.text(max_size=8)
            return st.just({}) if depth >= DEEPEST else st.dictionaries(keys, inner(of), max_size=3 >> depth)
        case Tuple(items):
            return st.tuples(*map(inner, items))
        case Record(name):
            return st.fixed_dictionaries({field: inner(of) for field, of in tables.records[name]})
        case Array(dtype, dims):
            known = extents or {}
            return arrays(dtype, tuple(dim if isinstance(dim, int) else known.get(dim, 2) for dim in dims))
        case PlanOf():
            return st.just({"steps": []})


def texts() -> st.SearchStrategy[str]:
    """Texts: arbitrary, and such as attackers and models write."""
    return st.text(max_size=30) | st.sampled_from([each for each in TEXTS if each != "\ud800"])


@functools.cache
def scalars(name: str) -> Values:
    """Values of a scalar type."""
    match name:
        case "str":
            return texts()
        case "bool":
            return st.booleans()
        case "none":
            return st.none()
        case "bytes":
            return st.binary(max_size=30)
        case "int":
            return st.integers() | st.sampled_from(INTS)
        case "json":
            plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts()
            return (
                plain | st.lists(plain, max_size=3) | st.dictionaries(st.text(max_size=4), plain, max_size=3)
            )
    if name in INTEGERS:
        least, most = integer_range(name)
        return st.integers(least, most) | st.sampled_from((least, most))
    special = st.sampled_from((0.0, -0.0, 1.0, -2.0, math.inf, -math.inf, math.nan))
    match name:
        case "f32":
            return st.floats(width=32) | special
        case "f16":
            return st.floats(width=16) | special
        case "bf16":  # a width that Hypothesis does not know
            return special | st.integers(-256, 256).map(float)
    return st.floats() | special


def arrays(dtype: str, shape: tuple[int, ...]) -> Values:
    """Arrays of a dtype and shape: one value drawn for each element where there are few, rows repeated in
    large ones.
    """
    import numpy

    size = math.prod(shape)
    elements = scalars(dtype)
    few = st.lists(elements, min_size=min(size, MOST_DRAWN), max_size=min(size, MOST_DRAWN))

    def filled(drawn: list[Any]) -> Any:
        found = numpy.array(drawn, dtype=numpy_dtype(dtype)) if drawn else numpy.zeros(0, numpy_dtype(dtype))
        return numpy.resize(found, shape)

    return few.map(filled)


MOST_DRAWN = 16
"""Elements of an array that are drawn; a larger one repeats them."""


def named_dims(type_: Type, tables: Tables, seen: frozenset[str] = frozenset()) -> set[str]:
    """The dimensions that a type names."""
    match type_:
        case Array(_, dims):
            return {dim for dim in dims if isinstance(dim, str) and dim}
        case List(inner) | Optional(inner) | Dict(inner):
            return named_dims(inner, tables, seen)
        case Tuple(items):
            return {dim for item in items for dim in named_dims(item, tables, seen)}
        case Record(name) if name not in seen:
            fields = tables.records[name]
            return {dim for _, of in fields for dim in named_dims(of, tables, seen | {name})}
    return set()
