"""Values of a run: records, equality, and the JSON form in which results are printed and recorded.

A value is a `str`, `int`, `float`, `bool`, `bytes`, `None`, a plain JSON value, a NumPy array or scalar, a
list, a dict, a tuple, an enum member as its name, or a record. Values are never changed in place.
"""

import base64
import functools
import json
import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

from flowc.runtime.plan import Json

if TYPE_CHECKING:
    import numpy

PRINTED_ELEMENTS = 1000
"""Arrays up to this many elements print in full, larger ones as a summary."""


class RecordValue:
    """A record: attributes by field name, equal to another by value, never changed.

    Its class holds nothing but fields, so that no name of a field can hide behaviour; `record_fields` and the
    other functions of this module are the behaviour.
    """

    __slots__ = ()
    __record_fields__: tuple[str, ...] = ()

    def __init__(self, *values: object) -> None:
        for name, value in zip(self.__record_fields__, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"record {type(self).__name__} cannot be changed; `{name}` was to be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"record {type(self).__name__} cannot be changed; `{name}` was to be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RecordValue):
            return NotImplemented
        return (
            type(self).__name__ == type(other).__name__
            and self.__record_fields__ == other.__record_fields__
            and all(equal(getattr(self, name), getattr(other, name)) for name in self.__record_fields__)
        )

    def __hash__(self) -> int:
        return hash((type(self).__name__, *(getattr(self, name) for name in self.__record_fields__)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__record_fields__)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[object, ...]:
        values = tuple(getattr(self, name) for name in self.__record_fields__)
        return _rebuild, (type(self).__name__, self.__record_fields__, values)


def _rebuild(name: str, fields: tuple[str, ...], values: tuple[object, ...]) -> RecordValue:
    return record_class(name, fields)(*values)


@functools.lru_cache(maxsize=4096)
def record_class(name: str, fields: tuple[str, ...]) -> type[RecordValue]:
    """The class of the records called `name` with these fields in this order; values are given by
    position.
    """
    return type(name, (RecordValue,), {"__slots__": fields, "__record_fields__": fields})


def record_fields(value: RecordValue) -> dict[str, object]:
    """The fields of a record by name, in order of declaration."""
    return {name: getattr(value, name) for name in value.__record_fields__}


def is_array(value: object) -> "TypeGuard[numpy.ndarray]":
    """Whether `value` is a NumPy array; costs nothing while NumPy is not even imported."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def is_numpy_scalar(value: object) -> "TypeGuard[numpy.generic]":
    """Whether `value` is a NumPy scalar."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


def equal(left: object, right: object) -> bool:
    """Equality of values as programs mean it: arrays by shape, dtype and elements, the rest by structure."""
    if is_array(left) or is_array(right):
        return (
            is_array(left)
            and is_array(right)
            and left.shape == right.shape
            and left.dtype == right.dtype
            and bool((left == right).all())
        )
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(item, right[name]) for name, item in left.items())
    return bool(left == right)


def to_json(value: object, *, limit: int | None = PRINTED_ELEMENTS) -> Json:
    """The JSON form of a value. Arrays above `limit` elements become a summary; None prints all of them.

    Numbers that JSON lacks are the texts "nan", "inf" and "-inf"; bytes are {"$bytes": base64}.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [to_json(item, limit=limit) for item in value]
    if isinstance(value, RecordValue):
        return {name: to_json(item, limit=limit) for name, item in record_fields(value).items()}
    if isinstance(value, Mapping):
        return {str(name): to_json(item, limit=limit) for name, item in value.items()}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if is_array(value):
        return _array_to_json(value, limit)
    if is_numpy_scalar(value):
        plain = value.item()
        return to_json(plain if isinstance(plain, bool | int | float) else float(plain))
    raise TypeError(f"a {type(value).__name__} is no value of a program")


def _array_to_json(array: "numpy.ndarray", limit: int | None) -> Json:
    written: dict[str, Json] = {"shape": list(array.shape), "dtype": array.dtype.name}
    if limit is None or array.size <= limit:
        exact = array if array.dtype.kind in "biuf" else array.astype("float64")
        written["data"] = to_json(exact.tolist())
    else:
        wide = array.astype("float64")
        summary = {"min": wide.min(), "max": wide.max(), "mean": wide.mean()}
        written["summary"] = {name: to_json(float(number)) for name, number in summary.items()}
    return written


def from_constant(value: Json) -> object:
    """The value of a constant of a plan: JSON, where {"$bytes": base64} stands for bytes."""
    if isinstance(value, dict):
        if value.keys() == {"$bytes"} and isinstance(text := value["$bytes"], str):
            return base64.b64decode(text)
        return {name: from_constant(item) for name, item in value.items()}
    if isinstance(value, list):
        return [from_constant(item) for item in value]
    return value


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_READABLE = json.JSONEncoder(ensure_ascii=False)


def canonical(value: object) -> str:
    """A text that two values share exactly when they are equal: the key for counting and hashing."""
    return _CANONICAL.encode(to_json(value, limit=None))


def as_text(value: object) -> str:
    """How a value reads inside a text or a prompt: a string as it is, `none`, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    return _READABLE.encode(to_json(value))


def size_of(value: object) -> int:
    """About how many bytes a value holds: exact for arrays, bytes and ASCII, rough for the rest."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, list | tuple):
        return 8 * len(value) + sum(map(size_of, value))
    if isinstance(value, dict):
        return sum(16 + size_of(name) + size_of(item) for name, item in value.items())
    if isinstance(value, RecordValue):
        return sum(8 + size_of(item) for item in record_fields(value).values())
    return int(value.nbytes) if is_array(value) else 8
