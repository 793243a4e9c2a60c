"""Whole vectors and short rows reduced to numbers: right for each length, wherever the memory begins, with
NaN and infinities anywhere, and nothing read beyond either end."""

import math
from typing import Any

import numpy as np
import pytest

import flowc
from tests.kernels.children import in_child
from tests.kernels.guarded import contiguous, guarded

FLOATS, INTEGERS = ("f4", "f8"), ("u1", "i2", "i4", "i8")
LENGTHS = (0, 1, 15, 17, 2047, 2048, 2049, 2063, 4097, 6145, 70_001)
STARTS = (0, 1, 3, 15, 16, 63)


@flowc.jit
def total(x: Any) -> Any:
    return np.sum(x)


@flowc.jit
def several(x: Any, y: Any) -> Any:
    return np.sum(x * y), np.max(x - y), np.any(x > 3)


@flowc.jit
def extremes(x: Any) -> Any:
    return np.max(x), np.min(x)


@flowc.jit
def mean(x: Any) -> Any:
    return np.mean(x)


@flowc.jit
def extremes_of_rows(x: Any) -> Any:
    return np.max(x, axis=1), np.min(x, axis=1)


@flowc.jit
def means_of_columns(x: Any) -> Any:
    return np.mean(x, axis=0)


def numbers(count: int, dtype: str) -> Any:
    drawn = np.random.default_rng(count).standard_normal(count + max(STARTS)) * 40
    return (drawn if dtype in FLOATS else drawn.clip(0, 120)).astype(dtype)


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_a_vector_has_its_sum_and_extremes_wherever_it_begins(dtype: str) -> None:
    for length in LENGTHS:
        room = numbers(length, dtype)
        for start in STARTS:
            x = room[start : start + length]
            exact = math.fsum(x.tolist())
            slack = float(np.finfo(dtype).eps) * math.fsum(np.abs(x).tolist()) if dtype in FLOATS else 0
            assert abs(float(total(x)) - exact) <= slack, (length, start)
            if length:
                assert extremes(x) == (x.max(), x.min()), (length, start)


def test_several_reductions_of_two_vectors_share_the_way() -> None:
    for length in LENGTHS:
        x, y = numbers(length, "f4")[1 : length + 1], numbers(length, "f4")[6 : length + 6]
        if length:
            dot, largest, found = several(x, y)
            assert abs(dot - math.fsum((x.astype("f8") * y).tolist())) <= 1e-6 * np.abs(x * y).sum()
            assert (largest, found) == ((x - y).max(), (x > 3).any())


@pytest.mark.parametrize("at", [0, 3, 14, 1500, 2600, 3000, 4990, 4999])
def test_no_nan_and_no_infinity_is_lost(at: int) -> None:
    x = np.ones(5003, np.float32)[3:]
    x[at] = -np.nan
    assert all(np.isnan(value) for value in (total(x), *extremes(x), several(x, x)[0]))
    x[at] = np.inf
    assert total(x) == np.inf
    assert extremes(x) == (np.inf, 1)


@pytest.mark.parametrize("at_end", [False, True])
def test_nothing_beside_a_vector_is_read(at_end: bool) -> None:
    def work() -> None:
        for dtype in ("f4", "u1"):
            for length in (2049, 4096, 10_007):
                values = numbers(length, dtype)[:length]
                x = guarded(values, contiguous(1), at_end).array
                assert extremes(x) == (values.max(), values.min())
                rows = guarded(values[:1980].reshape(-1, 11), contiguous(2), at_end).array
                np.testing.assert_array_equal(extremes_of_rows(rows)[0], rows.max(1))

    in_child(work)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("columns", [8, 9, 13, 16, 31, 64, 65])
def test_extremes_of_short_rows_are_those_of_numpy(dtype: str, columns: int) -> None:
    x = np.random.default_rng(columns).standard_normal((90, columns)).astype(dtype)
    for row, special in enumerate((np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0)):
        x[row, row % columns] = special
        x[10 + row] = special
        x[20 + row, -1] = special
    for got, wanted in zip(extremes_of_rows(x), (x.max(1), x.min(1)), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "i4"])
def test_means_of_narrow_integers_round_once(dtype: str) -> None:
    low, high = (0, 1) if dtype == "?" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    x = np.random.default_rng(1).integers(low, high, (3001, 7), endpoint=True).astype(dtype)
    x[:2000] = high
    whole = x.astype(np.int64)
    assert mean(x) == int(whole.sum()) / x.size
    np.testing.assert_array_equal(means_of_columns(x), whole.sum(0) / len(x))
    assert np.isnan(mean(x[:0].ravel()))
