"""Operators over values: arithmetic, comparison, logic, subscripts."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from flowc.runtime.values import RecordValue, equal

LARGEST_POWER = 1_000_000
"""Bits that an integer power may have; a program must not be able to fill the memory with one line."""

LARGEST_TEXT = 100_000_000
"""Characters or elements that a repetition may give."""


def _mul(left: Any, right: Any) -> Any:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | list) and len(sequence) * times > LARGEST_TEXT:
            raise ValueError(f"{len(sequence)} elements {times} times are too many")
    return left * right


def _pow(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        if right < 0:
            raise ValueError("a whole number has no whole power below 0; write one of them as a float")
        if left.bit_length() * right > LARGEST_POWER:
            raise ValueError(f"{left} ** {right} has more than {LARGEST_POWER} bits")
    result = left**right
    if isinstance(result, complex):
        raise ValueError("a negative number has no broken power")
    return result


def _not_equal(left: object, right: object) -> bool:
    return not equal(left, right)


def _is(left: object, right: object) -> bool:
    return left is right or (left is not None and right is not None and equal(left, right))


def _is_not(left: object, right: object) -> bool:
    return not _is(left, right)


def _in(value: object, values: Any) -> bool:
    if isinstance(values, str | dict):
        return value in values
    return any(equal(value, other) for other in values)


def _not_in(value: object, values: Any) -> bool:
    return not _in(value, values)


def _not(value: object) -> bool:
    return not value


def get_item(values: Any, at: Any) -> Any:
    """`values[at]`: an element of a list, text or tuple, a member of a dict or of a json value."""
    if isinstance(values, dict):
        return values[at]
    if isinstance(values, RecordValue) and isinstance(at, str):
        return getattr(values, at)
    if isinstance(values, list | str | tuple | bytes):
        if isinstance(at, str):
            raise KeyError(at)
        length, position = len(values), operator.index(at)
        if not -length <= position < length:
            raise IndexError(f"position {position} of {length} elements")
        return values[position]
    if values is None or isinstance(values, bool | int | float):
        raise KeyError(at)
    return values[at]


def slice_of(values: Any, start: Any, stop: Any, step: Any = None) -> Any:
    """`values[start:stop:step]`, each bound optional."""
    if step == 0:
        raise ValueError("the step of a slice must not be 0")
    return values[slice(start, stop, step)]


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": _mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": _pow,
    "neg": operator.neg,
    "pos": operator.pos,
    "invert": operator.invert,
    "xor": operator.xor,
    "and": operator.and_,
    "or": operator.or_,
    "not": _not,
    "eq": equal,
    "ne": _not_equal,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "is": _is,
    "is_not": _is_not,
    "is_none": lambda value: value is None,
    "is_not_none": lambda value: value is not None,
    "in": _in,
    "not_in": _not_in,
    "get_item": get_item,
    "slice": slice_of,
}
"""Operators by the names that the compiler gives them."""
