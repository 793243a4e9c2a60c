"""Python's own functions on numbers, and flowc's."""

import builtins
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any

import numpy as np

from flowc.compiler.python.numeric.arithmetic import apply, python_dtype, to_dtype, value_of
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions import elementwise, reductions
from flowc.compiler.python.numeric.functions.dtypes import dtype_object
from flowc.compiler.python.numeric.functions.registry import implements
from flowc.compiler.python.numeric.values import Array, Number, is_run_time
from flowc.dialects.array.types import is_float


@implements(builtins.int)
def int_(c: Context, x: object = 0, /) -> object:
    """A number cut to a whole one."""
    return _converted(c, x, "i64", int)


@implements(builtins.float)
def float_(c: Context, x: object = 0.0, /) -> object:
    """A number as a float."""
    return _converted(c, x, "f64", float)


@implements(builtins.bool)
def bool_(c: Context, x: object = False, /) -> object:
    """Whether a number is not zero."""
    return _converted(c, x, "bool", bool)


def _converted(c: Context, x: object, dtype: str, function: type) -> object:
    if not is_run_time(x):
        try:
            return function(x)
        except (TypeError, ValueError, OverflowError) as error:
            raise Refused(str(error)) from error
    if isinstance(x, Array):
        raise Refused(f"`{function.__name__}` takes a number", help="for arrays write `x.astype(...)`")
    return Number(to_dtype(c, value_of(c, x), dtype), weak=True)


@implements(builtins.isinstance)
def isinstance_(c: Context, x: object, kind: object, /) -> bool:
    """Whether a value is of a type, or of one of several."""
    kinds = kind if isinstance(kind, tuple) else kind.__args__ if isinstance(kind, UnionType) else (kind,)
    if not all(isinstance(each, type) for each in kinds):
        raise Refused("`isinstance` takes types")
    return any(issubclass(_type_of(x), each) for each in kinds if isinstance(each, type))


def _type_of(x: object) -> type:
    if isinstance(x, Number) and not x.weak:
        return dtype_object(x.dtype).type
    if isinstance(x, Number):
        return {"bool": bool, "i64": int}.get(x.dtype, float)
    return np.ndarray if is_run_time(x) else type(x)


@implements(builtins.max)
def max_(c: Context, *values: object) -> object:
    """The greatest of some numbers, the first among equals."""
    return _extreme(c, values, "gt")


@implements(builtins.min)
def min_(c: Context, *values: object) -> object:
    """The least of some numbers, the first among equals."""
    return _extreme(c, values, "lt")


def _extreme(c: Context, values: Sequence[object], better: str) -> object:
    if len(values) == 1 and isinstance(values[0], tuple | list):
        values = values[0]
    if len(values) == 1 and isinstance(values[0], Array):
        whole = reductions.amax if better == "gt" else reductions.amin
        return whole(c, values[0])
    if not values or any(isinstance(value, Array) for value in values):
        raise Refused("`min` and `max` take numbers", help="for arrays use `np.minimum` and `np.maximum`")
    best = values[0]
    for value in values[1:]:
        best = _better(c, value, best, better)
    return best


def _better(c: Context, value: object, best: object, better: str) -> object:
    if not is_run_time(value) and not is_run_time(best):
        return value if apply(c, better, value, best) else best
    if python_dtype(value) == python_dtype(best) == "i64":
        return apply(c, "maximum" if better == "gt" else "minimum", best, value)
    return apply(c, "where", apply(c, better, value, best), value, best)


@implements(builtins.any)
def any_(c: Context, iterable: object, /) -> object:
    """Whether one of some numbers is not zero."""
    return _joined(c, iterable, "or", reductions.any_)


@implements(builtins.all)
def all_(c: Context, iterable: object, /) -> object:
    """Whether none of some numbers is zero."""
    return _joined(c, iterable, "and", reductions.all_)


def _joined(c: Context, iterable: object, kind: str, whole: Callable[..., object]) -> object:
    if isinstance(iterable, Array) and len(iterable.shape) == 1:
        return Number(value_of(c, whole(c, iterable)), weak=True)
    if not isinstance(iterable, tuple | list) or any(isinstance(item, Array) for item in iterable):
        raise Refused("this takes numbers, or a vector", help="for arrays write `np.any(x)` or `np.all(x)`")
    result: object = kind == "and"
    for item in iterable:
        if not is_run_time(item) and not is_run_time(result):
            result = (result and bool(item)) if kind == "and" else (result or bool(item))
        else:
            result = Number(value_of(c, apply(c, kind, result, item)), weak=True)
    return result


@implements(builtins.sorted)
def sorted_(c: Context, iterable: object, /, reverse: object = False) -> object:
    """A list of numbers that are known now, in rising order."""
    known = c.static(iterable, "what is sorted") if isinstance(iterable, tuple | list | range) else None
    if isinstance(known, tuple | list | range):
        return sorted(known, reverse=bool(c.static(reverse, "`reverse`")))
    raise Refused("only a sequence that is known now becomes a sorted list", help="write `np.sort(x)`")


@implements(builtins.sum)
def sum_(c: Context, iterable: object, /, start: object = 0) -> object:
    """The sum of a tuple, or along the first axis of an array."""
    if isinstance(iterable, Array):
        total = reductions.total(c, iterable, axis=0)
        return total if start == 0 and isinstance(start, int) else apply(c, "add", total, start)
    if not isinstance(iterable, tuple | list | range):
        raise Refused("`sum` takes an array or a tuple")
    result = start
    for item in iterable:
        result = apply(c, "add", result, item)
    return result


@implements(builtins.round)
def round_(c: Context, number: Any, ndigits: object = None) -> object:
    """To the nearest even; a whole number without digits."""
    if not is_run_time(number):
        digits: Any = c.static(ndigits, "the number of digits")
        return round(number, digits)
    if isinstance(number, Array):
        return elementwise.round_(c, number, 0 if ndigits is None else ndigits)
    if ndigits is not None:
        return elementwise.round_(c, number, ndigits)
    rounded = apply(c, "round", number) if is_float(python_dtype(number)) else number
    return Number(to_dtype(c, value_of(c, rounded), "i64"), weak=True)


@implements(builtins.pow)
def pow_(c: Context, base: object, exp: object) -> object:
    """base ** exp."""
    return apply(c, "pow", base, exp)


@implements(builtins.divmod)
def divmod_(c: Context, x: object, y: object, /) -> object:
    """x // y and x % y."""
    return apply(c, "floordiv", x, y), apply(c, "mod", x, y)
