"""Functions of each element: NumPy's ufuncs and those of `math`."""

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from flowc.compiler.python import functions as own
from flowc.compiler.python.numeric.arithmetic import apply, python_dtype, to_dtype, truth_value, value_of
from flowc.compiler.python.numeric.context import INTEGERS, Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions.dtypes import dtype_of_object
from flowc.compiler.python.numeric.functions.registry import add, implements
from flowc.compiler.python.numeric.picking import positions_by_axis
from flowc.compiler.python.numeric.subscripts import fitted
from flowc.compiler.python.numeric.values import Array, Masked, Number, is_run_time
from flowc.dialects.array import build
from flowc.dialects.array.inference import elementwise_operand_dtype
from flowc.dialects.array.types import Extent, ShapeError, integer_range, is_float

UNARY: dict[Any, str] = {
    np.negative: "neg", np.absolute: "abs", np.fabs: "abs", np.sign: "sign", np.sqrt: "sqrt", np.exp: "exp",
    np.exp2: "exp2", np.expm1: "expm1", np.log: "log", np.log2: "log2", np.log10: "log10", np.log1p: "log1p",
    np.sin: "sin", np.cos: "cos", np.tan: "tan", np.arcsin: "asin", np.arccos: "acos", np.arctan: "atan",
    np.sinh: "sinh", np.cosh: "cosh", np.tanh: "tanh", np.arcsinh: "asinh", np.arccosh: "acosh",
    np.arctanh: "atanh", np.cbrt: "cbrt", np.floor: "floor", np.ceil: "ceil",
    np.trunc: "trunc", np.isnan: "isnan", np.isfinite: "is_finite", np.logical_not: "not",
    np.invert: "invert", own.erf: "erf", own.sigmoid: "sigmoid",
}  # fmt: skip
BINARY: dict[Any, str] = {
    np.add: "add", np.subtract: "sub", np.multiply: "mul", np.divide: "div", np.floor_divide: "floordiv",
    np.mod: "mod", np.power: "pow", np.minimum: "minimum", np.maximum: "maximum", np.arctan2: "atan2",
    np.hypot: "hypot", np.equal: "eq", np.not_equal: "ne", np.less: "lt", np.less_equal: "le",
    np.greater: "gt", np.greater_equal: "ge", np.logical_and: "and", np.logical_or: "or",
    np.bitwise_and: "bitand", np.bitwise_or: "bitor", np.bitwise_xor: "bitxor", np.left_shift: "shl",
    np.right_shift: "shr",
}  # fmt: skip
MATH: dict[Any, str] = {
    math.sqrt: "sqrt", math.exp: "exp", math.expm1: "expm1", math.log2: "log2", math.log10: "log10",
    math.log1p: "log1p", math.sin: "sin", math.cos: "cos", math.tan: "tan", math.asin: "asin",
    math.acos: "acos", math.atan: "atan", math.sinh: "sinh", math.cosh: "cosh", math.tanh: "tanh",
    math.fabs: "abs", math.isnan: "isnan", math.isfinite: "is_finite", math.erf: "erf",
}  # fmt: skip
MATH_BINARY: dict[Any, str] = {math.pow: "pow", math.atan2: "atan2", math.hypot: "hypot"}


def _unary(kind: str) -> Callable[..., Any]:
    def built(c: Context, x: object, /, out: object = None, *, dtype: object = None) -> object:
        return _given(c, apply(c, kind, _cast(c, x, dtype), numpy=True), out)

    built.__doc__ = f"`{kind}` of each element."
    return built


def _binary(kind: str) -> Callable[..., Any]:
    def built(c: Context, x1: object, x2: object, /, out: object = None, *, dtype: object = None) -> object:
        return _given(c, apply(c, kind, _cast(c, x1, dtype), _cast(c, x2, dtype), numpy=True), out)

    built.__doc__ = f"`{kind}` element by element, broadcast."
    return built


def _cast(c: Context, x: object, dtype: object) -> object:
    if isinstance(x, list | tuple):
        x = c.array(value_of(c, x))
    return x if dtype is None else c.wrap(to_dtype(c, value_of(c, x), dtype_of_object(dtype)))


def _given(c: Context, result: object, out: object) -> object:
    """The result, stored in `out` where there is one."""
    if out is None:
        return result
    if not isinstance(out, Array):
        raise Refused("`out` is an array")
    c.write(out, fitted(c, result, out))
    return out


def _python_number(kind: str, function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """A function of `math`: of numbers known now Python's own value, else a float of Python's."""

    def built(c: Context, *numbers: object) -> object:
        if len(numbers) != count or any(isinstance(number, Array | Masked) for number in numbers):
            raise Refused(
                f"`math.{function.__name__}` takes {count} number(s)", help="for arrays use NumPy's"
            )
        if not any(map(is_run_time, numbers)):
            try:
                return function(*numbers)
            except (ValueError, TypeError, OverflowError) as error:
                raise Refused(f"`math.{function.__name__}`: {error}") from error
        floats = [c.wrap(to_dtype(c, value_of(c, number), "f64")) for number in numbers]
        result = apply(c, kind, *floats)
        return Number(value_of(c, result), weak=True)

    built.__doc__ = f"`{kind}` of Python's numbers."
    return built


for _function, _kind in UNARY.items():
    add(_function, _unary(_kind))
for _function, _kind in BINARY.items():
    add(_function, _binary(_kind))
for _function, _kind in MATH.items():
    add(_function, _python_number(_kind, _function, 1))
for _function, _kind in MATH_BINARY.items():
    add(_function, _python_number(_kind, _function, 2))


@implements(math.log)
def logarithm(c: Context, x: object, base: object = None) -> object:
    """The logarithm of a number, natural or to a base."""
    natural = _python_number("log", math.log, 1)
    return natural(c, x) if base is None else apply(c, "div", natural(c, x), natural(c, base))


@implements(math.floor)
def floor(c: Context, x: object) -> object:
    """The whole number below."""
    return whole(c, x, "floor", math.floor)


@implements(math.ceil)
def ceil(c: Context, x: object) -> object:
    """The whole number above."""
    return whole(c, x, "ceil", math.ceil)


def whole(c: Context, x: object, kind: str, function: Callable[..., Any]) -> object:
    """A number rounded to one of Python's whole numbers."""
    if not is_run_time(x):
        return function(x)
    if isinstance(x, Number) and is_float(x.dtype):
        x = apply(c, kind, x)
    return Number(to_dtype(c, value_of(c, x), "i64"), weak=True)


@implements(np.rint)
def rint(c: Context, x: object, /, out: object = None, *, dtype: object = None) -> object:
    """To the nearest even, as a float."""
    value = value_of(c, _cast(c, x, dtype))
    floating = elementwise_operand_dtype("sqrt", [value.type])
    return _given(c, apply(c, "round", c.wrap(to_dtype(c, value, floating)), numpy=True), out)


@implements(np.square)
def square(c: Context, x: object, /) -> object:
    """x * x."""
    return apply(c, "mul", x, x, numpy=True)


@implements(np.reciprocal)
def reciprocal(c: Context, x: object, /) -> object:
    """1 / x; of whole numbers what is left of it when it is cut."""
    if python_dtype(x) in INTEGERS:
        alone = apply(c, "eq", apply(c, "abs", x, numpy=True), 1, numpy=True)
        return apply(c, "where", alone, x, 0, numpy=True)
    return apply(c, "div", 1, x, numpy=True)


@implements(np.positive, np.conj, np.real)
def positive(c: Context, x: object, /) -> object:
    """x itself."""
    return apply(c, "mul", x, 1, numpy=True)


@implements(np.isinf)
def isinf(c: Context, x: object, /) -> object:
    """Whether each element is infinite."""
    finite = apply(c, "is_finite", x, numpy=True)
    return apply(c, "not", apply(c, "or", finite, apply(c, "isnan", x, numpy=True)), numpy=True)


@implements(np.logical_xor)
def logical_xor(c: Context, x1: object, x2: object, /) -> object:
    """Whether one of two is true and the other not."""
    return apply(c, "ne", *(apply(c, "ne", x, 0, numpy=True) for x in (x1, x2)), numpy=True)


@implements(np.where)
def where(c: Context, condition: object, x: object = None, y: object = None, /) -> object:
    """x where the condition holds, else y; without them, where it holds."""
    if x is None and y is None:
        truth = truth_value(c, condition)
        return tuple(c.array(part) for part in positions_by_axis(c, truth))
    sides = [c.array(value_of(c, side)) if isinstance(side, list | tuple) else side for side in (x, y)]
    return apply(c, "where", condition, *sides, numpy=True)


@implements(np.array_equal)
def array_equal(c: Context, a1: object, a2: object) -> object:
    """Whether two arrays have the same shape and elements."""
    first, second = (c.wrap(value_of(c, each)) for each in (a1, a2))
    shapes = [each.shape if isinstance(each, Array) else () for each in (first, second)]
    if len(shapes[0]) != len(shapes[1]):
        return False
    if not all(_are_equal(c, a, b) for a, b in zip(*shapes, strict=True)):
        return False
    same = value_of(c, apply(c, "eq", first, second, numpy=True))
    if not shapes[0]:
        return Number(same, weak=True)
    return Number(c.emit(build.reduce("all", same, list(range(len(shapes[0]))), False)), weak=True)


def _are_equal(c: Context, first: Extent, second: Extent) -> bool:
    """Whether two extents are equal: those of arguments are exactly if they have one name, and where a number
    or another array has made one, the code is made for what it is."""
    if "" in (first, second):
        c.need_extents(
            "how long these arrays are depends on values that only the code computes",
            help="where they are equally long, write `np.all(a == b)`",
        )
    equal = c.equal_extents(first, second)
    if equal is None:
        raise ShapeError(f"whether {first} is {second} is not known", (first, second))
    return equal


@implements(np.clip)
def clip(
    c: Context, a: object, a_min: object = None, a_max: object = None, out: object = None,
    *, min: object = None, max: object = None,
) -> object:  # fmt: skip
    """The elements moved into a range."""
    low, high = a_min if min is None else min, a_max if max is None else max
    result = a
    for kind, bound in (("maximum", low), ("minimum", high)):
        if bound is not None:
            result = apply(c, kind, result, _moved_inside(result, bound), numpy=True)
    return _given(c, result, out)


def _moved_inside(a: object, bound: object) -> object:
    """A bound of whole numbers that lies beyond their dtype, which has the same effect at its edge."""
    dtype = python_dtype(a) if isinstance(a, Array | Masked | Number) else ""
    if dtype not in INTEGERS or isinstance(bound, bool) or not isinstance(bound, int):
        return bound
    least, most = integer_range(dtype)
    return min(max(bound, least), most)


@implements(np.nan_to_num)
def nan_to_num(c: Context, x: object, copy: object = True, nan: object = 0.0) -> object:
    """NaN replaced by a number; infinities stay only where they are given."""
    if python_dtype(x) in INTEGERS:
        return c.wrap(value_of(c, x))
    largest = {"f64": float(np.finfo(np.float64).max), "f32": float(np.finfo(np.float32).max)}.get(
        python_dtype(x)
    )
    if largest is None:
        raise Refused("`nan_to_num` is compiled for f32 and f64")
    replaced = apply(c, "where", apply(c, "isnan", x, numpy=True), nan, x, numpy=True)
    return clip(c, replaced, -largest, largest)


@implements(np.deg2rad, np.radians)
def deg2rad(c: Context, x: object, /) -> object:
    """Degrees to radians."""
    return apply(c, "mul", x, math.pi / 180, numpy=True)


@implements(np.rad2deg, np.degrees)
def rad2deg(c: Context, x: object, /) -> object:
    """Radians to degrees."""
    return apply(c, "mul", x, 180 / math.pi, numpy=True)


@implements(np.logaddexp)
def logaddexp(c: Context, x1: object, x2: object, /) -> object:
    """log(exp(x1) + exp(x2)), without overflow."""
    top = apply(c, "maximum", x1, x2, numpy=True)
    low = apply(c, "minimum", x1, x2, numpy=True)
    rest = apply(c, "log1p", apply(c, "exp", apply(c, "sub", low, top, numpy=True), numpy=True), numpy=True)
    same = apply(c, "eq", low, top, numpy=True)
    sum_ = apply(c, "add", top, rest, numpy=True)
    return apply(c, "where", same, apply(c, "add", top, math.log(2), numpy=True), sum_, numpy=True)


@implements(builtins.abs)
def absolute(c: Context, x: object, /) -> object:
    """The magnitude."""
    return apply(c, "abs", x)


@implements(np.round, np.around)
def round_(c: Context, a: object, decimals: object = 0) -> object:
    """To the nearest even at a number of decimals."""
    places = c.static(decimals, "the number of decimals")
    if not isinstance(places, int):
        raise Refused("`decimals` is a whole number")
    if places == 0:
        return apply(c, "round", a, numpy=True)
    dtype = python_dtype(a)
    if dtype in INTEGERS and places > 0:
        return apply(c, "round", a, numpy=True)
    scale = 10.0 ** abs(places)
    first, second = ("mul", "div") if places > 0 else ("div", "mul")
    scaled = apply(c, "round", apply(c, first, a, scale, numpy=True), numpy=True)
    result = apply(c, second, scaled, scale, numpy=True)
    return c.wrap(to_dtype(c, value_of(c, result), dtype)) if dtype in INTEGERS else result
