"""The element types of kernels as NumPy knows them. NumPy itself is imported on first use."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

itemsizes: dict[str, int] = {
    "f64": 8,
    "f32": 4,
    "f16": 2,
    "bf16": 2,
    "i64": 8,
    "i32": 4,
    "i16": 2,
    "i8": 1,
    "u8": 1,
    "bool": 1,
}
_numpy_names = {"f64": "f8", "f32": "f4", "f16": "f2", "i64": "i8", "i32": "i4", "i16": "i2"}
_numpy_names |= {"i8": "i1", "u8": "u1", "bool": "?"}


INTEGERS = ("i64", "i32", "i16", "i8", "u8")
"""The dtypes of whole numbers; `u8` alone has no negative ones."""

FLOATS = ("f64", "f32", "f16", "bf16")
"""The dtypes of broken numbers."""

REAL_PARTS = "keep the real and the imaginary parts as two arrays of floats: `z.real`, `z.imag`"
"""What to do instead of complex numbers, which kernels lack."""


def integer_range(dtype: str) -> tuple[int, int]:
    """The least and the greatest value of an integer dtype.

    >>> integer_range("i16"), integer_range("u8")
    ((-32768, 32767), (0, 255))
    """
    width = 8 * itemsizes[dtype]
    return (0, (1 << width) - 1) if dtype == "u8" else (-(1 << width - 1), (1 << width - 1) - 1)


FORMATS = {"f64": (53, 1023), "f32": (24, 127), "f16": (11, 15), "bf16": (8, 127)}
"""Of each float dtype the bits of the significand and the greatest exponent (IEEE 754)."""


def greatest_float(dtype: str) -> float:
    """The greatest finite value of a float dtype.

    >>> greatest_float("f16"), greatest_float("f32")
    (65504.0, 3.4028234663852886e+38)
    """
    bits, exponent = FORMATS[dtype]
    return (2.0 - 2.0 ** (1 - bits)) * 2.0**exponent


def overflows(value: int | float, dtype: str) -> bool:
    """Whether a finite number is rounded to infinity in a float dtype, to nearest even.

    >>> overflows(65519.9, "f16"), overflows(65520, "f16")
    (False, True)
    """
    bits, exponent = FORMATS[dtype]
    limit: int = 2 ** (exponent + 1) - 2 ** (exponent - bits)
    return abs(value) >= limit


@cache
def numpy_dtype(dtype: str) -> "np.dtype[Any]":
    """The NumPy dtype of the name; bf16 is that of ml_dtypes."""
    import numpy as np

    if dtype == "bf16":
        import ml_dtypes

        brain: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return brain
    return np.dtype(_numpy_names[dtype])


def widened(dtype: "np.dtype[Any]") -> str | None:
    """The dtype as which arrays of a dtype that kernels lack are read, None where there is none.

    >>> import numpy as np
    >>> widened(np.dtype("u4")), widened(np.dtype("u8"))
    ('i64', None)
    """
    return "i64" if dtype.kind == "u" and dtype.itemsize in (2, 4) else None


@cache
def _names() -> "dict[np.dtype[Any], str]":
    return {numpy_dtype(name): name for name in _numpy_names}


def dtype_name(dtype: "np.dtype[Any]") -> str | None:
    """The name of a NumPy dtype, None where kernels have no such type."""
    found = _names().get(dtype)
    if found is None and dtype.name == "bfloat16" and dtype == numpy_dtype("bf16"):
        return "bf16"
    return found
