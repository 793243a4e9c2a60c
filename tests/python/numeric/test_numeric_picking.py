"""Masks, arrays of positions, and results whose extent only the run knows, as NumPy has them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.python.native import kernel_of
from tests.python.numeric.agreement import agrees

rng = np.random.default_rng(0)
x, y = rng.normal(size=9), rng.normal(size=9)
a, b = rng.normal(size=(5, 4)), rng.normal(size=(5, 4, 6))
i, j = np.array([0, 3, 1, -1]), np.array([1, 1, -2, 0])


def picked(x):
    return x[x > 0]


def picked_by_two(x, y):
    return x[x > 0] * y[y > 0][:3].sum()


def picked_of_a_matrix(a):
    return a[a > 0]


def picked_rows(a):
    return a[a[:, 0] > 0]


def sum_of_picked_rows(a):
    return a[a[:, 0] > 0].sum(axis=0)


def nonzero(x):
    return np.nonzero(x > 0)


def nonzero_of_a_matrix(a):
    return np.nonzero(a > 0)


def argwhere(a):
    return np.argwhere(a > 0)


def sorted_pick(x):
    return np.sort(x[x > 0])


def sizes(x):
    return len(x[x > 0]), x[x > 0].shape[0], x[x > 0].size


def rows_filled(a):
    a[a[:, 0] > 0] = 5.0
    return a


def column_of_rows_filled(a):
    a[a[:, 0] > 0, 1] = 5.0
    return a


def picked_columns(a):
    return a[:, a[0] > 0]


def loop_over_picked(x):
    s = 0.0
    for v in x[x > 0]:
        s += v * v
    return s


def pairs(a, i, j):
    return a[i, j]


def crossed(a, i, j):
    return a[i[:, None], j[None, :]]


def around_a_slice(b, i, j):
    return b[i, :, j]


def after_a_slice(b, i, j):
    return b[:, i, j]


def number_first(b, i):
    return b[0, :, i]


def number_last(b, i):
    return b[:, i, 1]


def number_before(b, i):
    return b[:, 1, i]


def pairs_filled(a, i, j):
    a[i, j] = 7.0
    return a


def pairs_added(a, i, j, v):
    np.add.at(a, (i, j), v)
    return a


def columns_filled(a, i, v):
    a[:, i] = v
    return a


def augmented(b, i, j):
    b[i, 1, j] += 2
    return b


def one_of_each_row(a, i):
    return a[np.arange(a.shape[0]), i[: a.shape[0]]].sum()


def after_all(b, i):
    return b[..., i]


def moved(x, i):
    x[i] = x[i] + 1
    return x


def twice(b, i):
    return b[i, i]


def apart(b, i):
    return b[i, None, i]


def nothing_picked(x):
    return x[x > 100]


def one_mask_two_arrays(x, y):
    p = x > 0
    q = y[p]
    return x[p] + q, q.max()


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (picked, (x,)),
    (picked_by_two, (x, y)),
    (picked_of_a_matrix, (a,)),
    (picked_rows, (a,)),
    (sum_of_picked_rows, (a,)),
    (nonzero, (x,)),
    (nonzero_of_a_matrix, (a,)),
    (argwhere, (a,)),
    (sorted_pick, (x,)),
    (sizes, (x,)),
    (rows_filled, (a,)),
    (column_of_rows_filled, (a,)),
    (picked_columns, (a,)),
    (loop_over_picked, (x,)),
    (pairs, (a, i, j)),
    (pairs, (a.T, j, i)),
    (crossed, (a, i, j)),
    (around_a_slice, (b, i, j)),
    (after_a_slice, (b, i, j)),
    (number_first, (b, i)),
    (number_last, (b, i)),
    (number_before, (b, i)),
    (pairs_filled, (a, i, j)),
    (pairs_added, (a, i, j, x[:4])),
    (columns_filled, (a, i[:3], a[:, :3] * 2)),
    (augmented, (b, i, j)),
    (one_of_each_row, (a[:4], i)),
    (after_all, (b, i)),
    (moved, (x, i)),
    (twice, (b, i)),
    (apart, (b, i)),
    (nothing_picked, (x,)),
    (one_mask_two_arrays, (x, y)),
]


@pytest.mark.alike(8)
@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_picking_agrees_with_numpy(function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    agrees(function, arguments)


def sums_of_picked(a):
    total = 0.0
    for row in a:
        total += a[:, row > 0][0].sum()
    return total


def test_one_mask_alone_is_aligned_with_nothing() -> None:
    agrees(sums_of_picked, (a,))
    compiled = flowc.jit(sums_of_picked)
    found = compiled.specialisation((a,))
    module = str(kernel_of(compiled, compiled.names, found.types, compiled.options))
    assert module.count("array.gather") == 1
    assert "array.iota" not in module


def test_a_position_outside_of_any_axis_is_found_out() -> None:
    native = flowc.jit(pairs)
    for rows, columns in ([5], [0]), ([0], [4]), ([-6], [0]), ([1], [-5]):
        with pytest.raises(flowc.FlowError, match="position"):
            native(a, np.array(rows), np.array(columns))
