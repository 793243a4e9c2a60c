"""Differences, integrals and convolutions of sampled functions."""

from typing import Any

import numpy as np


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    """The integral of samples by trapezia, `dx` apart or at the abscissae x of a vector."""
    moved = np.moveaxis(y, axis, -1)
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
    shorter = min(a.shape[0], v.shape[0])
    return _part(_full(a, v), max(a.shape[0], v.shape[0]), shorter, (shorter - 1) // 2, mode)


def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """The sums of products of a vector with another at each shift."""
    shorter = min(a.shape[0], v.shape[0])
    swapped = min(1, max(0, v.shape[0] - a.shape[0]))
    start = (shorter - 1 + swapped) // 2
    return _part(_full(a, v[::-1]), max(a.shape[0], v.shape[0]), shorter, start, mode)


def _full(a: Any, v: Any) -> Any:
    length, width = a.shape[0], v.shape[0]
    turned = v[::-1].astype(np.result_type(a, v))
    made = np.empty(length + width - 1, np.result_type(a, v))
    for place in range(length + width - 1):
        low, high = max(0, place - width + 1), min(length, place + 1)
        made[place] = a[low:high] @ turned[width - 1 - place + low : width - 1 - place + high]
    return made


def _part(whole: Any, longer: Any, shorter: Any, start: Any, mode: Any) -> Any:
    if mode == "same":
        return whole[start : start + longer]
    if mode == "valid":
        return whole[shorter - 1 : longer]
    return whole


def polyval(p: Any, x: Any) -> Any:
    """A polynomial at x, by the coefficients from the highest power down."""
    value = np.zeros_like(x) * p[0]
    for coefficient in p:
        value = value * x + coefficient
    return value
