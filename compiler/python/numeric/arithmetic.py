"""Operators on values of every kind, with NumPy 2's rule for Python numbers: they are weak."""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Operation, SSAValue

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.equivalence import equivalent
from flowc.compiler.python.numeric.errors import BY_ZERO, SHAPES, Refused
from flowc.compiler.python.numeric.masks import beside_each_other
from flowc.compiler.python.numeric.picking import picked
from flowc.compiler.python.numeric.values import Array, Listed, Masked, Number, is_run_time
from flowc.dialects.array import build, ops
from flowc.dialects.array.kinds import COMPARISON, arity
from flowc.dialects.array.require import require
from flowc.dialects.array.types import (
    dtype_of,
    integer_range,
    is_float,
    promote_all,
    shape_of,
)

_python: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow, "neg": operator.neg,
    "abs": abs, "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le,
    "gt": operator.gt, "ge": operator.ge, "bitand": operator.and_, "bitor": operator.or_,
    "bitxor": operator.xor, "invert": operator.invert, "shl": operator.lshift, "shr": operator.rshift,
    "not": operator.not_,
}  # fmt: skip
_bits = {"bitand": "and", "bitor": "or", "bitxor": "ne", "invert": "not"}
"""What an operator on bits is between bools."""
WIDER = {"u8": "i16", "i8": "i16", "i16": "i32", "i32": "i64"}
"""The next wider dtype of whole numbers."""
SAMPLES: dict[str, bool | int | float] = {"bool": True, "i64": 1, "f64": 1.0}
"""One of Python's own numbers of each dtype, the narrowest first."""


def apply(c: Context, kind: str, *operands: object, numpy: bool = False) -> object:
    """One elementwise operator. `numpy` says that a function of NumPy asks: it gives no weak numbers."""
    if not any(map(is_run_time, operands)) and kind in _python and not numpy:
        return _now(kind, operands)
    if any(isinstance(operand, Masked) for operand in operands):
        if _under_one_mask(operands):
            return _masked(c, kind, operands)
        operands = tuple(settled(c, operand) for operand in operands)
    operands = tuple(beside_each_other(c, operands))
    dtypes = strong_dtypes(operands[1:] if kind == "where" else operands)
    if not dtypes:
        return _weakly(c, kind, operands, numpy)
    common = promote_all(dtypes)
    if kind in COMPARISON and common in WIDER:
        sides, common = _comparable(c, operands, common)
        operands = tuple(sides)
    if kind == "pow" and operands[1] == 0.5 and isinstance(operands[0], Array) and is_float(common):
        return apply(c, "sqrt", operands[0])  # as NumPy has it: of -0.0 it is -0.0, of -inf NaN
    if kind == "pow" and not is_float(common):
        if isinstance(operands[1], Number) and operands[1].weak:
            c.static(operands[1], "the exponent of whole numbers")
        if common == "bool":
            operands, common = tuple(c.wrap(to_dtype(c, value_of(c, x), "i8")) for x in operands), "i8"
    values = [
        truth_value(c, operand)
        if kind in ("and", "or", "not") or (kind == "where" and not position)
        else beside(c, operand, common)
        for position, operand in enumerate(operands)
    ]
    return _elementwise(c, kind, values, common)


def _comparable(c: Context, operands: Sequence[object], common: str) -> tuple[Sequence[object], str]:
    """The operands of a comparison: one of Python's whole numbers may lie outside the array's dtype, as 300
    does beside u8. Then both sides are compared in the next wider dtype, and the number is moved to its edge.
    """
    low, high = integer_range(common)
    outside = [
        operand
        for operand in operands
        if (isinstance(operand, Number) and operand.weak and operand.dtype == "i64")
        or (isinstance(operand, int) and not low <= operand <= high)
    ]
    if not outside:
        return operands, common
    wider = WIDER[common]
    least, most = integer_range(wider)
    moved: list[object] = []
    for operand in operands:
        if isinstance(operand, int):
            moved.append(min(max(operand, least), most))
        elif operand in outside:
            at_least = elementwise("maximum", [value_of(c, operand), c.constant(least, "i64")])
            limited = elementwise("minimum", [c.emit(at_least), c.constant(most, "i64")])
            moved.append(c.wrap(to_dtype(c, c.emit(limited), wider)))
        else:
            moved.append(operand)
    return moved, wider


def _elementwise(c: Context, kind: str, values: Sequence[SSAValue], common: str) -> Number | Array:
    if kind in _bits and promote_all([dtype_of(value.type) for value in values]) == "bool":
        kind = _bits[kind]
    if kind == "pow" and not is_float(common):
        _require_whole_power(c, values[1])
    return c.wrap(c.emit(elementwise(kind, values)))


def elementwise(kind: str, values: Sequence[SSAValue]) -> Operation:
    """The operator; raises Refused where the dialect has none of that kind."""
    if kind not in arity:
        raise Refused(f"there is no native form of `{kind}`")
    return build.elementwise(kind, values)


def _require_whole_power(c: Context, exponent: SSAValue) -> None:
    """Whole numbers have no negative powers: one that is known is refused, others the run looks at."""
    owner, dtype = exponent.owner, dtype_of(exponent.type)
    if isinstance(owner, ops.ConstantOp) and isinstance(owner.value, IntegerAttr):
        if owner.value.value.data < 0:
            raise _negative_power()
    elif integer_range(dtype)[0] < 0:
        holds = c.emit(elementwise("ge", [exponent, c.constant(0, dtype)]))
        c.append(require(c.emit(build.reduce("all", holds)) if shape_of(holds.type) else holds, "power"))


def _negative_power() -> Refused:
    return Refused(
        "whole numbers have no negative powers",
        why="NumPy refuses them too: 2**-1 is no whole number",
        help="make one side a float: `x.astype(np.float64) ** -1`",
        code=BY_ZERO,
    )


def _now(kind: str, operands: Sequence[object]) -> object:
    try:
        return _python[kind](*operands)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise Refused(str(error), code=BY_ZERO if isinstance(error, ZeroDivisionError) else SHAPES) from error


def beside(c: Context, operand: object, common: str) -> SSAValue:
    """An operand as a value; a weak number takes the dtype it has beside arrays of dtype `common`."""
    match operand:
        case bool() | int() | float():
            return c.constant(operand, build.weak_dtype(operand, common))
        case Number(weak=True):
            dtype = build.weak_dtype(SAMPLES[operand.dtype], common)
            c.limit(operand, dtype)
            return operand.value if dtype == operand.dtype else c.emit(build.cast(operand.value, dtype))
    return value_of(c, operand)


def value_of(c: Context, operand: object) -> SSAValue:
    """A number or an array as a value of its own dtype."""
    match operand:
        case bool():
            return c.constant(operand, "bool")
        case int():
            return c.constant(operand, "i64")
        case float():
            return c.constant(operand, "f64")
        case Number():
            return operand.value
        case Array():
            return c.value(operand)
        case Masked():
            return picked(c, operand)
        case Listed():
            return c.value(operand.array)
        case list() | tuple():
            return value_of(c, stacked(c, operand))
    raise Refused(f"{_shown(operand)} is neither a number nor an array")


def stacked(c: Context, items: Sequence[object], dtype: str = "") -> Array:
    """A list of numbers or arrays as one array, as `np.array` has it."""
    if not items:
        raise Refused("an empty list has no dtype", help="use `np.zeros(0)`")
    parts = [stacked(c, item, dtype) if isinstance(item, list | tuple) else item for item in items]
    dtypes = strong_dtypes(parts)
    weak = [python_dtype(p) for p in parts if not isinstance(p, Array)]
    common = dtype or (promote_all(dtypes) if dtypes else promote_all(weak))
    values = [c.emit(build.expand(to_dtype(c, beside(c, part, common), common), 0)) for part in parts]
    return c.array(c.emit(build.concat(values, 0)))


def to_dtype(c: Context, value: SSAValue, dtype: str) -> SSAValue:
    """A value with elements of a dtype."""
    return value if dtype_of(value.type) == dtype else c.emit(build.cast(value, dtype))


def python_dtype(operand: object) -> str:
    """The dtype of a number: bool, i64 or f64 for Python's own."""
    if isinstance(operand, bool):
        return "bool"
    if isinstance(operand, int):
        return "i64"
    if isinstance(operand, float):
        return "f64"
    if isinstance(operand, Number | Array):
        return operand.dtype
    if isinstance(operand, Masked):
        return dtype_of(operand.values.type)
    raise Refused(f"{_shown(operand)} is no number")


def strong_dtypes(operands: Iterable[object]) -> list[str]:
    """The dtypes of the operands that are none of Python's own numbers."""
    return [
        operand.dtype
        for operand in operands
        if isinstance(operand, Array) or (isinstance(operand, Number) and not operand.weak)
    ]


def widest(dtypes: Iterable[str]) -> str:
    """The dtype in which Python's own numbers meet."""
    return max(dtypes, key=list(SAMPLES).index)


def _weakly(c: Context, kind: str, operands: Sequence[object], numpy: bool) -> object:
    """Between Python's own numbers, Python's rules; of a function of NumPy, a strong result."""
    counted = operands[1:] if kind == "where" else operands
    dtypes = [python_dtype(operand) for operand in counted]
    common = widest(dtypes)
    if kind == "div" or (common == "bool" and kind in ("add", "sub", "mul", "floordiv", "mod", "pow", "neg")):
        common = "f64" if kind == "div" else "i64"
    if kind == "pow" and common == "i64":
        exponent = c.static(operands[1], "the exponent of a whole number of Python's")
        if numpy and isinstance(exponent, int) and exponent < 0:
            raise _negative_power()
        common = "f64" if isinstance(exponent, int) and exponent < 0 else common
    values = []
    for position, operand in enumerate(operands):
        if kind in ("and", "or", "not") or (kind == "where" and position == 0):
            values.append(truth_value(c, operand))
        else:
            values.append(to_dtype(c, value_of(c, operand), common))
    if kind in _bits and common == "bool":
        kind = _bits[kind]
    return Number(c.emit(elementwise(kind, values)), weak=not numpy)


def truth_value(c: Context, operand: object) -> SSAValue:
    """Whether a number or each element is not zero."""
    value = value_of(c, operand)
    return to_dtype(c, value, "bool")


def _under_one_mask(operands: Sequence[object]) -> bool:
    """Whether the operands are elements that one mask picks, and numbers."""
    masks = [operand.mask for operand in operands if isinstance(operand, Masked)]
    return all(equivalent(masks[0], mask) for mask in masks[1:]) and not any(
        isinstance(operand, Array) for operand in operands
    )


def settled(c: Context, operand: object) -> object:
    """The elements that a mask picks as an array of their own, a list of the run as one; anything else as it
    is."""
    if isinstance(operand, Listed):
        return operand.array
    return c.array(picked(c, operand)) if isinstance(operand, Masked) else operand


def _masked(c: Context, kind: str, operands: Sequence[object]) -> Masked:
    """The operator on all elements, under the same mask."""
    plain = [c.array(operand.values) if isinstance(operand, Masked) else operand for operand in operands]
    mask = next(operand.mask for operand in operands if isinstance(operand, Masked))
    if kind == "pow" and isinstance(operands[1], Masked) and not is_float(python_dtype(operands[1])):
        plain[1] = apply(c, "where", c.array(mask), plain[1], True)  # no error is made of what is not picked
    return Masked(value_of(c, apply(c, kind, *plain)), mask)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value)
    if value is None:
        return "None"
    name = getattr(value, "__name__", "")
    return f"`{name}`" if name else f"a {type(value).__name__}"
