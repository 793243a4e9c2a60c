"""Differences, integrals and convolutions of sampled functions."""

from typing import Any

import numpy as np

from flowc.compiler.python.numeric.library.conditions import require


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    """The integral of samples by trapezia, `dx` apart or at the abscissae x of a vector."""
    moved = np.moveaxis(np.asarray(y), axis, -1)
    width = dx if x is None else np.diff(x)
    return (width * (moved[..., 1:] + moved[..., :-1]) / 2).sum(axis=-1)


def gradient(f: Any, spacing: Any = 1.0, axis: Any = None) -> Any:
    """Central differences inside, one-sided ones at the ends, along an axis or along each."""
    if axis is None and f.ndim > 1:
        return [_slope(f, spacing, number) for number in range(f.ndim)]
    return _slope(f, spacing, 0 if axis is None else axis)


def _slope(f: Any, spacing: Any, axis: Any) -> Any:
    samples = np.moveaxis(f, axis, 0) * 1.0
    made = np.empty_like(samples)
    made[1:-1] = (samples[2:] - samples[:-2]) / (2 * spacing)
    made[0] = (samples[1] - samples[0]) / spacing
    made[-1] = (samples[-1] - samples[-2]) / spacing
    return np.moveaxis(made, 0, axis)


def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """The sum of one vector shifted by each place of another, times what stands there."""
    a, v = np.asarray(a), np.asarray(v)
    shorter = min(a.shape[0], v.shape[0])
    made = _part(a, v, mode)
    first = _first(mode, shorter, (shorter - 1) // 2)
    _fill_ends(made, a, v[::-1], first)
    _fill_middle(made, first, a, v[::-1])
    _fill_middle(made, first, v, a[::-1])
    return made


def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """The sums of products of a vector with another at each shift."""
    a, v = np.asarray(a), np.asarray(v)
    shorter = min(a.shape[0], v.shape[0])
    swapped = min(1, max(0, v.shape[0] - a.shape[0]))
    made = _part(a, v, mode)
    first = _first(mode, shorter, (shorter - 1 + swapped) // 2)
    _fill_ends(made, a, v, first)
    _fill_middle(made, first, a, v)
    _fill_middle(made[::-1], a.shape[0] + v.shape[0] - 1 - first - made.shape[0], v, a)
    return made


def _part(a: Any, v: Any, mode: Any) -> Any:
    """Memory for the shifts that a mode keeps: all, as many as the longer vector has places, or those at
    which one vector lies within the other."""
    longer, shorter = max(a.shape[0], v.shape[0]), min(a.shape[0], v.shape[0])
    require(shorter > 0, "position")
    count = longer if mode == "same" else longer - shorter + 1 if mode == "valid" else longer + shorter - 1
    return np.empty(count, np.result_type(a, v))


def _first(mode: Any, shorter: Any, same: Any) -> Any:
    """The number of the first shift that a mode keeps."""
    return same if mode == "same" else shorter - 1 if mode == "valid" else 0


def _fill_middle(made: Any, first: Any, a: Any, v: Any) -> None:
    """The shifts, counted from `first`, at which v lies within a; none where it is longer."""
    length, width = a.shape[0], v.shape[0]
    windows = a.astype(made.dtype)[np.arange(length - width + 1)[:, None] + np.arange(width)]
    made[width - 1 - first : length - first] = windows @ v.astype(made.dtype)


def _fill_ends(made: Any, a: Any, v: Any, first: Any) -> None:
    """The shifts, counted from `first`, at which one vector reaches beyond the other."""
    length, width = a.shape[0], v.shape[0]
    a, v = a.astype(made.dtype), v.astype(made.dtype)
    shorter = min(length, width)
    for place in range(first, shorter - 1):
        made[place - first] = a[: place + 1] @ v[width - 1 - place :]
    left_out = length + width - 1 - first - made.shape[0]
    for place in range(left_out, shorter - 1):
        made[left_out - 1 - place] = a[length - 1 - place :] @ v[: place + 1]


def polyval(p: Any, x: Any) -> Any:
    """A polynomial at x, by the coefficients from the highest power down."""
    value = np.zeros_like(x) * p[0]
    for coefficient in p:
        value = value * x + coefficient
    return value
