"""Order statistics, correlation and interpolation."""

from typing import Any

import numpy as np


def median(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The middle of the sorted elements; NaN where one is NaN."""
    return quantile(a, 0.5, axis, keepdims)


def percentile(a: Any, q: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The value below which q percent lie, linear between neighbours."""
    return quantile(a, q / 100 if np.ndim(q) == 0 else np.asarray(q) / 100, axis, keepdims)


def quantile(a: Any, q: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The value below which a share q lies, linear between neighbours."""
    ordered = np.sort(a.ravel() if axis is None else np.moveaxis(a, axis, -1), axis=-1)
    last = ordered.shape[-1] - 1
    if np.ndim(q) == 0:
        value = _between(ordered, q * last, int(q * last), last)
        value = np.where(ordered[..., last] == ordered[..., last], value, np.nan)
    else:
        places = np.asarray(q) * np.float64(last)
        value = _between(ordered, places, np.floor(places).astype(np.int64), last)
        value = np.where(ordered[..., last:] == ordered[..., last:], value, np.nan)
        value = np.moveaxis(value, -1, 0)
    if keepdims:
        value = np.expand_dims(value, tuple(range(np.ndim(a))) if axis is None else axis)
    return value


def _between(ordered: Any, place: Any, low: Any, last: Any) -> Any:
    """What lies at a place between two neighbours, nearer to the exact one of the two."""
    below, above = ordered[..., low], ordered[..., np.minimum(low + 1, last)]
    share, step = place - low, above - below
    return np.where(share < 0.5, below + step * share, above - step * (1 - share))


def corrcoef(x: Any) -> Any:
    """The correlation of the rows of a matrix."""
    covariance = np.cov(x)
    spread = np.sqrt(np.diag(covariance))
    return np.clip(covariance / spread[:, None] / spread, -1, 1)


def nanvar(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    """The variance of what is a number."""
    missing = np.isnan(a)
    away = np.where(missing, 0, a - np.nanmean(a, axis=axis, keepdims=True))
    count = np.sum(~missing, axis=axis, keepdims=keepdims) - ddof
    return np.sum(away * away, axis=axis, keepdims=keepdims) / count


def nanstd(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    """The root of the variance of what is a number."""
    return np.sqrt(nanvar(a, axis, ddof, keepdims))


def nanprod(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The product of what is a number."""
    return np.prod(np.where(np.isnan(a), 1, a), axis=axis, keepdims=keepdims)


def unique(ar: Any) -> Any:
    """The elements in rising order, each once."""
    ordered = np.sort(ar.ravel())
    first = np.ones(ordered.shape, np.bool_)
    same = (ordered[1:] == ordered[:-1]) | ((ordered[1:] != ordered[1:]) & (ordered[:-1] != ordered[:-1]))
    first[1:] = ~same
    return ordered[first]


def isin(element: Any, test_elements: Any) -> Any:
    """Whether each element is among others."""
    ordered = np.sort(test_elements.ravel())
    return np.searchsorted(ordered, element, side="right") > np.searchsorted(ordered, element)


def digitize(x: Any, bins: Any, right: Any = False) -> Any:
    """The number of the bin of each element; the edges rise or fall."""
    rising = np.searchsorted(bins, x, side="left" if right else "right")
    falling = bins.shape[0] - np.searchsorted(bins[::-1], x, side="left" if right else "right")
    return np.where(bins[0] <= bins[-1], rising, falling)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """The line through points with rising abscissae; outside of them the ends, or `left` and `right`."""
    below = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, xp.shape[0] - 2)
    start, height = xp[below], fp[below]
    inside = (fp[below + 1] - height) / (xp[below + 1] - start) * (x - start) + height
    first = fp[0] if left is None else left
    last = fp[-1] if right is None else right
    upper = np.where(x > xp[-1], last, np.where(x == xp[-1], fp[-1], inside))
    return np.where(x < xp[0], first, upper).astype(np.float64)
