"""Arguments of kernels as native code takes them: numbers in range, arrays at an address with strides in
elements."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from ctypes import addressof, c_size_t
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc.runtime.dtypes import FLOATS, INTEGERS, integer_range, numpy_dtype, widened
from flowc.runtime.kernel_failures import (
    does_not_fit,
    not_a_number,
    not_an_array,
    not_in_place,
    read_only,
    too_large_a_number,
    wrong_count,
    wrong_dtype,
    wrong_extent,
    wrong_rank,
)
from flowc.runtime.kernel_signature import KernelSignature, Parameter

if TYPE_CHECKING:
    import numpy as np


def fitting(signature: KernelSignature, arguments: Sequence[object]) -> tuple[Any, ...]:
    """The arguments as native code can take them: each as it is where it fits, else converted or copied.

    Raises FlowError for one that is no number or array of its parameter's kind.
    """
    if len(arguments) != len(signature.params):
        raise wrong_count(signature, len(arguments))
    layouts = signature.layouts or ("any",) * len(arguments)
    bound: dict[str, int] = {}
    ready: list[Any] = []
    for parameter, argument, layout in zip(signature.params, arguments, layouts, strict=True):
        if not parameter.dims:
            ready.append(number(signature.name, parameter, argument))
            continue
        array = as_array(signature.name, parameter, argument)
        check_shape(signature.name, parameter, array, bound)
        ready.append(_laid_out(signature.name, parameter, array, layout))
    return tuple(ready)


def check_shape(kernel: str, parameter: Parameter, array: Any, bound: dict[str, int]) -> None:
    """Raises FlowError where the extents are not those of the parameter; `bound` collects named ones."""
    if array.ndim != len(parameter.dims):
        raise wrong_rank(kernel, parameter, array)
    for dimension, extent in zip(parameter.dims, array.shape, strict=True):
        wanted = bound.setdefault(dimension, extent) if isinstance(dimension, str) else dimension
        if wanted != extent and dimension != "":
            raise wrong_extent(kernel, parameter, array, bound)


def as_array(kernel: str, parameter: Parameter, argument: object) -> "np.ndarray[Any, Any]":
    """The argument as an array of the parameter's dtype in native byte order; raises FlowError for what
    cannot be one."""
    import numpy as np

    dtype = numpy_dtype(parameter.dtype)
    if is_masked(argument):
        raise not_an_array(kernel, parameter, "it is masked, and its mask would be lost")
    array: Any = argument
    if not isinstance(array, np.ndarray):
        if parameter.written:
            raise not_in_place(kernel, parameter, f"it is a {type(array).__name__}")
        try:
            array = np.asarray(argument, dtype=dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise not_an_array(kernel, parameter, str(error)) from error
    if type(array) is not np.ndarray:
        array = array.view(np.ndarray)
    plain: np.ndarray[Any, Any] = array
    if plain.dtype == dtype:
        return plain
    if plain.dtype.newbyteorder("=") != dtype:
        if widened(plain.dtype) != parameter.dtype:
            raise wrong_dtype(kernel, parameter, plain)
        if parameter.written:
            raise not_in_place(kernel, parameter, f"its elements are {plain.dtype}")
        return plain.astype(dtype)
    if parameter.written:
        raise not_in_place(kernel, parameter, "its elements are not in this machine's byte order")
    return plain.astype(dtype)


def is_masked(argument: object) -> bool:
    """Whether it is a masked array; the module of those is never imported only to ask."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(argument, masked.MaskedArray)


def _laid_out(
    kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]", layout: str
) -> "np.ndarray[Any, Any]":
    """The array itself where strides in elements describe it and its layout suffices, else a copy."""
    fits = whole_strides(array) and (layout == "any" or layout_of(array) in (layout, "contiguous"))
    if parameter.written:
        if not array.flags.writeable:
            raise read_only(kernel, parameter.name)
        if not fits:
            raise not_in_place(kernel, parameter, "its elements are not at multiples of their size")
    return array if fits else array.copy(order="C")


def whole_strides(array: "np.ndarray[Any, Any]") -> bool:
    """Whether every element stands at an aligned address, a whole number of elements from the first."""
    size = array.dtype.itemsize
    return bool(array.flags.aligned) and not any(stride % size for stride in array.strides)


def layout_of(array: Any) -> str:
    """How the elements lie: "contiguous" in row-major order, "rows" with a dense last axis, else "any"."""
    if array.flags.c_contiguous:
        return "contiguous"
    dense = array.shape[-1] <= 1 or array.strides[-1] == array.dtype.itemsize
    return "rows" if dense else "any"


def number(kernel: str, parameter: Parameter, argument: object) -> int | float:
    """A number as it travels; raises FlowError where it is none or does not fit."""
    dtype = parameter.dtype
    value = argument
    if type(value) is float and dtype in FLOATS:
        return value
    if type(value) is int and dtype in INTEGERS:
        low, high = integer_range(dtype)
        if low <= value <= high:
            return value
    if not isinstance(value, int | float):
        import numpy as np

        if isinstance(value, np.generic | np.ndarray) and value.ndim == 0:
            value = value.item()
    if dtype in FLOATS and isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            raise too_large_a_number(kernel, parameter) from None
    if dtype == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, int) and dtype in INTEGERS:
        low, high = integer_range(dtype)
        if low <= value <= high:
            return int(value)
        raise does_not_fit(kernel, parameter, value)
    raise not_a_number(kernel, parameter, argument)


@cache
def holder() -> tuple[Callable[[Any], int], int]:
    """A function from an array to the address of what holds its elements' address, and the offset there.

    `array.ctypes.data` takes a microsecond. In CPython the array object itself holds the address, as its
    first field after the head, and native code can read it. Arrays of several kinds are tried before that
    is believed.
    """
    import numpy as np

    probes: list[np.ndarray[Any, Any]] = [
        np.zeros(3),
        np.zeros((2, 3), np.int8)[:, ::-1],
        np.zeros(()),
        np.empty(0, np.float32),
    ]
    word, head = c_size_t.from_address, object.__basicsize__
    direct = sys.implementation.name == "cpython" and all(
        word(id(probe) + head).value == probe.ctypes.data for probe in probes
    )
    return (id, head) if direct else (_Cells(), 0)


@cache
def find_address_of() -> "Callable[[np.ndarray[Any, Any]], int]":
    """The quickest function from an array to the address of its elements."""
    held, head = holder()
    word = c_size_t.from_address

    def address_of(array: "np.ndarray[Any, Any]") -> int:
        return word(held(array) + head).value

    return address_of


class _Cells:
    """Cells of memory that hold addresses of arrays, for a thread's latest calls."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __call__(self, array: "np.ndarray[Any, Any]") -> int:
        if not hasattr(self._local, "cells"):
            self._local.cells = deque(maxlen=256)
        cell = c_size_t(int(array.ctypes.data))
        self._local.cells.append(cell)
        return addressof(cell)
