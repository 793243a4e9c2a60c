"""Functions of each element, and comparisons of whole arrays."""

from typing import Any

import numpy as np


def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False) -> Any:
    """Whether elements differ by no more than atol + rtol * |b|."""
    near = (np.abs(a - b) <= atol + rtol * np.abs(b)) & np.isfinite(b)
    close = near | (a == b)
    return close | (np.isnan(a) & np.isnan(b)) if equal_nan else close


def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False) -> Any:
    """Whether all elements differ by no more than atol + rtol * |b|."""
    return bool(np.all(isclose(a, b, rtol, atol, equal_nan)))


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """For each element the first choice whose condition holds."""
    chosen = default
    for condition, choice in reversed(tuple(zip(condlist, choicelist, strict=True))):
        chosen = np.where(condition, choice, chosen)
    return chosen


def heaviside(x1: Any, x2: Any) -> Any:
    """0 below zero, x2 at zero, 1 above."""
    return np.where(x1 < 0, 0.0, np.where(x1 == 0, x2, np.where(x1 > 0, 1.0, x1)))


def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at zero."""
    angle = np.pi * np.where(x == 0, 1.0e-20, x)
    return np.sin(angle) / angle


def fmax(x1: Any, x2: Any) -> Any:
    """The greater; a number wins over NaN."""
    return np.where(x1 != x1, x2, np.where(x2 != x2, x1, np.maximum(x1, x2)))


def fmin(x1: Any, x2: Any) -> Any:
    """The lesser; a number wins over NaN."""
    return np.where(x1 != x1, x2, np.where(x2 != x2, x1, np.minimum(x1, x2)))


def choose(a: Any, choices: Any, mode: Any = "raise") -> Any:
    """For each element the choice of that number."""
    count = len(choices)
    number = np.clip(a, 0, count - 1) if mode == "clip" else a % count if mode == "wrap" else a
    checked = np.arange(count)[number]
    chosen = choices[0]
    for position in range(1, count):
        chosen = np.where(checked == position, choices[position], chosen)
    return chosen


def fmod(x1: Any, x2: Any) -> Any:
    """What is left of a division, with the sign of the dividend."""
    if np.result_type(x1, x2).kind in "iub":
        left = x1 % x2
        return np.where((left != 0) & ((x1 < 0) != (x2 < 0)), left - x2, left)
    left = abs(x1) % abs(x2)
    return np.where(x1 < 0, -left, left)


def copysign(x1: Any, x2: Any) -> Any:
    """The magnitude of one number with the sign of another."""
    magnitude = np.abs(x1) * 1.0
    return np.where(signbit(x2), -magnitude, magnitude)


def signbit(x: Any) -> Any:
    """Whether a number is negative, -0.0 among them; of NaN it is not told."""
    return (x < 0) | ((x == 0) & (1 / (x * 1.0) < 0))


def putmask(a: Any, mask: Any, values: Any) -> None:
    """Sets elements where a condition holds, to one number or to what stands there; in place."""
    a[...] = np.where(mask, values, a)


def copyto(dst: Any, src: Any, where: Any = None) -> None:
    """Sets all elements, or those where a condition holds; in place."""
    if where is None:
        dst[...] = src
    else:
        dst[...] = np.where(where, src, dst)


def extract(condition: Any, arr: Any) -> Any:
    """The elements for which a condition holds."""
    return np.ravel(arr)[np.ravel(condition)]
