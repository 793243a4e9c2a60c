"""Numbers: mathematics that answers as arrays do (NaN and infinity instead of an exception), and
conversions.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flowc.runtime.values import as_text, is_numpy_scalar

Number = TypeVar("Number", int, float)


def _is_numpy_float(x: Any) -> bool:
    return is_numpy_scalar(x) and bool(x.dtype.kind == "f" or x.dtype.name == "bfloat16")


def _elementary(name: str, function: Callable[[float], float], overflow: float) -> Callable[[Any], Any]:
    """`function` of a number; outside its domain NaN, past the largest number `overflow`, as IEEE 754
    has it.
    """

    def apply(x: Any) -> Any:
        if is_numpy_scalar(x):
            kind = type(x) if _is_numpy_float(x) else float
            return kind(apply(float(x.item())))
        try:
            return function(x)
        except OverflowError:
            return overflow
        except ValueError:
            return math.nan

    apply.__name__ = name
    return apply


def _paired(name: str, function: Callable[[float, float], float]) -> Callable[[Any, Any], Any]:
    """`function` of two numbers; where the floats of NumPy among them have one type, in that type."""

    def apply(x: Any, y: Any) -> Any:
        kinds = {type(each) for each in (x, y) if _is_numpy_float(each)}
        kind = kinds.pop() if len(kinds) == 1 else float
        return kind(function(float(x), float(y)))

    apply.__name__ = name
    return apply


def _log(function: Callable[[float], float], pole: float = 0.0) -> Callable[[float], float]:
    return lambda x: -math.inf if x == pole else function(x)


def _sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(math.inf, x)


def _atanh(x: float) -> float:
    return math.copysign(math.inf, x) if abs(x) == 1 else math.atanh(x)


def _rsqrt(x: float) -> float:
    return math.inf if x == 0 else 1 / math.sqrt(x)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _sign(x: Any) -> Any:
    if x != x:
        return x
    sign = (x > 0) - (x < 0)
    return type(x)(sign) if is_numpy_scalar(x) else sign


def _whole(function: Callable[[Any], int]) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        if is_numpy_scalar(x):
            return type(x)(function(x.item()) if math.isfinite(x.item()) else x)
        return function(x)

    return apply


def _round(x: Any, digits: int | None = None) -> Any:
    if is_numpy_scalar(x):
        return type(x)(round(x.item()) if math.isfinite(x.item()) else x)
    return round(x) if digits is None else round(x, digits)


def _least(x: Any, y: Any) -> Any:
    return x if x != x or (y == y and x <= y) else y


def _greatest(x: Any, y: Any) -> Any:
    return x if x != x or (y == y and x >= y) else y


def to_int(value: Any) -> int:
    """A whole number from a number (towards zero), a text or json."""
    return _converted(int, "whole number", value)


def to_float(value: Any) -> float:
    """A number from a number, a text or json."""
    return _converted(float, "number", value)


def _converted(kind: Callable[[Any], Number], name: str, value: Any) -> Number:
    if isinstance(value, str):
        try:
            return kind(value.strip().replace(",", ""))
        except ValueError:
            raise ValueError(f"{value!r:.60} is no {name}") from None
    if value is None or isinstance(value, list | dict):
        raise ValueError(f"{as_text(value):.60} is no number")
    return kind(value)


def to_bool(value: Any) -> bool:
    """Whether a number is other than 0, or json is true."""
    if isinstance(value, bool):
        return value
    if value is None or isinstance(value, str | list | dict):
        raise ValueError(f"{as_text(value):.60} is neither true nor false")
    return bool(value != 0)


def _where(test: bool, one: Any, other: Any) -> Any:
    return one if test else other


_ELEMENTARY: Mapping[str, tuple[Callable[[float], float], float]] = {
    "sqrt": (math.sqrt, math.inf),
    "rsqrt": (_rsqrt, math.inf),
    "exp": (math.exp, math.inf),
    "exp2": (lambda x: math.pow(2.0, x), math.inf),
    "expm1": (math.expm1, math.inf),
    "log": (_log(math.log), math.inf),
    "log2": (_log(math.log2), math.inf),
    "log10": (_log(math.log10), math.inf),
    "log1p": (_log(math.log1p, -1.0), math.inf),
    "sin": (math.sin, math.nan),
    "cos": (math.cos, math.nan),
    "tan": (math.tan, math.nan),
    "asin": (math.asin, math.nan),
    "acos": (math.acos, math.nan),
    "atan": (math.atan, math.nan),
    "sinh": (_sinh, math.inf),
    "cosh": (math.cosh, math.inf),
    "tanh": (math.tanh, 1.0),
    "asinh": (math.asinh, math.inf),
    "acosh": (math.acosh, math.inf),
    "atanh": (_atanh, math.nan),
    "cbrt": (math.cbrt, math.inf),
    "erf": (math.erf, 1.0),
    "sigmoid": (_sigmoid, 0.0),
}

NUMBERS: Mapping[str, Callable[..., Any]] = {
    **{name: _elementary(name, function, over) for name, (function, over) in _ELEMENTARY.items()},
    "atan2": _paired("atan2", math.atan2),
    "hypot": _paired("hypot", math.hypot),
    "abs": abs,
    "sign": _sign,
    "floor": _whole(math.floor),
    "ceil": _whole(math.ceil),
    "round": _round,
    "isnan": lambda x: bool(x != x),
    "is_finite": lambda x: math.isfinite(x),
    "isfinite": lambda x: math.isfinite(x),
    "minimum": _least,
    "maximum": _greatest,
    "where": _where,
    "int": to_int,
    "float": to_float,
    "bool": to_bool,
}
"""Functions of numbers."""
