"""Extents that are quotients: one code for all numbers that divide."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.python.jit import Jit

X = np.arange(24.0)


def parts(x: Any, k: Any) -> Any:
    return x.reshape(k, -1)


def centred(x: Any, k: Any) -> Any:
    y = x.reshape(-1, k)
    return y - y.mean(axis=1, keepdims=True)


def shifted(x: Any, k: Any) -> Any:
    n = x.shape[0] // k
    return x.reshape(k, n) + np.arange(n), np.zeros((n, 2))


@pytest.mark.parametrize("function", [parts, centred, shifted])
def test_numbers_that_divide_an_extent_share_code(function: Callable[..., Any]) -> None:
    native = Jit(function)
    for k in (1, 2, 3, 4, 24):
        np.testing.assert_equal(native(X, k), function(X, k))
    assert len(native.specialisations) == 1


@pytest.mark.parametrize("k", [5, 48, 0, -24])
def test_numbers_that_do_not_divide_are_refused(k: int) -> None:
    native = Jit(parts)
    with pytest.raises(flowc.FlowError) as caught:
        native(X, k)
    assert caught.value.problem.code == "E0753"
