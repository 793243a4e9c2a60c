"""`topk` gives what is asked of it: either of its results alone, in tiles, with NaN and ties."""

from typing import Any

import numpy as np
import pytest

import flowc

pytestmark = pytest.mark.usefixtures("unoptimised")


def values_alone(x: Any) -> Any:
    return flowc.topk(x, 2).values


def indices_alone(x: Any) -> Any:
    return flowc.topk(x, 2).indices


def the_best_of_each_row(x: Any) -> Any:
    return flowc.topk(x * 2, 1).values + 1


def both_used(x: Any) -> Any:
    best = flowc.topk(x, 1)
    return best.values[:, 0] + best.indices[:, 0]


def of_a_product(x: Any) -> Any:
    return flowc.topk(x @ x.T, 3).indices


CASES = [values_alone, indices_alone, the_best_of_each_row, both_used, of_a_product]


def matrix(rows: int, dtype: str) -> Any:
    return np.random.default_rng(rows).integers(-4, 5, (rows, 9)).astype(dtype)


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_results_of_topk_are_used_together_or_alone(function: Any) -> None:
    compiled = flowc.jit(function)
    for rows in (4, 50, 130):
        np.testing.assert_array_equal(compiled(matrix(rows, "f4")), function(matrix(rows, "f4")))


@pytest.mark.parametrize("dtype", ["f2", "f8", "i4"])
def test_the_best_of_each_column_of_a_product_have_every_dtype(dtype: str) -> None:
    def best(x: Any, y: Any) -> Any:
        return flowc.topk((x @ y.T + 1).T, 3)

    compiled = flowc.jit(best)
    for rows, columns in ((300, 7), (130, 65), (7, 300)):
        x, y = matrix(rows, dtype), matrix(columns, dtype)
        for got, wanted in zip(compiled(x, y), best(x, y), strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_topk_of_a_vector_ranks_nan_above_all_numbers_and_ties_by_position() -> None:
    x = matrix(1000, "f4").reshape(-1)
    x[[17, 4000]] = np.nan
    got, wanted = flowc.jit(five_best)(x), five_best(x)
    np.testing.assert_array_equal(wanted.indices[:2], [17, 4000])
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_topk_of_narrow_integers_does_not_wrap() -> None:
    lowest = np.array([3, -128, 5], np.int8)
    np.testing.assert_array_equal(flowc.topk(lowest, 3).values, [5, 3, -128])
    np.testing.assert_array_equal(flowc.topk(np.array([0, 200, 7], np.uint8), 2).values, [200, 7])


def five_best(x: Any) -> Any:
    return flowc.topk(x, 5)
