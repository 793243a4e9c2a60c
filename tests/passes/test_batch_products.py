"""batch-products: which products of a loop's rounds are computed together, and that results stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.python.native import kernel_of
from flowc.passes.batch_products import ELEMENTS, ROUNDS, batch_products
from flowc.runtime.errors import FlowError

Function = Callable[..., Any]


def rows(x: Any, w: Any) -> Any:
    out = np.empty((x.shape[0], w.shape[1]), x.dtype)
    for i in range(x.shape[0]):
        out[i] = x[i] @ w
    return out


def turned(x: Any, w: Any) -> Any:
    out = np.zeros((x.shape[0], w.shape[1]), x.dtype)
    for i in range(2, x.shape[0]):
        out[i] = w.T @ x[i] + i
    return out


def columns(x: Any, w: Any) -> Any:
    out = np.zeros((x.shape[1], x.shape[1]), x.dtype)
    for i in range(x.shape[1]):
        out[i] = x[:, i] @ (x + w[0, 0])[:, :]
    return out


def triangle(x: Any, w: Any) -> Any:
    out = np.eye(x.shape[1], dtype=x.dtype) * w[0, 0]
    for i in range(x.shape[1] - 1):
        out[i + 1 :, i] = out[i, i + 1 :] = x[:, i] @ x[:, i + 1 :]
    return out


def lower(x: Any, w: Any) -> Any:
    out = np.zeros((x.shape[0], x.shape[0]), x.dtype) + w[0, 0]
    for i in range(x.shape[0]):
        out[i:, i] = x[i:] @ x[i]
    return out


def two(x: Any, w: Any) -> Any:
    out = np.empty((x.shape[0], w.shape[1]), x.dtype)
    for i in range(x.shape[0]):
        out[i] = x[i] @ w - x[i, 1:] @ w[1:]
    return out


def nested(x: Any, w: Any) -> Any:
    out = np.zeros((2, x.shape[0], w.shape[1]), x.dtype)
    for k in range(2):
        for i in range(x.shape[0]):
            out[k, i] = x[i] @ w + k
    return out


def backwards(x: Any, w: Any) -> Any:
    """The first round would begin at the last column."""
    out = np.zeros((w.shape[1], w.shape[1]), x.dtype)
    for i in range(w.shape[1]):
        out[i, : w[:, i - 1 :].shape[1]] = w[:, i] @ w[:, i - 1 :]
    return out


def changed(x: Any, w: Any) -> Any:
    y = x.copy()
    for i in range(1, x.shape[0]):
        y[i] = y[i] * 0.5 + np.tanh(y[i - 1] @ w)[0]
    return y


def written(x: Any, w: Any) -> Any:
    v, out = w.copy(), np.zeros((x.shape[0], w.shape[1]), x.dtype)
    for i in range(x.shape[0]):
        out[i] = x[i] @ v
        v[0] = out[i]
    return out


def counted(x: Any, w: Any) -> Any:
    """A vector that is another in each round, but no row."""
    out = np.zeros((x.shape[0], w.shape[1]), x.dtype)
    for i in range(x.shape[0]):
        out[i] = (x[i] + i) @ w
    return out


TOGETHER: dict[Function, int] = {rows: 1, turned: 1, triangle: 1, lower: 1, two: 1, nested: 1}
APART = (backwards, changed, written, counted)


def arguments(count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(count)
    return rng.standard_normal((count, 7)), rng.standard_normal((7, 5))


def batched(function: Function, **options: bool) -> int:
    compiled = flowc.jit(function, **options)
    found = compiled.specialisation(arguments(3))
    return batch_products(kernel_of(compiled, compiled.names, found.types, compiled.options))


@pytest.mark.parametrize("function", TOGETHER)
def test_products_with_the_rows_of_a_matrix_are_one_product(function: Function) -> None:
    assert batched(function) >= TOGETHER[function]


@pytest.mark.parametrize("function", APART)
def test_products_of_what_a_round_changes_stay(function: Function) -> None:
    assert batched(function) == 0


@pytest.mark.parametrize("option", ["precise", "reproducible"])
def test_products_stay_where_an_order_of_operations_is_asked_for(option: str) -> None:
    assert batched(rows, **{option: True}) == 0


@pytest.mark.parametrize("function", [*TOGETHER, columns, *APART])
def test_rounds_give_what_they_did(function: Function) -> None:
    compiled = flowc.jit(function)
    for count in (0, 1, 2, 9, ROUNDS, 2 * ROUNDS + 1):
        x, w = arguments(count)
        x = x.T.copy() if function in (triangle, columns) and count else x
        wanted = function(x, w)
        np.testing.assert_allclose(compiled(x, w), wanted, rtol=1e-9)


def test_products_of_rounds_are_kept_for_few_rounds_where_they_are_wide() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 3)), rng.standard_normal((3, ELEMENTS // 4))
    np.testing.assert_allclose(flowc.jit(rows)(x, w), x @ w, rtol=1e-9)


def test_a_round_beyond_the_last_row_is_refused() -> None:
    def beyond(x: Any, w: Any, n: int) -> Any:
        out = np.zeros((n, w.shape[1]), x.dtype)
        for i in range(n):
            out[i] = x[i] @ w
        return out

    x, w = arguments(4)
    compiled = flowc.jit(beyond)
    np.testing.assert_allclose(compiled(x, w, 4), x @ w)
    with pytest.raises((FlowError, IndexError)):
        compiled(x, w, 5)
