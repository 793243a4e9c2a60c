"""Correlation, statistics of what is a number, and interpolation."""

from typing import Any

import numpy as np


def cov(m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None) -> Any:
    """The covariance of the rows of a matrix, or of vectors."""
    left = (0 if bias else 1) if ddof is None else ddof
    if y is not None and m.ndim == 1 and y.ndim == 1:
        a, b = _centred(m), _centred(y)
        return np.array([[a @ a, a @ b], [b @ a, b @ b]]) / max(len(m) - left, 0)
    rows = _rows(m, rowvar) if y is None else np.concatenate((_rows(m, rowvar), _rows(y, rowvar)))
    centred = _centred(rows)
    made = centred @ centred.T / max(rows.shape[1] - left, 0)
    return made[0, 0] if y is None and m.ndim == 1 else made


def _rows(m: Any, rowvar: Any) -> Any:
    if m.ndim == 1:
        return m[None, :]
    return m if rowvar else m.T


def _centred(rows: Any) -> Any:
    wide = rows.astype(np.float64)
    return wide - np.mean(wide, axis=-1, keepdims=True)


def corrcoef(x: Any, y: Any = None, rowvar: Any = True) -> Any:
    """The correlation of the rows of a matrix, or of vectors."""
    covariance = np.cov(x, y, rowvar)
    if np.ndim(covariance) == 0:
        return covariance / covariance
    spread = np.sqrt(np.diag(covariance))
    return np.clip(covariance / spread[:, None] / spread, -1, 1)


def nanvar(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    """The variance of what is a number."""
    missing = np.isnan(a)
    away = np.where(missing, 0, a - np.nanmean(a, axis=axis, keepdims=True))
    count = np.sum(~missing, axis=axis, keepdims=keepdims) - ddof
    squares = np.sum(away * away, axis=axis, keepdims=keepdims)
    return squares / np.where(count > 0, count, np.nan).astype(squares.dtype)


def nanstd(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    """The root of the variance of what is a number."""
    return np.sqrt(nanvar(a, axis, ddof, keepdims))


def nanargmax(a: Any, axis: Any = None) -> Any:
    """The position of the greatest of what is a number."""
    return np.argmax(np.where(np.isnan(a), -np.inf, a), axis=axis)


def nanargmin(a: Any, axis: Any = None) -> Any:
    """The position of the least of what is a number."""
    return np.argmin(np.where(np.isnan(a), np.inf, a), axis=axis)


def nancumsum(a: Any, axis: Any = None) -> Any:
    """Running sums of what is a number."""
    return np.cumsum(np.where(np.isnan(a), 0, a), axis=axis)


def nanprod(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The product of what is a number."""
    return np.prod(np.where(np.isnan(a), 1, a), axis=axis, keepdims=keepdims)


def digitize(x: Any, bins: Any, right: Any = False) -> Any:
    """The number of the bin of each element; the edges rise or fall."""
    bins = np.asarray(bins)
    rising = np.searchsorted(bins, x, side="left" if right else "right")
    falling = bins.shape[0] - np.searchsorted(bins[::-1], x, side="left" if right else "right")
    return np.where(bins[0] <= bins[-1], rising, falling)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """The line through points with rising abscissae; outside of them the ends, or `left` and `right`."""
    xp, fp = np.asarray(xp), np.asarray(fp)
    below = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, xp.shape[0] - 2)
    start, height = xp[below], fp[below]
    inside = (fp[below + 1] - height) / (xp[below + 1] - start) * (x - start) + height
    first = fp[0] if left is None else left
    last = fp[-1] if right is None else right
    upper = np.where(x > xp[-1], last, np.where(x == xp[-1], fp[-1], inside))
    return np.where(x < xp[0], first, upper).astype(np.float64)
