"""Variances of too few numbers: infinite or NaN, as in NumPy, and never below zero."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.python.numeric.agreement import agrees


def of_all(x: Any) -> Any:
    return np.var(x, ddof=1), x.std(ddof=3), np.var(x, ddof=0.5)


def of_rows(x: Any) -> Any:
    return np.var(x, axis=1, ddof=2), x.std(axis=0, ddof=3, keepdims=True)


def of_picked(x: Any) -> Any:
    return x[x > 5].var(ddof=9)


def of_numbers(x: Any) -> Any:
    return np.nanvar(x, axis=1, ddof=2), np.nanstd(x, ddof=9)


def of_pairs(x: Any) -> Any:
    return np.cov(x), np.cov(x, ddof=3), np.cov(x[0], x[1], ddof=2)


@pytest.mark.alike(3)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("columns", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("function", [of_all, of_rows, of_picked, of_numbers, of_pairs])
def test_a_variance_of_too_few_numbers_is_that_of_numpy(function: Callable[..., Any], columns: int) -> None:
    x = np.arange(3.0 * columns).reshape(3, columns) ** 2
    if function is of_numbers:
        x[0] = x[1, : columns // 2] = np.nan
    agrees(function, (x,))
