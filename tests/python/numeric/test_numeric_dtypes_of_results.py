"""Functions written as programs give the dtype that NumPy gives, of narrow floats too."""

from typing import Any

import numpy as np
import pytest

import flowc

pytestmark = pytest.mark.usefixtures("unoptimised")


def spread_of_numbers(x):
    return np.nanvar(x), np.nanstd(x, axis=1), np.nanvar(x, axis=0, ddof=1, keepdims=True)


def shares_of_numbers(x):
    return np.nanquantile(x, 0.3), np.nanpercentile(x, 30, axis=1), np.nanmedian(x)


def shares(x):
    return np.quantile(x, 0.3), np.percentile(x, 30, axis=1), np.median(x)


def several_shares(x):
    return np.nanquantile(x, np.array([0.3, 0.5])), np.percentile(x, [30, 50.0])


@pytest.mark.alike(4)
@pytest.mark.parametrize("function", [spread_of_numbers, shares_of_numbers, shares, several_shares])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_the_dtype_of_a_statistic_is_that_of_numpy(function: Any, dtype: Any) -> None:
    x = np.array([[1, 5, 3], [4, 5, 7], [2, 9, 2]], dtype)
    if function in (spread_of_numbers, shares_of_numbers) and dtype is not np.int32:
        x[0, 1] = np.nan
    for have, want in zip(flowc.jit(function)(x), function(x), strict=True):
        assert np.asarray(have).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(have, want, rtol=2e-3)
