"""Dtypes as programs write them."""

from typing import Any

import numpy as np

from flowc.compiler.python.marks import ElementMark
from flowc.compiler.python.numeric.errors import Refused
from flowc.runtime.dtypes import REAL_PARTS, dtype_name, numpy_dtype

_python: dict[object, str] = {bool: "bool", int: "i64", float: "f64"}


def dtype_of_object(value: Any) -> str:
    """The name of a dtype written as `np.float32`, `"float32"`, `float` or `flowc.f32`."""
    if isinstance(value, ElementMark):
        return value.dtype
    if isinstance(value, type) and value in _python:
        return _python[value]
    try:
        dtype = np.dtype(value)
    except TypeError:
        dtype = np.dtype(object)
    found = dtype_name(dtype)
    if found is None:
        raise Refused(f"there is no native form of dtype {value!r}", help=instead_of(dtype))
    return found


def instead_of(dtype: "np.dtype[Any]") -> str:
    """What to use for a dtype that has no native form."""
    return REAL_PARTS if dtype.kind == "c" else "use float64, float32 or an integer dtype"


def dtype_object(name: str) -> "np.dtype[Any]":
    """The NumPy dtype of a name."""
    return numpy_dtype(name)
