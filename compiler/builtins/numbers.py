"""Built-ins over numbers and, element by element, over arrays."""

from collections.abc import Sequence

from flowc.compiler.builtins.arguments import is_ordered, list_type, want_list
from flowc.compiler.builtins.dtypes import (
    FLOATS,
    array,
    broadcast,
    common_dtype,
    is_number,
    is_strong,
    require_numeric,
    shape,
)
from flowc.compiler.builtins.model import Builtin, Given, Outcome, Rule, RuleError, optional, required
from flowc.runtime.types import BOOL, FLOAT, INT, JSON, NONE, STR, Array, Enum, List, Scalar, Type, text

GROUP = "Numbers"
_FUNCTION_DTYPE = {"bool": "f16", "i8": "f16", "u8": "f16", "i16": "f32"}
"""The dtypes in which functions of narrow integers come, as in NumPy; those of wider ones are f64."""


def elementwise(operator: str, result: Type, *types: Type) -> Outcome:
    """An operator that is applied to numbers as it is and to arrays element by element."""
    return Outcome(result, "elementwise" if any(isinstance(t, Array) for t in types) else "apply", operator)


def _floating(name: str, operator: str = "") -> Rule:
    def rule(given: Given) -> Outcome:
        (source,) = given.types
        found = require_numeric(source, name, 0)
        if not is_strong(source) and source != BOOL:
            return Outcome(FLOAT, "apply", operator or name)
        kept = found if found in FLOATS else _FUNCTION_DTYPE.get(found, "f64")
        return elementwise(operator or name, array(kept, shape(source)), source)

    return rule


def _same(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        (source,) = given.types
        if require_numeric(source, name, 0) == "bool":
            raise RuleError("E0105", f"`{name}` takes numbers, not `{text(source)}`", argument=0)
        return elementwise(name, INT if name == "sign" and source == FLOAT else source, source)

    return rule


def _whole(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        source = given.types[0]
        if require_numeric(source, name, 0) == "bool":
            raise RuleError("E0105", f"`{name}` takes numbers, not `{text(source)}`", argument=0)
        if "digits" in given.present:
            if is_strong(source):
                raise RuleError("E0117", f"`{name}` of `{text(source)}` takes no `digits`", argument=1)
            return Outcome(source, "apply", name)
        return elementwise(name, INT if source == FLOAT else source, source)

    return rule


def _test(name: str, operator: str) -> Rule:
    def rule(given: Given) -> Outcome:
        (source,) = given.types
        require_numeric(source, name, 0)
        return elementwise(operator, array("bool", shape(source)), source)

    return rule


def _pairwise(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        for index, type_ in enumerate(given.types):
            require_numeric(type_, name, index)
        if any(map(is_strong, given.types)):
            dtype = common_dtype(given.types)
            result = array(dtype, broadcast([shape(each) for each in given.types]))
            form = elementwise(name, result, *given.types).form
            return Outcome(result, form, name, coercions=_adapted(given.types, dtype, 0))
        return Outcome(FLOAT if FLOAT in given.types else INT, "apply", name)

    return rule


def _paired(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        for index, type_ in enumerate(given.types):
            require_numeric(type_, name, index)
        if not any(map(is_strong, given.types)):
            return Outcome(FLOAT, "apply", name)
        dtype = common_dtype(given.types)
        kept = dtype if dtype in FLOATS else _FUNCTION_DTYPE.get(dtype, "f64")
        result = array(kept, broadcast([shape(each) for each in given.types]))
        form = elementwise(name, result, *given.types).form
        return Outcome(result, form, name, coercions=_adapted(given.types, kept, 0))

    return rule


def _where(given: Given) -> Outcome:
    test, *choices = given.types
    if require_numeric(test, "where", 0) != "bool":
        raise RuleError("E0108", f"the condition of `where` must be `bool`, not `{text(test)}`", argument=0)
    if not any(isinstance(each, Array) for each in given.types):
        common = given.join(*choices)
        if common is None:
            raise RuleError(
                "E0121", f"`{text(choices[0])}` and `{text(choices[1])}` have no common type", argument=2
            )
        return Outcome(
            common, "apply", "where", coercions={i: common for i in (1, 2) if given.types[i] != common}
        )
    for index, type_ in enumerate(choices, 1):
        require_numeric(type_, "where", index)
    dims = broadcast([shape(each) for each in given.types])
    dtype = common_dtype(choices)
    return Outcome(array(dtype, dims), "elementwise", "where", coercions=_adapted(given.types, dtype, 1))


def _adapted(types: Sequence[Type], dtype: str, first: int) -> dict[int, Type]:
    """Conversions of weak numbers to the dtype of the arrays beside them."""
    return {index: Scalar(dtype) for index in range(first, len(types)) if types[index] in (INT, FLOAT)}


def _extreme(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        if len(given.types) == 1:
            element, coercions = want_list(given, name)
            if not is_ordered(element):
                raise RuleError("E0109", f"values of `{text(element)}` have no order", argument=0)
            return Outcome(element, "apply", name, coercions=coercions)
        result = given.types[0]
        if any(map(is_strong, given.types)) and all(map(is_number, given.types)):
            dtype = common_dtype(given.types)
            return Outcome(Scalar(dtype), "apply", name, coercions=_adapted(given.types, dtype, 0))
        for index, type_ in enumerate(given.types):
            common = given.join(result, type_)
            if isinstance(type_, Array) or isinstance(result, Array):
                raise RuleError(
                    "E0109",
                    f"`{name}` of several values takes no array",
                    help=f"element by element: `{name}imum(a, b)`",
                    argument=index,
                )
            if common is None or not is_ordered(common):
                raise RuleError(
                    "E0109", f"`{name}` cannot compare `{text(result)}` and `{text(type_)}`", argument=index
                )
            result = common
        return Outcome(result, "apply", name)

    return rule


extreme = {"min": _extreme("min"), "max": _extreme("max")}
"""The rules of `min` and `max` over lists and over several values; those over arrays are reductions."""


def _to_str(given: Given) -> Outcome:
    from_ = given.types[0]
    if from_ == Scalar("bytes") or isinstance(from_, Array):
        raise RuleError("E0137", f"a value of `{text(from_)}` has no text form", argument=0)
    return Outcome(STR, "apply", "str")


def _to_number(name: str, result: Type) -> Rule:
    def rule(given: Given) -> Outcome:
        (source,) = given.types
        takes = (STR, BOOL, JSON)
        if not is_number(source) and source not in takes:
            help_ = "say what it is when there is none: `get` or `if x is none`" if source == NONE else ""
            raise RuleError(
                "E0105",
                f"`{name}` takes a number, a text or json, not `{text(source)}`",
                help=help_,
                argument=0,
            )
        return Outcome(result, "apply", name)

    return rule


def _to_bool(given: Given) -> Outcome:
    (source,) = given.types
    if isinstance(source, Array):
        return Outcome(Array("bool", source.dims), "cast", "bool")
    if not is_number(source) and source not in (BOOL, JSON):
        hint = 'say what counts as true: `x != ""`, `len(xs) > 0`, `x is not none`'
        raise RuleError(
            "E0105", f"`bool` takes a number or json, not `{text(source)}`", help=hint, argument=0
        )
    return Outcome(BOOL, "apply", "bool")


def _cast(name: str) -> Rule:
    def rule(given: Given) -> Outcome:
        (source,) = given.types
        if isinstance(source, Array):
            return Outcome(Array(name, source.dims), "cast", name)
        if is_number(source) or source == BOOL:
            return Outcome(Scalar(name), "cast", name)
        dims: tuple[int | str, ...] = ()
        element: Type = source
        while isinstance(element, List) and (inner := list_type(element)) is not None:
            dims, element = (*dims, ""), inner.element
        if dims and (is_number(element) or element == BOOL):
            return Outcome(Array(name, dims), "cast", name, coercions={0: Array(name, dims)})
        if isinstance(source, Enum) or source == STR:
            raise RuleError(
                "E0105",
                f"`{name}` takes numbers, not `{text(source)}`",
                help=f"`{name}(float(x))`",
                argument=0,
            )
        raise RuleError(
            "E0105", f"`{name}` takes numbers, lists of them and arrays, not `{text(source)}`", argument=0
        )

    return rule


def _row(name: str, rule: Rule, documentation: str, *names: str) -> Builtin:
    return Builtin(name, tuple(map(required, names or ("x",))), rule, documentation, GROUP, method=True)


_FLOATING = {
    "sqrt": "The square root.",
    "rsqrt": "One over the square root.",
    "exp": "e to the power x.",
    "exp2": "2 to the power x.",
    "expm1": "exp(x) - 1, exact near 0.",
    "log": "The natural logarithm.",
    "log2": "The logarithm to base 2.",
    "log10": "The logarithm to base 10.",
    "log1p": "log(1 + x), exact near 0.",
    "sin": "The sine of x radians.",
    "cos": "The cosine of x radians.",
    "tan": "The tangent of x radians.",
    "asin": "The angle in radians whose sine is x.",
    "acos": "The angle in radians whose cosine is x.",
    "atan": "The angle in radians whose tangent is x.",
    "sinh": "The hyperbolic sine.",
    "cosh": "The hyperbolic cosine.",
    "tanh": "The hyperbolic tangent.",
    "asinh": "The number whose hyperbolic sine is x.",
    "acosh": "The number of at least 0 whose hyperbolic cosine is x.",
    "atanh": "The number whose hyperbolic tangent is x.",
    "cbrt": "The cube root.",
    "erf": "The error function.",
    "sigmoid": "1 / (1 + exp(-x)).",
}
_DTYPES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8")

BUILTINS = (
    *(_row(name, _floating(name), documentation) for name, documentation in _FLOATING.items()),
    _row("atan2", _paired("atan2"), "The angle in radians of the point (x, y), from -pi to pi.", "y", "x"),
    _row("hypot", _paired("hypot"), "sqrt(a*a + b*b), without overflow on the way.", "a", "b"),
    _row("abs", _same("abs"), "The absolute value."),
    _row("sign", _same("sign"), "-1, 0 or 1."),
    _row("floor", _whole("floor"), "The next whole number below; an `int` for a `float`."),
    _row("ceil", _whole("ceil"), "The next whole number above; an `int` for a `float`."),
    Builtin("round", (required("x"), optional("digits", None, INT)), _whole("round"),
            "The nearest whole number, halves to even; to `digits` decimal places where they are given.",
            GROUP, method=True),
    _row("isnan", _test("isnan", "isnan"), "Whether x is not a number."),
    _row("isfinite", _test("isfinite", "is_finite"), "Whether x is neither infinite nor NaN."),
    _row("minimum", _pairwise("minimum"), "The smaller of two, element by element.", "a", "b"),
    _row("maximum", _pairwise("maximum"), "The larger of two, element by element.", "a", "b"),
    _row("where", _where, "`a` where the test holds, `b` elsewhere, element by element.", "test", "a", "b"),
    _row("str", _to_str, "The value as a text."),
    _row("int", _to_number("int", INT), "A whole number from a number (towards zero), a text or json."),
    _row("float", _to_number("float", FLOAT), "A number from a number, a text or json."),
    _row("bool", _to_bool, "Whether a number is other than 0, or json is true."),
    *(_row(name, _cast(name), f"Numbers, lists or arrays as `{name}`.") for name in _DTYPES),
)  # fmt: skip
