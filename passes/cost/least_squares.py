"""Least squares without negative members, for the few figures of a law; to load NumPy takes longer."""

from collections.abc import Sequence
from itertools import combinations
from math import sqrt

Row = Sequence[float]


def non_negative(rows: Sequence[Row], wanted: Sequence[float]) -> list[float]:
    """The least squares of rows @ x = wanted over all x without a negative member.

    Tries every set of columns, which is exact, and quick for the few there are.
    """
    count = len(rows[0])
    norms = [sqrt(sum(row[at] * row[at] for row in rows)) or 1.0 for at in range(count)]
    gram = [
        [sum(row[one] * row[two] for row in rows) / (norms[one] * norms[two]) for two in range(count)]
        for one in range(count)
    ]
    along = [
        sum(row[at] * goal for row, goal in zip(rows, wanted, strict=True)) / norms[at] for at in range(count)
    ]
    best, least = [0.0] * count, 0.0
    for size in range(1, count + 1):
        for chosen in combinations(range(count), size):
            found = _solved([[gram[i][j] for j in chosen] for i in chosen], [along[i] for i in chosen])
            if found is None or min(found) < 0.0:
                continue
            error = -sum(value * along[i] for value, i in zip(found, chosen, strict=True))
            if error < least:
                least = error
                best = [0.0] * count
                for value, i in zip(found, chosen, strict=True):
                    best[i] = value / norms[i]
    return best


def _solved(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """The solution of a symmetric system by Cholesky's method; None where columns depend on others."""
    count = len(right)
    lower = [[0.0] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(lower[i][k] * lower[j][k] for k in range(j))
            if i == j:
                if rest < 1e-10:
                    return None
                lower[i][i] = sqrt(rest)
            else:
                lower[i][j] = rest / lower[j][j]
    forward = [0.0] * count
    for i in range(count):
        forward[i] = (right[i] - sum(lower[i][k] * forward[k] for k in range(i))) / lower[i][i]
    found = [0.0] * count
    for i in reversed(range(count)):
        found[i] = (forward[i] - sum(lower[k][i] * found[k] for k in range(i + 1, count))) / lower[i][i]
    return found
