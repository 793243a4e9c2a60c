"""What Python programs write in annotations and flow bodies that Python itself has no word for.

Everything here is inert: an annotation holds its arguments, a limit is a context manager that does nothing,
and `race`, `vote`, `endorse`, `sleep` behave as a plain sequential program would. The compiler reads them in
the source.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar, Union

from attrs import frozen

T = TypeVar("T")


@frozen
class Label:
    """A label of the language on a Python type: `Annotated[str, Label("secret")]`."""

    name: str


Untrusted = Annotated[T, Label("untrusted")]
"""`Untrusted[str]`: a value that must not steer an effect that asks for trusted arguments."""
Trusted = Annotated[T, Label("trusted")]
"""`Trusted[str]`: as a parameter, refuses untrusted arguments."""
Secret = Annotated[T, Label("secret")]
"""`Secret[str]`: a value that must not leave through a public parameter."""
Public = Annotated[T, Label("public")]
"""`Public[str]`: as a parameter, refuses secret arguments."""


@frozen
class ArrayMark:
    """An array annotation: element type and extents, each a number or a dimension's name."""

    dtype: str
    dims: tuple[int | str, ...] = ()

    def __call__(self, value: Any) -> Any:
        """Casts, as the element type does; that it can be called lets typing accept it as a type argument."""
        return ElementMark(self.dtype)(value)

    def __or__(self, other: Any) -> Any:
        return Union.__getitem__((self, other))


@frozen
class ElementMark:
    """A numeric type: alone a scalar (`f32`), with extents an array (`f32["n", 384]`)."""

    dtype: str

    def __getitem__(self, dims: int | str | tuple[int | str, ...]) -> ArrayMark:
        return ArrayMark(self.dtype, dims if isinstance(dims, tuple) else (dims,))

    def __call__(self, value: Any) -> Any:
        """Casts, as `numpy.float32(value)` does."""
        import ml_dtypes
        import numpy as np

        dtype = ml_dtypes.bfloat16 if self.dtype == "bf16" else NUMPY_NAMES[self.dtype]
        return np.asarray(value).astype(dtype)[()]


NUMPY_NAMES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"} | {
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
}
"""NumPy's names of the element types."""

f64, f32, f16, bf16 = ElementMark("f64"), ElementMark("f32"), ElementMark("f16"), ElementMark("bf16")
i64, i32, i16 = ElementMark("i64"), ElementMark("i32"), ElementMark("i16")
i8, u8 = ElementMark("i8"), ElementMark("u8")


def dims(names: str) -> tuple[str, ...]:
    """Names of dimensions as variables, which linters like better: `n, d = dims("n d")`, then `f32[n, d]`."""
    return tuple(names.split())


class Array:
    """`Array["f32", "n", 384]` is `f32["n", 384]`."""

    def __class_getitem__(cls, items: tuple[Any, ...]) -> ArrayMark:
        if not isinstance(items, tuple) or len(items) < 2 or items[0] not in (*NUMPY_NAMES, "bool"):
            raise TypeError('an array annotation is an element type and its extents: Array["f32", "n", 384]')
        return ArrayMark(items[0], tuple(items[1:]))


@contextmanager
def limit(**_limits: float) -> Iterator[None]:
    """Limits a block of a flow: `with flowc.limit(timeout=30, budget=0.02, tokens=1000, retry=2,
    memory=2e9):`.

    Times in seconds, money in US dollars, memory in bytes. Outside a compiled flow it limits nothing.
    """
    yield


@contextmanager
def transaction() -> Iterator[None]:
    """A block of a flow whose writes are taken back where it fails: `with flowc.transaction():`.

    Each write in it is by a tool whose effect names its `undo`. Outside a compiled flow nothing is taken
    back.
    """
    yield


def sleep(seconds: float) -> None:
    """In a flow: waits for so many seconds, without a process where the run is durable."""
    time.sleep(seconds)


def race(first: T, *_others: T) -> T:
    """In a flow: starts all arguments, gives the first to succeed. Read sequentially: the first argument."""
    return first


def vote(ballot: T, *, max: int = 7, lead: int = 3) -> T:
    """In a flow: asks until one answer leads by `lead` or `max` were asked. Read sequentially: one ballot."""
    del max, lead
    return ballot


def endorse(value: T, reason: str) -> T:
    """Vouches for an untrusted value; `reason` stands in the manifest. The value itself is unchanged."""
    del reason
    return value


def declassify(value: T, reason: str) -> T:
    """Makes a secret value public; `reason` stands in the manifest. The value itself is unchanged."""
    del reason
    return value
