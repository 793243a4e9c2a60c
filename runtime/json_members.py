"""Reading parsed JSON member by member: each reader gives a typed value or raises ValueError."""

import base64
from collections.abc import Callable
from typing import Final, TypeVar

from flowc.runtime.plan import Json

T = TypeVar("T")

MISREAD: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a record that somebody else wrote may raise, whatever stands in it."""


def as_object(value: object) -> dict[str, object]:
    """The members of an object."""
    if not isinstance(value, dict):
        raise ValueError(f"an object was expected, not {value!r:.60}")
    return value


def as_list(value: object) -> list[object]:
    """The items of a list."""
    if not isinstance(value, list):
        raise ValueError(f"a list was expected, not {value!r:.60}")
    return value


def exactly(kind: type[T]) -> Callable[[object], T]:
    """A reader of values of this class and none below it: True is no int."""

    def read(value: object) -> T:
        if type(value) is not kind:
            raise ValueError(f"{kind.__name__} was expected, not {value!r:.60}")
        return value

    return read


def as_number(value: object) -> float:
    """A number, as a float; NaN is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError(f"a number was expected, not {value!r:.60}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"no float is as large as {value!r:.60}") from None


def or_none(read: Callable[[object], T], value: object) -> T | None:
    """What `read` gives, or None."""
    return None if value is None else read(value)


def as_json(value: object) -> Json:
    """A JSON value; Python's reader takes NaN for one, which equals nothing, not even itself."""
    if value is None or (isinstance(value, bool | int | float | str) and value == value):
        return value
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            base64.b64decode(_text(value["$bytes"]))  # what stands for bytes does
        return {_text(name): as_json(item) for name, item in value.items()}
    raise ValueError(f"not a JSON value: {value!r:.60}")


_text = exactly(str)
