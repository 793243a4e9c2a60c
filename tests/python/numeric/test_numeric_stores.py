"""Stores into memory that is read in the same statement, or that lies in another way than what is stored."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from tests.python.numeric.agreement import agrees

X = np.random.default_rng(0).standard_normal((5, 3))


def reversed_itself(x: Any) -> Any:
    x[::-1] = x
    return x.sum()


def turned(x: Any) -> Any:
    for _ in range(3):
        x[:, ::-1] = x
        x[1:] = x[:-1]
    return x.sum()


def transposed(x: Any) -> Any:
    square = x @ x.T
    square[:] = square.T
    square[:, :] = square
    return square


@pytest.mark.parametrize("function", [reversed_itself, turned, transposed])
def test_what_is_stored_into_its_own_memory_is_read_first(function: Callable[..., Any]) -> None:
    agrees(function, (X.copy(),))


def halved(x: Any, y: Any) -> Any:
    x[:] = y * 0.5
    y[:] = np.exp(y)
    return x[0]


def laid_out(layout: str) -> Any:
    if layout == "spaced":
        array = np.zeros((10, 6))[::2, ::2]
    elif layout == "columns":
        array = np.zeros((3, 5)).T
    elif layout == "rows":
        array = np.zeros((5, 6))[:, :3]
    else:
        array = np.zeros((5, 3))
    array[...] = X
    return array


@pytest.mark.parametrize(
    ("first", "second"), [*itertools.product(("spaced", "columns", "rows", "dense"), repeat=2)]
)
def test_a_store_reaches_memory_of_any_layout_from_any_other(first: str, second: str) -> None:
    x, y = laid_out(first), laid_out(second)
    wanted = X * 0.5, np.exp(X)
    np.testing.assert_array_equal(flowc.jit(halved)(x, y), wanted[0][0])
    np.testing.assert_array_equal(x, wanted[0])
    np.testing.assert_allclose(y, wanted[1], rtol=1e-14)


def compared(x: Any, y: Any) -> Any:
    return np.where((x @ y) * 0.5 > 0.25, (x @ y.T) * 0.5, x)


def three(x: Any, y: Any) -> Any:
    return (x @ y) * 0.5 + (y @ x) * 0.25 - (x @ x)


@pytest.mark.parametrize("function", [compared, three])
def test_one_statement_may_finish_several_products(function: Callable[..., Any]) -> None:
    square = X @ X.T
    agrees(function, (square, square[::-1]))


def multiplied_into(a: Any, out: Any) -> Any:
    np.matmul(a, a, out=out)
    return out


@pytest.mark.parametrize(("dtype", "kept"), [*itertools.product(("f4", "f8"), repeat=2)])
def test_a_product_takes_the_dtype_of_the_array_it_is_stored_in(dtype: str, kept: str) -> None:
    square = np.arange(9).reshape(3, 3).astype(dtype)
    agrees(multiplied_into, (square, np.zeros((3, 3), kept)))


def one_hot(at: Any, x: Any) -> Any:
    made = np.zeros((4, 3))
    made[at, np.arange(3)] = x
    made[at, 0] += 1
    return made, made.sum()


def stored_and_read(at: Any, x: Any) -> Any:
    total, before = x.sum(), np.exp(x)
    x[at] = before[at]
    np.add.at(x, at, 2.5)
    return total, before, x * 1.0


def stored_from_itself(at: Any, x: Any) -> Any:
    x[at] = x[::-1][at] + 1
    x[at] = x[0]
    return x.sum()


def stored_in_rounds(at: Any, x: Any) -> Any:
    made = np.zeros_like(x)
    for turn in range(3):
        made[at] = x[at] + turn
        made[(at + turn) % 3] = made.sum()
        np.multiply.at(made, at, 0.5)
    return made


@pytest.mark.parametrize("at", [(2, 0, 1), (1, 1, -1), (0, 0, 0)])
@pytest.mark.parametrize("function", [one_hot, stored_and_read, stored_from_itself, stored_in_rounds])
def test_stores_at_positions_change_memory_where_it_is(
    function: Callable[..., Any], at: tuple[int, ...]
) -> None:
    agrees(function, (np.array(at), np.array([0.5, -1.0, 2.0])))


def test_stores_at_no_position_change_nothing() -> None:
    agrees(stored_in_rounds, (np.zeros(0, int), X[0].copy()))


@pytest.mark.parametrize("layout", ["spaced", "columns", "rows", "dense"])
def test_rows_are_stored_at_positions_in_memory_of_any_layout(layout: str) -> None:
    at, native, plain = np.array([3, 0, 3]), laid_out(layout), X.copy()
    wanted = stored_and_read(at, plain)
    for got, expected in zip(flowc.jit(stored_and_read)(at, native), wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    np.testing.assert_allclose(native, plain, rtol=1e-12)


def added_beside_its_transpose(x: Any, y: Any) -> Any:
    both = x + x.transpose((1, 0, 2))
    y[:] = y + x
    return both


def test_a_square_that_is_read_both_ways_is_added_in_place_once() -> None:
    """Its loop goes along each axis once, though there are two ways to go along either."""
    x = np.random.default_rng(0).normal(size=(5, 5, 3))
    native, plain = np.ones_like(x), np.ones_like(x)
    got, wanted = flowc.jit(added_beside_its_transpose)(x, native), added_beside_its_transpose(x, plain)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(native, plain)
