"""Built-ins over arrays: reductions, selection, products and making."""

from flowc.compiler.builtins.arguments import flag, integer, is_ordered, want_list, want_rank
from flowc.compiler.builtins.dtypes import (
    FLOATS,
    INTEGERS,
    Extent,
    Shape,
    array,
    common_dtype,
    dtype,
    is_number,
    matmul_shape,
    normalised_axis,
    promote,
    reduced_shape,
    reduction_dtype,
    shape_text,
)
from flowc.compiler.builtins.model import Builtin, Given, Outcome, Rule, RuleError, fixed, required
from flowc.compiler.builtins.numbers import extreme
from flowc.runtime.types import BOOL, FLOAT, INT, NUMERIC, Array, List, Scalar, Tuple, Type, text

GROUP = "Arrays"
_AXIS = (fixed("axis", None), fixed("keepdims", False))


def _axes(given: Given, rank: int) -> tuple[int, ...]:
    axis = given.values.get("axis")
    if axis is None:
        return tuple(range(rank))
    return (normalised_axis(integer(given, "axis", 0), rank),)


def _reduced(given: Given, name: str, source: Array) -> Outcome:
    axes = _axes(given, len(source.dims))
    keepdims = flag(given, "keepdims")
    result = array(reduction_dtype(name, source.dtype), reduced_shape(source.dims, axes, keepdims))
    return Outcome(result, "reduce", name, {"axes": axes, "keepdims": keepdims})


def _refuse_axis(given: Given, name: str) -> None:
    if given.present & {"axis", "keepdims"}:
        raise RuleError(
            "E0117", f"`{name}` of a list takes no `axis`", help="make it an array first: `f64(values)`"
        )


def _reduction(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        source = given.types[0]
        if isinstance(source, Array) and len(given.types) == 1:
            return _reduced(given, name, source)
        _refuse_axis(given, name)
        if name in extreme:
            return extreme[name](given)
        element, coercions = want_list(given, name)
        return Outcome(_list_result(name, element), "apply", name, coercions=coercions)

    return rule


def _list_result(name: str, element: Type) -> Type:
    if name in ("any", "all"):
        if element != BOOL:
            raise RuleError("E0105", f"`{name}` takes a list of `bool`, not of `{text(element)}`", argument=0)
        return BOOL
    if not is_number(element) and not (element == BOOL and name in ("sum", "mean")):
        hint = "join texts with `join`, lists with `flatten`" if name == "sum" else ""
        raise RuleError("E0105", f"`{name}` takes numbers, not `{text(element)}`", help=hint, argument=0)
    if element in (INT, BOOL, FLOAT):
        return FLOAT if name == "mean" or element == FLOAT else INT
    return Scalar(reduction_dtype(name, dtype(element) or "f64"))


def _position(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        source = given.types[0]
        if not isinstance(source, Array):
            element, _ = want_list(given, name)
            if not is_ordered(element):
                raise RuleError("E0109", f"values of `{text(element)}` have no order", argument=0)
            _refuse_axis(given, name)
            return Outcome(INT, "apply", name)
        rank = len(source.dims)
        if given.values.get("axis") is None and rank > 1:
            raise RuleError(
                "E0115", f"`{name}` of an array with {rank} axes needs `axis=`", help=f"`{name}(x, axis=-1)`"
            )
        axis = normalised_axis(integer(given, "axis", 0) if rank > 1 or "axis" in given.present else 0, rank)
        keepdims = flag(given, "keepdims")
        result = array("i64", reduced_shape(source.dims, (axis,), keepdims))
        return Outcome(result, "argreduce", name, {"axis": axis, "keepdims": keepdims})

    return rule


def _softmax(given: Given) -> Outcome:
    source = want_rank(given.types[0], "softmax")
    axis = normalised_axis(integer(given, "axis", -1), len(source.dims))
    kept = source.dtype if source.dtype in FLOATS else "f64"
    return Outcome(Array(kept, source.dims), "softmax", "softmax", {"axis": axis})


def _topk(given: Given) -> Outcome:
    source = want_rank(given.types[0], "topk")
    count = given.values.get("k", "")
    extent: Extent = count if isinstance(count, int) else ""
    last = source.dims[-1]
    if isinstance(extent, int) and (extent < 0 or (isinstance(last, int) and extent > last)):
        raise RuleError("E0211", f"there are no {extent} largest of {last}", argument=1)
    dims = (*source.dims[:-1], extent)
    result = Tuple((Array(source.dtype, dims), Array("i64", dims)), ("values", "indices"))
    return Outcome(result, "topk", "topk")


def _gather(given: Given) -> Outcome:
    source = want_rank(given.types[0], "gather")
    indices = want_rank(given.types[1], "gather", 1)
    if indices.dtype not in INTEGERS:
        raise RuleError("E0114", f"positions must be whole numbers, not `{indices.dtype}`", argument=1)
    return Outcome(Array(source.dtype, indices.dims + source.dims[1:]), "gather", "gather")


def _matmul(given: Given) -> Outcome:
    left, right = want_rank(given.types[0], "matmul"), want_rank(given.types[1], "matmul", 1)
    return Outcome(
        array(promote(left.dtype, right.dtype), matmul_shape(left.dims, right.dims)), "contract", "matmul"
    )


def _transpose(given: Given) -> Outcome:
    source = want_rank(given.types[0], "transpose")
    rank = len(source.dims)
    axes = given.values.get("axes")
    if axes is None:
        permutation = tuple(reversed(range(rank)))
    else:
        written = axes if isinstance(axes, tuple) else (axes,)
        permutation = tuple(normalised_axis(axis, rank) for axis in written if isinstance(axis, int))
        if sorted(permutation) != list(range(rank)):
            raise RuleError(
                "E0205",
                f"`axes` of `transpose` must name each of the {rank} axes once",
                help=f"`transpose(x, {list(reversed(range(rank)))})` reverses them",
            )
    dims = tuple(source.dims[axis] for axis in permutation)
    return Outcome(Array(source.dtype, dims), "transpose", "transpose", {"permutation": permutation})


def _expand(given: Given) -> Outcome:
    source = want_rank(given.types[0], "expand")
    rank = len(source.dims) + 1
    axis = normalised_axis(integer(given, "axis", 0), rank)
    return Outcome(
        Array(source.dtype, (*source.dims[:axis], 1, *source.dims[axis:])), "expand", "expand", {"axis": axis}
    )


def _concat(given: Given) -> Outcome:
    if not isinstance(given.types[0], Array):
        return _concat_lists(given)
    arrays = [want_rank(each, "concat", index) for index, each in enumerate(given.types)]
    rank = len(arrays[0].dims)
    axis = normalised_axis(integer(given, "axis", 0), rank)
    for index, each in enumerate(arrays):
        if len(each.dims) != rank:
            shapes = f"`{shape_text(arrays[0].dims)}` and `{shape_text(each.dims)}`"
            raise RuleError(
                "E0203", f"`concat` needs arrays with equally many axes, not {shapes}", argument=index
            )
    joined = [_joined([each.dims for each in arrays], position, position == axis) for position in range(rank)]
    return Outcome(Array(common_dtype(arrays), tuple(joined)), "concat", "concat", {"axis": axis})


def _concat_lists(given: Given) -> Outcome:
    _refuse_axis(given, "concat")
    result: Type = given.types[0]
    for index, each in enumerate(given.types):
        common = given.join(result, each) if isinstance(each, List) else None
        if not isinstance(common, List):
            raise RuleError(
                "E0105", f"`concat` cannot join `{text(result)}` and `{text(each)}`", argument=index
            )
        result = common
    return Outcome(result, "apply", "concat")


def _joined(shapes: list[Shape], axis: int, along: bool) -> Extent:
    extents = [each[axis] for each in shapes]
    if along:
        numbers = [extent for extent in extents if isinstance(extent, int)]
        return sum(numbers) if len(numbers) == len(extents) else ("" if len(extents) > 1 else extents[0])
    known = list(dict.fromkeys(extent for extent in extents if extent != ""))
    if len(known) > 1:
        raise RuleError("E0201", f"`concat`: the extents `{known[0]}` and `{known[1]}` of axis {axis} differ")
    return known[0] if known else ""


def _filled(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        made = given.values.get("shape", ("",))
        dims: Shape = made if isinstance(made, tuple) else (made if isinstance(made, int) else "",)
        kind = given.values.get("dtype", "f32")
        if kind not in NUMERIC and kind != "bool":
            raise RuleError("E0148", f"there is no dtype `{kind}`", help=f"one of {', '.join(NUMERIC)}, bool")
        if name == "full" and (not isinstance(given.types[1], Scalar) or dtype(given.types[1]) is None):
            raise RuleError("E0105", f"`full` takes a number, not `{text(given.types[1])}`", argument=1)
        value = {"zeros": 0, "ones": 1}.get(name)
        return Outcome(array(str(kind), dims), "fill", name, {"dtype": kind, "value": value, "shape": dims})

    return rule


def _iota(given: Given) -> Outcome:
    made = given.values.get("n", "")
    return Outcome(Array("i64", (made if isinstance(made, int) else "",)), "iota", "iota")


def _size(given: Given) -> Outcome:
    want_rank(given.types[0], "size")
    return Outcome(INT, "shape", "size")


def _reduction_row(name: str, documentation: str, variadic: bool = False) -> Builtin:
    parameters = (required("values"), *_AXIS)
    return Builtin(name, parameters, _reduction(name), documentation, GROUP, variadic=variadic, method=True)


def _row(name: str, rule: Rule, documentation: str, *parameters: str) -> Builtin:
    return Builtin(name, tuple(map(required, parameters)), rule, documentation, GROUP, method=True)


BUILTINS = (
    _reduction_row("sum", "The sum of a list, or of an array over `axis` (all axes when it is left out)."),
    _reduction_row("prod", "The product."),
    _reduction_row("mean", "The mean."),
    _reduction_row("min", "The least of a list, array or values.", variadic=True),
    _reduction_row("max", "The greatest of a list, array, or values.", variadic=True),
    _reduction_row("any", "Whether one is true."),
    _reduction_row("all", "Whether all are true."),
    Builtin("argmax", (required("values"), *_AXIS), _position("argmax"),
            "The position of the greatest; of equal ones the first.", GROUP, method=True),
    Builtin("argmin", (required("values"), *_AXIS), _position("argmin"),
            "The position of the least; of equal ones the first.", GROUP, method=True),
    Builtin("softmax", (required("x"), fixed("axis", -1)), _softmax,
            "exp(x) / sum(exp(x)) along an axis, safe for large x.", GROUP, method=True),
    Builtin("topk", (required("x"), required("k", INT)), _topk,
            "The k largest along the last axis, falling: `.values` and `.indices`.", GROUP, method=True),
    _row("gather", _gather, "The rows of `x` at `indices`; the same as `x[indices]`.", "x", "indices"),
    _row("matmul", _matmul, "The matrix product; the same as `a @ b`.", "a", "b"),
    Builtin("transpose", (required("x"), fixed("axes", None)), _transpose,
            "The axes in the order `[0, 2, 1]`, say; in reverse, as `x.T`, when none is given.",
            GROUP, method=True),
    Builtin("expand", (required("x"), fixed("axis", 0)), _expand,
            "A new axis of extent 1 before `axis`.", GROUP, method=True),
    Builtin("concat", (required("parts"), fixed("axis", 0)), _concat,
            "Arrays joined along an axis, or lists one after the other.", GROUP, variadic=True, method=True),
    Builtin("zeros", (required("shape"), fixed("dtype", "f32")), _filled("zeros"),
            "An array of zeros: `zeros(3)`, `zeros([n, 4], dtype=\"f64\")`.", GROUP),
    Builtin("ones", (required("shape"), fixed("dtype", "f32")), _filled("ones"), "An array of ones.", GROUP),
    Builtin("full", (required("shape"), required("value"), fixed("dtype", "f32")), _filled("full"),
            "An array that holds one value everywhere.", GROUP),
    Builtin("iota", (required("n", INT),), _iota, "The array 0, 1, ... below n, as i64.", GROUP),
    _row("size", _size, "The number of elements of an array.", "x"),
)  # fmt: skip
