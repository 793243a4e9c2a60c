"""Arrays that lie in columns are read as they lie, and results lie as NumPy's do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc

pytestmark = pytest.mark.usefixtures("unoptimised")

Function = Callable[..., Any]


def doubled(x):
    return x * 2


def turned_and_doubled(x):
    return x.T * 2 + 1


def of_a_product(x):
    return (x @ x.T).T, (x @ x[0]) * 2


def centred(x):
    return x.T - x.T.mean(axis=1, keepdims=True)


def softmax(x):
    power = np.exp(x - x.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def swapped(x):
    return np.swapaxes(x[..., None] * np.ones(2, x.dtype), 0, 2) - 1


def sliced(x):
    return x.T[1:, ::2] + x.T[:-1, ::2]


def both_ways(x):
    return x + x.sum(axis=0), x.sum(axis=1), x.argmax(axis=0), np.sort(x, axis=0), np.cumsum(x, axis=1)


def copied(x):
    return np.ascontiguousarray(x.T), (x.T + 1).copy(), x.T.astype(np.int64)


def beside_copies(x):
    y = x.T * 2
    return y, y.copy(), np.ascontiguousarray(y), y + 1


FUNCTIONS = (
    doubled, turned_and_doubled, of_a_product, centred, softmax, swapped, sliced, both_ways, copied,
    beside_copies,
)  # fmt: skip


def numbers(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).integers(-9, 9, shape).astype(np.float64)


def each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def lies(array: Any) -> tuple[bool, bool]:
    return array.flags.c_contiguous, array.flags.f_contiguous


VIEWS: dict[str, Function] = {
    "rows": lambda x: x,
    "columns": lambda x: np.asfortranarray(x),
    "columns with gaps": lambda x: np.asfortranarray(np.repeat(x, 2, axis=0))[: len(x)],
    "columns backwards": lambda x: np.asfortranarray(x)[:, ::-1],
}


@pytest.mark.alike(5)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("lie", VIEWS)
@pytest.mark.parametrize("shape", [(5, 7), (0, 3)])
def test_numbers_are_numpys_however_an_array_lies(
    function: Function, lie: str, shape: tuple[int, int]
) -> None:
    if not shape[0] and function in (softmax, both_ways, of_a_product, centred):
        return  # there is nothing to reduce
    x = VIEWS[lie](numbers(*shape))
    for own, numpys in zip(each(flowc.jit(function)(x)), each(function(x)), strict=True):
        np.testing.assert_allclose(own, numpys, rtol=1e-12, atol=1e-12, strict=True)


@pytest.mark.parametrize("function", [doubled, turned_and_doubled, centred, copied, beside_copies])
@pytest.mark.parametrize("lie", ["rows", "columns"])
def test_results_lie_as_numpys_do(function: Function, lie: str) -> None:
    x = VIEWS[lie](numbers(6, 8))
    for own, numpys in zip(each(flowc.jit(function)(x)), each(function(x)), strict=True):
        assert lies(own) == lies(numpys)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("lie", ["rows", "columns"])
def test_buffers_of_any_order_take_results_of_any_order(order: Any, lie: str) -> None:
    x, function = VIEWS[lie](numbers(6, 8)), flowc.jit(turned_and_doubled)
    out = np.empty((8, 6), order=order)
    for _ in range(2):
        assert function(x, out=out) is out
        np.testing.assert_array_equal(out, turned_and_doubled(x))
        result = function(x)
        assert lies(result) == lies(turned_and_doubled(x))
        np.testing.assert_array_equal(result, out)
        out[...] = 0


def test_what_lies_in_columns_is_changed_in_place() -> None:
    @flowc.jit
    def grown(x, by):
        x += by
        x[0] *= 2
        x[1:4:2, ::-1] -= x.T[:, 1:4:2].T
        return x

    for order in ("C", "F"):
        x = np.array(numbers(6, 6), order=order)
        wanted = np.array(x)
        wanted += 3.0
        wanted[0] *= 2
        wanted[1:4:2, ::-1] -= wanted.T[:, 1:4:2].T
        assert grown(x, 3.0) is x
        np.testing.assert_array_equal(x, wanted)
        y = np.array(numbers(6, 6), order=order)
        assert grown(y, 3.0) is y  # by the code that is there now
        np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("option", ["precise", "reproducible"])
def test_a_stated_order_of_operations_does_not_depend_on_how_an_array_lies(option: str) -> None:
    x = np.random.default_rng(0).standard_normal((300, 200), dtype=np.float32)
    function: Any = flowc.jit(precise=option == "precise", reproducible=option != "precise")(softmax)
    np.testing.assert_array_equal(function(x), function(np.asfortranarray(x)))


def test_calls_for_arrays_in_rows_and_in_columns_go_to_their_own_code() -> None:
    function = flowc.jit(softmax)
    x = numbers(30, 20)
    for _ in range(3):
        for view in (x, np.asfortranarray(x), x[::-1]):
            np.testing.assert_allclose(function(view), softmax(view))
    assert [types[0].turned for types in function.specialisations] == [False, True, False]
    assert "x columns" in function.explain(np.asfortranarray(x))
