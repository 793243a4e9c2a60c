"""Arrays for kernels: numbers of every sort, in every layout."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.types import integer_range, is_float
from flowc.runtime.dtypes import FORMATS, greatest_float

SORTS = ("plain", "special", "extreme")
"""Numbers that add and multiply exactly; these among NaN, infinities and -0.0; the ends of a dtype."""


def places_of(dtype: str) -> tuple[int, int]:
    """Of a floating dtype the bits behind the point, and the power of two that is the least number.

    >>> places_of("f32"), places_of("f16")
    ((23, -149), (10, -24))
    """
    bits, exponent = FORMATS[dtype]
    return bits - 1, 2 - exponent - bits


def array_of(dtype: str, shape: Sequence[int], seed: int, special: bool = False) -> Any:
    """Numbers that add and multiply exactly: multiples of a quarter, with NaN and infinities if wanted."""
    rng = np.random.default_rng(seed)
    if not is_float(dtype):
        low, high = {"bool": (0, 2), "u8": (0, 11)}.get(dtype, (-5, 6))
        return rng.integers(low, high, shape).astype(numpy_dtypes[dtype])
    values = rng.integers(-8, 9, shape) / 4
    if special:
        odd = np.array([np.nan, np.inf, -np.inf, -0.0])
        values = np.where(rng.random(shape) < 0.15, odd[rng.integers(0, 4, shape)], values)
    return np.asarray(values).astype(numpy_dtypes[dtype])


def extremes_of(dtype: str, shape: Sequence[int], seed: int) -> Any:
    """The greatest, the least and the subnormal numbers of a dtype among others of any size and digits."""
    rng = np.random.default_rng(seed)
    if not is_float(dtype):
        low, high = integer_range(dtype)
        ends = np.array([low, high, low + (dtype != "bool"), high - (dtype != "bool"), 0, 1], object)
        values = rng.integers(low, high, shape, endpoint=True)
        return np.where(rng.random(shape) < 0.5, ends[rng.integers(0, 6, shape)], values).astype(
            numpy_dtypes[dtype]
        )
    digits, least = places_of(dtype)
    subnormal, tiny = 2.0**least, 2.0 ** (least + digits)
    ends = np.array([0.0, subnormal, 3 * subnormal, tiny, greatest_float(dtype), 2.0**-digits, 1.0])
    drawn = rng.standard_normal(shape) * 2.0 ** rng.integers(-12, 13, shape)
    values = np.where(rng.random(shape) < 0.3, ends[rng.integers(0, len(ends), shape)], drawn)
    return np.asarray(np.where(rng.random(shape) < 0.5, -values, values)).astype(numpy_dtypes[dtype])


def of_sort(sort: str, dtype: str, shape: Sequence[int], seed: int) -> Any:
    """Numbers of one of the `SORTS`."""
    if sort == "extreme":
        return extremes_of(dtype, shape, seed)
    return array_of(dtype, shape, seed, sort == "special")


def strided(array: Any, layout: int) -> Any:
    """The same values in another layout: as they are, column-major, every second element, or reversed."""
    if layout == 1 and array.ndim:
        return np.asfortranarray(array)
    if layout == 2 and array.ndim:
        wide = np.repeat(array, 2, axis=-1)
        return wide[..., ::2]
    if layout == 3 and array.ndim:
        return np.ascontiguousarray(array[::-1])[::-1]
    return array
