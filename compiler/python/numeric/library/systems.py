"""Products of Kronecker and systems of linear equations."""

from typing import Any

import numpy as np

from flowc.compiler.python.numeric.library.conditions import require


def kron(a: Any, b: Any) -> Any:
    """Each element of one vector or matrix times all of the other."""
    if a.ndim == 1:
        return (a[:, None] * b).ravel()
    product = a[:, None, :, None] * b[None, :, None, :]
    return product.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])


COLUMNS = 32
"""Columns of a triangle that are computed together: what those before them take away is one product."""


def cholesky(a: Any) -> Any:
    """The lower triangle L with L @ L.T == a, some columns at a time; `a` must be positive definite."""
    a = a * 1.0
    lower = np.zeros_like(a)
    for low in range(0, a.shape[0], COLUMNS):
        high = min(low + COLUMNS, a.shape[0])
        lower[low:, low:high] = a[low:, low:high] - lower[low:, :low] @ lower[low:high, :low].T
        for j in range(low, high):
            column = lower[j:, j] - lower[j:, low:j] @ lower[j, low:j]
            require(column[0] > 0, "decomposition")
            lower[j:, j] = column / np.sqrt(column[0])
        lower[low:high, low:high] = np.tril(lower[low:high, low:high])
    return lower


def _eliminate(upper: Any, right: Any) -> Any:
    """Brings a system to triangular form in place, the greatest pivot first; gives the sign of the row
    exchanges. A column that has no pivot stays as it is: below it there is nothing to eliminate."""
    sign = 1.0
    for k in range(upper.shape[0]):
        pivot = k + np.argmax(np.abs(upper[k:, k]))
        if pivot != k:
            kept, moved = upper[k].copy(), right[k].copy()
            upper[k], right[k] = upper[pivot].copy(), right[pivot].copy()
            upper[pivot], right[pivot] = kept, moved
            sign = -sign
        factors = upper[k + 1 :, k] / np.where(upper[k, k] == 0, 1, upper[k, k])
        upper[k + 1 :] -= np.outer(factors, upper[k])
        right[k + 1 :] -= np.outer(factors, right[k])
    return sign


def solve(a: Any, b: Any) -> Any:
    """x with a @ x == b, by elimination; `a` must not be singular."""
    dtype = np.result_type(a * 1.0, b * 1.0)
    upper = (a * 1.0).astype(dtype)
    right = ((b[:, None] if b.ndim == 1 else b) * 1.0).astype(dtype)
    _eliminate(upper, right)
    require(np.all(np.diag(upper) != 0), "decomposition")
    for k in range(upper.shape[0] - 1, -1, -1):
        right[k] = (right[k] - upper[k, k + 1 :] @ right[k + 1 :]) / upper[k, k]
    return right[:, 0] if b.ndim == 1 else right


def inv(a: Any) -> Any:
    """The inverse, by elimination; `a` must not be singular."""
    return solve(a, np.eye(a.shape[0], dtype=(a * 1.0).dtype))


def det(a: Any) -> Any:
    """The determinant, by elimination."""
    upper = a * 1.0
    right = np.zeros((a.shape[0], 1))
    return _eliminate(upper, right) * np.prod(np.diag(upper))
