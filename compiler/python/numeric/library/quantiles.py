"""Medians and quantiles: what lies at, or between, places of the elements in rising order."""

from typing import Any

import numpy as np

from flowc.compiler.python.numeric.library.conditions import require


def in_order(lines: Any, first: Any, count: Any) -> Any:
    """`count` elements of each line along the last axis, from position `first` in rising order on.

    Its native form is an operator of its own, which does not sort the others.
    """
    places = np.clip(np.asarray(first)[..., None] + np.arange(count), 0, lines.shape[-1] - 1)
    return np.take_along_axis(np.sort(lines, axis=-1), places, axis=-1)


def median(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The middle of the sorted elements; NaN where one is NaN, or where there is none."""
    lines = _lines(a, axis)
    middle = np.where(_are_numbers(lines), _middle(lines, lines.shape[-1]), np.nan)
    return _shaped(middle, a, axis, keepdims)


def _middle(lines: Any, count: Any) -> Any:
    """The middle of the first `count` elements of each line in order, NaN where that is none."""
    two = in_order(lines, (count - 1) // 2, 2)
    return np.where(count > 0, np.where(count % 2 == 1, two[..., 0], np.mean(two, axis=-1)), np.nan)


def percentile(a: Any, q: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The value below which q percent lie, linear between neighbours."""
    return quantile(a, q / 100 if np.ndim(q) == 0 else np.asarray(q) / 100, axis, keepdims)


def quantile(a: Any, q: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The value below which a share q lies, linear between neighbours."""
    lines = _lines(a, axis)
    last = lines.shape[-1] - 1
    require(last >= 0, "position")
    if np.ndim(q) == 0:
        require(0 <= q <= 1, "share")
        place = q * last
        two = in_order(lines, int(place), 2)
        value = _between(two[..., 0], two[..., 1], place - int(place))
        return _shaped(np.where(_are_numbers(lines), value, np.nan), a, axis, keepdims)
    shares = np.asarray(q)
    require(np.all((shares >= 0) & (shares <= 1)), "share")
    ordered = np.sort(lines, axis=-1)
    places = shares * np.float64(last)
    low = np.floor(places).astype(np.int64)
    value = _between(ordered[..., low], ordered[..., np.minimum(low + 1, last)], places - low)
    value = np.where(ordered[..., last:] == ordered[..., last:], value, np.nan)
    return _shaped(np.moveaxis(value, -1, 0), a, axis, keepdims, 1)


def _lines(a: Any, axis: Any) -> Any:
    """The elements that meet, along the last axis."""
    if axis is None:
        return np.ravel(a)
    if np.ndim(axis) == 0:
        return np.moveaxis(a, axis, -1)
    ends = tuple([place - len(axis) for place in range(len(axis))])
    moved = np.moveaxis(a, axis, ends)
    return moved.reshape(*moved.shape[: -len(axis)], -1)


def _shaped(value: Any, a: Any, axis: Any, keepdims: Any, ahead: Any = 0) -> Any:
    """The result with the axes it is to have, behind `ahead` axes of its own."""
    if not keepdims:
        return value
    gone = range(np.ndim(a)) if axis is None else [axis] if np.ndim(axis) == 0 else axis
    return np.expand_dims(value, tuple([ahead + place % np.ndim(a) for place in gone]))


def _are_numbers(lines: Any) -> Any:
    """Whether no element of a line is NaN."""
    return True if lines.dtype.kind in "iub" else np.all(lines == lines, axis=-1)


def _between(below: Any, above: Any, share: Any) -> Any:
    """What lies at a share of the way between two neighbours, nearer to the exact one of the two."""
    step = above - below
    return np.where(share < 0.5, below + step * share, above - step * (1 - share))


def nanquantile(a: Any, q: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The value below which a share q of what is a number lies, linear between neighbours."""
    lines = _lines(a, axis)
    if np.ndim(q) != 0:
        return _shaped(np.moveaxis(_at_shares(lines, np.asarray(q)), -1, 0), a, axis, keepdims, 1)
    require(0 <= q <= 1, "share")
    count = np.sum(lines == lines, axis=-1)
    place = np.maximum(count - 1, 0) * np.float64(q)
    low = np.floor(place).astype(np.int64)
    two = in_order(lines, low, 2)
    below, above = two[..., 0], two[..., 1]
    share = (place - low).astype((below * q).dtype)  # a share that is Python's own leaves the dtype as it is
    value = np.where(share > 0, below + (above - below) * share, below)
    return _shaped(np.where(count > 0, value, np.nan), a, axis, keepdims)


def _at_shares(lines: Any, shares: Any) -> Any:
    """For each line the values below which shares of its numbers lie."""
    require(np.all((shares >= 0) & (shares <= 1)), "share")
    ordered = np.sort(lines, axis=-1)
    count = np.sum(lines == lines, axis=-1, keepdims=True)
    last = np.maximum(count - 1, 0)
    places = last * shares.astype(np.float64)
    low = np.floor(places).astype(np.int64)
    below = np.take_along_axis(ordered, low, axis=-1)
    above = np.take_along_axis(ordered, np.minimum(low + 1, last), axis=-1)
    return np.where(count > 0, _between(below, above, places - low), np.nan)


def nanpercentile(a: Any, q: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The value below which q percent of what is a number lie, linear between neighbours."""
    return nanquantile(a, q / 100 if np.ndim(q) == 0 else np.asarray(q) / 100, axis, keepdims)


def nanmedian(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The middle of what is a number; NaN where nothing is."""
    lines = _lines(a, axis)
    return _shaped(_middle(lines, np.sum(lines == lines, axis=-1)), a, axis, keepdims)
