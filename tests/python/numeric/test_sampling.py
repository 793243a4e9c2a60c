"""flowc's own grouping and random numbers: compiled, they give what the plain functions give."""

from typing import Any

import numpy as np

import flowc

X = np.arange(12, dtype=np.float32).reshape(6, 2) % 5 - 1
KEYS = np.array([2, 0, 2, 1, 0, 2])


def grouped(x: Any, keys: Any, n: int) -> Any:
    return (
        flowc.segment_sum(x, keys, n),
        flowc.segment_mean(x, keys, n),
        flowc.segment_prod(x, keys, n),
        flowc.segment_min(x, keys, n),
        flowc.segment_max(keys, keys, n),
    )


def drawn(x: Any, seed: int) -> Any:
    return (
        flowc.random_uniform(seed, x.shape),
        flowc.random_normal(seed, (x.shape[0], 5), "f64"),
        flowc.dropout(x, 0.25, seed),
        flowc.categorical(x, seed),
    )


def agree(got: Any, wanted: Any) -> None:
    for one, other in zip(got, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_groups_are_those_of_the_plain_functions() -> None:
    agree(flowc.jit(grouped)(X, KEYS, 4), grouped(X, KEYS, 4))


def test_draws_are_those_of_the_plain_functions() -> None:
    for seed in (0, 7, -1):
        agree(flowc.jit(drawn)(X, seed), drawn(X, seed))
