"""batch-products: which products of a loop's rounds are computed together, and that results stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import scf
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.python.native import kernel_of
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.batch_products import ELEMENTS, ROUNDS, batch_products
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_calls import sizer

pytestmark = pytest.mark.usefixtures("unoptimised")

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
    """The matrix is computed in each round."""
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


def windows(x: Any, w: Any) -> Any:
    """The columns end with the counter too."""
    out = np.zeros(x.shape[0], x.dtype)
    for i in range(x.shape[0]):
        out[i] = np.sum(x[i] @ w[:, i : i + 3])
    return out


def windows_kept(x: Any, w: Any) -> Any:
    out = np.zeros((2, 3), x.dtype)
    for i in range(min(x.shape[0], 2)):
        out[i] = x[i] @ w[:, i : i + 3]
    return out


def matrices(x: Any, w: Any) -> Any:
    """Of each round its own, from the column of its number on."""
    stack, out = np.stack((w, w * 2)), np.zeros((2, w.shape[1]), x.dtype)
    for i in range(min(x.shape[0], 2)):
        out[i, i:] = x[i] @ stack[i][:, i:]
    return out


def matrices_of_later_rounds(x: Any, w: Any) -> Any:
    stack, out = np.stack((w, w, w * 2)), np.zeros((2, w.shape[1]), x.dtype)
    for i in range(min(x.shape[0], 2)):
        j = i + 1
        out[i, j:] = x[i] @ stack[j][:, j:]
    return out


def first_of_a_stack(x: Any, w: Any) -> Any:
    stack, out = np.stack((w, w * 2)), np.zeros((x.shape[0], w.shape[1]), x.dtype)
    for i in range(x.shape[0]):
        out[i] = x[i] @ stack[1]
    return out


def shown_otherwise(x: Any, w: Any) -> Any:
    """A matrix that is seen through views of each kind."""
    stack, out = np.stack((w.T, w.T * 2)), np.zeros((x.shape[0], 3), x.dtype)
    for i in range(x.shape[0]):
        out[i] = x[i] @ stack[0].T[:, 1:4]
    return out


TOGETHER = (rows, turned, triangle, lower, two, nested, first_of_a_stack, shown_otherwise)
APART = (
    columns,
    backwards,
    changed,
    written,
    counted,
    windows,
    windows_kept,
    matrices,
    matrices_of_later_rounds,
)


def arguments(count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(count)
    return rng.standard_normal((count, 7)), rng.standard_normal((7, 5))


def batched(function: Function, **options: bool) -> int:
    return batch_products(kernel_for(function, arguments(3), **options))


def kernel_for(function: Function, given: tuple[Any, Any], **options: bool) -> ModuleOp:
    compiled = flowc.jit(function, **options)
    found = compiled.specialisation(given)
    return kernel_of(compiled, compiled.names, found.types, compiled.options)


@pytest.mark.alike(2)
@pytest.mark.parametrize("function", TOGETHER)
def test_products_with_the_rows_of_a_matrix_are_one_product(function: Function) -> None:
    assert batched(function) > 0


@pytest.mark.parametrize("function", APART)
def test_products_of_what_a_round_changes_stay(function: Function) -> None:
    assert batched(function) == 0


@pytest.mark.parametrize("option", ["precise", "reproducible"])
def test_products_stay_where_an_order_of_operations_is_asked_for(option: str) -> None:
    assert batched(rows, **{option: True}) == 0


@pytest.mark.alike(4)
@pytest.mark.parametrize("function", [*TOGETHER, *APART])
def test_rounds_give_what_they_did(function: Function) -> None:
    compiled = flowc.jit(function)
    for count in (0, 1, 2, 9, ROUNDS, 2 * ROUNDS + 1):
        x, w = arguments(count)
        x = x.T.copy() if function in (triangle, columns) and count else x
        wanted = function(x, w)
        np.testing.assert_allclose(compiled(x, w), wanted, rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "wide", "wanted"),
    [(rows, 3, 10), (rows, 8, 4), (rows, 40, 1), (two, 8, 4), (first_of_a_stack, 8, 4)],
)
def test_products_of_rounds_are_kept_for_few_rounds_where_they_are_wide(
    monkeypatch: pytest.MonkeyPatch, function: Function, wide: int, wanted: int
) -> None:
    monkeypatch.setattr("flowc.passes.batch_products.ELEMENTS", 32)
    assert rounds_at_once(function, np.ones((6, 7)), np.ones((7, wide))) == wanted


def test_as_many_rounds_go_together_as_are_not_wide() -> None:
    assert rounds_at_once(rows, *arguments(3)) == ROUNDS


def rounds_at_once(function: Function, x: Any, w: Any) -> int:
    """How many rounds the products of a loop are computed for together."""
    module = kernel_for(function, (x, w))
    assert batch_products(module)
    (kernel,) = (op for op in module.walk() if isinstance(op, KernelOp))
    outer, _ = (op for op in kernel.walk() if isinstance(op, scf.ForOp))
    return sizer(ExtentAnalysis(kernel, quotients=True).scalar(outer.step))({}, (x, w))


def test_wide_products_of_few_rounds_give_what_they_did() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 3)), rng.standard_normal((3, ELEMENTS // 4))
    np.testing.assert_allclose(flowc.jit(rows)(x, w), x @ w, rtol=1e-9)


def test_no_rounds_need_no_matrix() -> None:
    def first(x: Any, w: Any) -> Any:
        out = np.zeros((x.shape[0], w.shape[2]), x.dtype)
        for i in range(x.shape[0]):
            out[i] = x[i] @ w[0]
        return out

    def last(x: Any, w: Any) -> Any:
        out = np.zeros((x.shape[0], w.shape[1]), x.dtype)
        for i in range(x.shape[0]):
            out[i] = w.T[:, :, 2].T @ x[i]
        return out

    for function in (first, last):
        assert flowc.jit(function)(np.zeros((0, 4)), np.zeros((0, 4, 4))).shape == (0, 4)


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
