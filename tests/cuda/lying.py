"""How arrays lie in memory: the bytes that one spans."""

from typing import Any

import numpy as np


def spread(array: Any) -> tuple[Any, int]:
    """A copy of all bytes from the first to the last element of an array, and where in them it begins."""
    if not array.size:
        return np.empty(0, np.uint8), 0
    low, high = np.lib.array_utils.byte_bounds(array)
    whole = np.empty(high - low, np.uint8)
    start = array.ctypes.data - low
    np.ndarray(array.shape, array.dtype, whole, start, array.strides)[...] = array
    return whole, start
