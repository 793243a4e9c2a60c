"""Built-ins over arrays whose memory accesses depend on values: sorting, scans, grouping, random numbers."""

from collections.abc import Mapping

from flowc.compiler.builtins.arguments import integer, want_rank
from flowc.compiler.builtins.dtypes import (
    FLOATS,
    INTEGERS,
    Extent,
    Shape,
    array,
    dtype,
    is_number,
    normalised_axis,
    promote,
    reduction_dtype,
    shape,
    shape_text,
)
from flowc.compiler.builtins.model import Builtin, Given, Outcome, Parameter, Rule, RuleError, fixed, required
from flowc.runtime.types import FLOAT, INT, Array, Type, text

GROUP = "Arrays"

SCANS: Mapping[str, str] = {"cumsum": "sum", "cumprod": "prod", "cummin": "min", "cummax": "max"}
SEGMENTS: Mapping[str, str] = {
    "segment_sum": "sum",
    "segment_mean": "mean",
    "segment_prod": "prod",
    "segment_min": "min",
    "segment_max": "max",
}
SCATTERS: Mapping[str, str] = {"scatter": "set", "scatter_add": "sum"}


def _along(name: str, positions: bool) -> Rule:
    def rule(given: Given) -> Outcome:
        source = want_rank(given.types[0], name)
        axis = normalised_axis(integer(given, "axis", -1), len(source.dims))
        return Outcome(Array("i64" if positions else source.dtype, source.dims), name, name, {"axis": axis})

    return rule


def _scan(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        source = want_rank(given.types[0], name)
        axis = normalised_axis(integer(given, "axis", -1), len(source.dims))
        kept = reduction_dtype(SCANS[name], source.dtype)
        return Outcome(Array(kept, source.dims), "scan", SCANS[name], {"axis": axis})

    return rule


def _want_integers(type_: Type, name: str, index: int) -> Array:
    found = want_rank(type_, name, index)
    if found.dtype not in INTEGERS:
        raise RuleError("E0114", f"positions must be whole numbers, not `{found.dtype}`", argument=index)
    return found


def _extent(given: Given, name: str) -> Extent:
    value = given.values.get(name, "")
    return value if isinstance(value, int) and not isinstance(value, bool) else ""


def _want_vector(found: Array, name: str, index: int) -> Array:
    if len(found.dims) != 1:
        raise RuleError("E0203", f"`{name}` takes a vector, not {shape_text(found.dims)}", argument=index)
    return found


def _bincount(given: Given) -> Outcome:
    _want_vector(_want_integers(given.types[0], "bincount", 0), "bincount", 0)
    return Outcome(Array("i64", (_extent(given, "n"),)), "segment", "count")


def _segment(name: str) -> Rule:
    kind = SEGMENTS[name]

    def rule(given: Given) -> Outcome:
        values = want_rank(given.types[0], name)
        keys = _want_vector(_want_integers(given.types[1], name, 1), name, 1)
        _require_same(values.dims[0], keys.dims[0], name, 1)
        kept = reduction_dtype(kind, values.dtype)
        return Outcome(Array(kept, (_extent(given, "n"), *values.dims[1:])), "segment", kind)

    return rule


def _require_same(first: Extent, second: Extent, name: str, argument: int) -> None:
    if first != second and "" not in (first, second):
        raise RuleError("E0201", f"`{name}`: the extents `{first}` and `{second}` differ", argument=argument)


def _histogram(given: Given) -> Outcome:
    want_rank(given.types[0], "histogram")
    return Outcome(Array("i64", (_extent(given, "bins"),)), "histogram", "histogram")


def _searchsorted(given: Given) -> Outcome:
    _want_vector(want_rank(given.types[0], "searchsorted"), "searchsorted", 0)
    if dtype(given.types[1]) is None:
        raise RuleError("E0105", f"`searchsorted` takes numbers, not `{text(given.types[1])}`", argument=1)
    side = given.values.get("side", "left")
    if side not in ("left", "right"):
        raise RuleError("E0148", f'`side` is "left" or "right", not `{side}`')
    return Outcome(array("i64", shape(given.types[1])), "searchsorted", str(side))


def _take_along(given: Given) -> Outcome:
    source = want_rank(given.types[0], "take_along")
    indices = _want_integers(given.types[1], "take_along", 1)
    axis = normalised_axis(integer(given, "axis", -1), len(source.dims))
    if len(indices.dims) != len(source.dims):
        shapes = f"{shape_text(source.dims)} and {shape_text(indices.dims)}"
        raise RuleError("E0203", f"`take_along` needs equally many axes, not {shapes}", argument=1)
    for position, (own, other) in enumerate(zip(source.dims, indices.dims, strict=True)):
        if position != axis:
            _require_same(own, other, "take_along", 1)
    return Outcome(Array(source.dtype, indices.dims), "take_along", "take_along", {"axis": axis})


def _scatter(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        base, indices = want_rank(given.types[0], name), _want_integers(given.types[1], name, 1)
        values = given.types[2]
        rows = indices.dims + base.dims[1:]
        if not is_number(values) or values not in (INT, FLOAT):
            found = dtype(values)
            if found is None or promote(base.dtype, found) != base.dtype:
                raise RuleError(
                    "E0105", f"`{text(values)}` does not fit in an array of `{base.dtype}`", argument=2
                )
        elif values == FLOAT and base.dtype not in FLOATS:
            raise RuleError("E0105", f"a `float` does not fit in an array of `{base.dtype}`", argument=2)
        _require_stretch(shape(values), rows, name)
        return Outcome(base, "scatter", SCATTERS[name])

    return rule


def _require_stretch(given: Shape, rows: Shape, name: str) -> None:
    if len(given) > len(rows) or any(
        own not in (1, whole) and "" not in (own, whole)
        for own, whole in zip(reversed(given), reversed(rows), strict=False)
    ):
        raise RuleError(
            "E0201",
            f"`{name}`: values {shape_text(given)} do not broadcast to {shape_text(rows)}",
            argument=2,
        )


def _random(kind: str) -> Rule:
    def rule(given: Given) -> Outcome:
        made = given.values.get("shape", ("",))
        dims: Shape = made if isinstance(made, tuple) else (made if isinstance(made, int) else "",)
        chosen = given.values.get("dtype", "f32")
        if chosen not in ("f32", "f64"):
            raise RuleError("E0148", f"random numbers are f32 or f64, not `{chosen}`")
        return Outcome(array(str(chosen), dims), "random", kind, {"dtype": chosen})

    return rule


def _want_floats(type_: Type, name: str) -> Array:
    found = want_rank(type_, name)
    if found.dtype not in FLOATS:
        raise RuleError("E0105", f"`{name}` takes an array of f16, bf16, f32 or f64", argument=0)
    return found


def _dropout(given: Given) -> Outcome:
    return Outcome(_want_floats(given.types[0], "dropout"), "dropout", "dropout")


def _categorical(given: Given) -> Outcome:
    source = _want_floats(given.types[0], "categorical")
    return Outcome(array("i64", source.dims[:-1]), "categorical", "categorical")


def _row(name: str, rule: Rule, documentation: str, *parameters: Parameter) -> Builtin:
    return Builtin(name, parameters, rule, documentation, GROUP, method=True)


_AXIS = fixed("axis", -1)
_X, _KEYS, _N, _SEED = required("x"), required("keys"), required("n", INT), required("seed", INT)
_SEGMENT_MEANING = {
    "segment_sum": "The sum of the rows of `values` that have each key below n.",
    "segment_mean": "The mean of the rows with each key; NaN where there are none.",
    "segment_prod": "The product of the rows with each key.",
    "segment_min": "The least of the rows with each key.",
    "segment_max": "The greatest of the rows with each key.",
}
_SCAN_MEANING = {
    "cumsum": "Running sums along an axis.",
    "cumprod": "Running products along an axis.",
    "cummin": "The least so far along an axis.",
    "cummax": "The greatest so far along an axis.",
}

BUILTINS = (
    *(_row(name, _scan(name), meaning, _X, _AXIS) for name, meaning in _SCAN_MEANING.items()),
    _row("sort", _along("sort", False), "The elements in rising order along an axis, NaN last.", _X, _AXIS),
    _row("argsort", _along("argsort", True),
         "The positions that sort an axis; equal elements keep their order.", _X, _AXIS),
    _row("searchsorted", _searchsorted,
         "Where values would stand in a sorted vector: before equal ones, or behind with `side=\"right\"`.",
         required("x"), required("values"), fixed("side", "left")),
    _row("bincount", _bincount, "How often each number below n stands in `keys`.", _KEYS, _N),
    *(_row(name, _segment(name), meaning, required("values"), _KEYS, _N)
      for name, meaning in _SEGMENT_MEANING.items()),
    _row("histogram", _histogram,
         "How many elements lie in each of `bins` equal parts from `low` to `high`, the last closed above.",
         _X, required("bins", INT), required("low", FLOAT), required("high", FLOAT)),
    _row("take_along", _take_along, "Elements at positions along one axis.", _X, required("indices"), _AXIS),
    _row("scatter", _scatter("scatter"),
         "`x` with the rows at `indices` replaced; of equal positions the last wins.",
         _X, required("indices"), required("values")),
    _row("scatter_add", _scatter("scatter_add"), "`x` with `values` added to the rows at `indices`.",
         _X, required("indices"), required("values")),
    Builtin("random_uniform", (_SEED, required("shape"), fixed("dtype", "f32")), _random("uniform"),
            "Random numbers from 0 to below 1 that depend on the seed and the position alone.", GROUP),
    Builtin("random_normal", (_SEED, required("shape"), fixed("dtype", "f32")), _random("normal"),
            "Normally distributed random numbers that depend on the seed and the position alone.", GROUP),
    _row("dropout", _dropout, "`x / (1 - p)`, and 0 in a random share `p` of the places.",
         _X, required("p", FLOAT), _SEED),
    _row("categorical", _categorical, "A position drawn from softmax(x) along the last axis.", _X, _SEED),
)  # fmt: skip
