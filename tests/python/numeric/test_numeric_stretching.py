"""A slice of one position stretches, as in NumPy, beside extents that only the run knows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc


def beside_a_slice(a, b):
    return a[1:] - a[:1]


def along_rows(a, b):
    return a[:, 1:] / a[:, :1]


def the_last_row(a, b):
    return a[1:] * b[-1:]


def a_row_in_the_middle(a, b):
    return a[1:] * b[2:3]


def in_place(a, b):
    a[1:] += a[:1]


def stored_everywhere(a, b):
    b[:] = a[:1]


def stored_in_a_part(a, b):
    b[1:] = a[:1]


def stored_under_a_slice_of_the_run(a, b):
    for i in range(1, 3):
        a[i:] += b[:1]


CASES = [
    beside_a_slice, along_rows, the_last_row, a_row_in_the_middle, in_place, stored_everywhere,
    stored_in_a_part, stored_under_a_slice_of_the_run,
]  # fmt: skip


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_one_row_or_column_stretches_beside_a_slice(function: Callable[..., Any]) -> None:
    compiled = flowc.jit(function)
    for n in (5, 3, 9):
        a = np.arange(n * n, dtype=float).reshape(n, n) * 7 % 11 + 1
        mine, theirs = (a.copy(), a * 3 % 7), (a.copy(), a * 3 % 7)
        got, wanted = compiled(*mine), function(*theirs)
        if wanted is not None:
            np.testing.assert_allclose(got, wanted, rtol=1e-14)
        np.testing.assert_array_equal(mine, theirs)
