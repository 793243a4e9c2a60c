"""Grouping, random numbers and sampling as plain Python functions, for code that runs undecorated.

Compiled, they become one pass of native code; random numbers come out the same either way, for they depend on
the seed and the position alone.
"""

from collections.abc import Sequence
from typing import Any

__all__ = [
    "categorical", "dropout", "random_normal", "random_uniform", "segment_max", "segment_mean", "segment_min",
    "segment_prod", "segment_sum",
]  # fmt: skip


def segment_sum(values: Any, keys: Any, n: int) -> Any:
    """The sum of the rows of `values` that have each key below `n`; whole numbers are summed in int64."""
    return _grouped("sum", values, keys, n)


def segment_prod(values: Any, keys: Any, n: int) -> Any:
    """The product of the rows with each key; 1 where there are none."""
    return _grouped("prod", values, keys, n)


def segment_min(values: Any, keys: Any, n: int) -> Any:
    """The least of the rows with each key; the greatest number of the dtype where there are none."""
    return _grouped("min", values, keys, n)


def segment_max(values: Any, keys: Any, n: int) -> Any:
    """The greatest of the rows with each key; the least number of the dtype where there are none."""
    return _grouped("max", values, keys, n)


def segment_mean(values: Any, keys: Any, n: int) -> Any:
    """The mean of the rows with each key; NaN where there are none."""
    import numpy as np

    total, counts = _grouped("sum", values, keys, n), np.bincount(np.asarray(keys), minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient = total / counts.reshape(-1, *[1] * (total.ndim - 1))
    return quotient.astype(total.dtype) if total.dtype.kind == "f" else quotient


def _grouped(kind: str, values: Any, keys: Any, n: int) -> Any:
    import numpy as np

    rows, places = np.asarray(values), np.asarray(keys)
    if places.size and not 0 <= places.min() <= places.max() < n:
        raise IndexError(f"keys run from 0 to {n - 1}")
    ufunc = {"sum": np.add, "prod": np.multiply, "min": np.minimum, "max": np.maximum}[kind]
    whole = rows.dtype.kind in "iub"
    if kind in ("sum", "prod"):
        first: Any = int(kind == "prod")
        wide: Any = np.int64 if whole else np.float64
    else:
        wide = rows.dtype
        edges: Any = np.iinfo(rows.dtype) if rows.dtype.kind in "iu" else None
        far = (edges.max, edges.min) if edges else (True, False) if whole else (np.inf, -np.inf)
        first = far[kind == "max"]
    result = np.full((n, *rows.shape[1:]), first, wide)
    ufunc.at(result, places, rows.astype(wide))
    return result if whole else result.astype(rows.dtype)


def random_uniform(seed: int, shape: int | Sequence[int], dtype: str = "f32") -> Any:
    """Random numbers from 0 to below 1 that depend on the seed and the position alone (Philox4x32-10)."""
    return _random("uniform", seed, shape, dtype)


def random_normal(seed: int, shape: int | Sequence[int], dtype: str = "f32") -> Any:
    """Normally distributed random numbers that depend on the seed and the position alone."""
    return _random("normal", seed, shape, dtype)


def _random(kind: str, seed: int, shape: int | Sequence[int], dtype: str) -> Any:
    import numpy as np

    from flowc.dialects.array.irregular_reference import random_numbers

    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    return random_numbers(kind, dtype, seed, extents).astype(np.float32 if dtype == "f32" else np.float64)


def dropout(x: Any, p: float, seed: int) -> Any:
    """`x / (1 - p)`, and 0 in a random share `p` of the places."""
    import numpy as np

    kept = random_uniform(seed, np.shape(x)) >= np.float32(p)
    return np.where(kept, x / np.asarray(1 - np.float32(p), np.asarray(x).dtype), 0).astype(
        np.asarray(x).dtype
    )


def categorical(x: Any, seed: int) -> Any:
    """A position drawn from softmax(x) along the last axis, by the Gumbel-max trick."""
    import numpy as np

    draws = random_uniform(seed, np.shape(x))
    inner = np.maximum(-np.log(1 - draws), np.float32(2.0**-126))
    return np.argmax(x - np.log(inner), axis=-1)
