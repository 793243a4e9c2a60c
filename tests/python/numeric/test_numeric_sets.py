"""Vectors as sets: what is among others, and how often each element is there, against NumPy."""

from itertools import product

import numpy as np
import pytest

import flowc
from flowc.compiler.python.numeric.library import sets

rng = np.random.default_rng(0)


def among(values, others):
    return np.isin(values, others)


@pytest.mark.alike(4)
@pytest.mark.parametrize("dtype", ["i8", "f4", "?"])
@pytest.mark.parametrize("count", [0, 1, sets.FEW, sets.FEW + 1, sets.SOME, sets.SOME + 1])
def test_elements_are_found_among_few_and_among_many(dtype: str, count: int) -> None:
    compiled = flowc.jit(among)
    others = rng.integers(0, 120, count).astype(dtype)
    for shape in ((), (0,), (7,), (30, 20)):
        values = np.asarray(rng.integers(0, 120, shape)).astype(dtype)
        if dtype == "f4" and values.size and count:
            values.flat[0] = others[0] = np.nan
        np.testing.assert_array_equal(compiled(values, others), among(values, others), strict=True)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "i8"])
def test_whole_numbers_are_found_at_both_ends_of_their_range(dtype: str) -> None:
    compiled, count = flowc.jit(among), sets.SOME + 40
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    ends = (
        [least, most],
        [most - 3, most],
        [least, least + 3],
        [0, 5],
        [0, 200_000 if most > 200_000 else 9],
    )
    for values, others in product(ends, repeat=2):
        some = rng.choice(np.array(values, dtype), (30, 10))
        many = rng.choice(np.array(others, dtype), count)
        np.testing.assert_array_equal(compiled(some, many), among(some, many))


def counted(x):
    return np.unique(x, return_counts=True)


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["i4", "i8", "f4", "f8"])
def test_each_distinct_element_is_counted(dtype: str) -> None:
    compiled = flowc.jit(counted)
    for length, most in ((0, 5), (1, 5), (7, 1), (1000, 3), (5000, 900)):
        x = rng.integers(0, most, length).astype(dtype)
        if dtype.startswith("f"):
            x[1::5] = np.nan
        for got, wanted in zip(compiled(x), counted(x), strict=True):
            np.testing.assert_array_equal(got, wanted, strict=True)
