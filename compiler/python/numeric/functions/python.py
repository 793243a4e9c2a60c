"""Python's own functions on numbers, and flowc's."""

import builtins
from collections.abc import Sequence

from flowc.compiler.python.numeric.arithmetic import apply, python_dtype, to_dtype, value_of
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions import elementwise, reductions
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
def round_(c: Context, number: object, ndigits: object = None) -> object:
    """To the nearest even; a whole number without digits."""
    if not is_run_time(number):
        return round(number, c.static(ndigits, "the number of digits"))  # type: ignore[call-overload]
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
