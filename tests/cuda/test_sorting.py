"""sort, argsort, order statistics and topk on the emulated device, against the processor.

Lengths lie on both sides of what a warp, a block and a tile hold.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array import build
from flowc.dialects.array import irregular_build as irregular
from flowc.dialects.array.types import array_type
from flowc.runtime.errors import FlowError
from flowc.testing.strategies.kernels import array_of, as_module, make_kernel, strided
from tests.cuda.comparing import agree, on_device

SHAPES = ((0, 4), (4, 0), (1, 1), (9, 7), (3, 32), (3, 33), (2, 1025), (1, 2048), (2, 2049), (1, 5000))
"""Lines by their extents."""
FORMS = (
    ("sort", "f64"), ("sort", "f16"), ("sort", "bf16"), ("sort", "bool"),
    ("argsort", "f64"), ("argsort", "i64"), ("argsort", "i16"), ("argsort", "u8"),
)  # fmt: skip
"""Operators and dtypes, of keys with eight, three, two, one, eight, eight, two and one digits."""
DENSE = ("contiguous",)


def numbers(dtype: str, shape: Sequence[int], seed: int = 0) -> Any:
    """Numbers with many ties, NaN of both signs and infinities, or the far ends of what is whole."""
    array = array_of(dtype, shape, seed, special=True)
    flat = array.reshape(-1)
    if array.size > 2 and np.issubdtype(array.dtype, np.integer):
        flat[0], flat[-1] = np.iinfo(array.dtype).max, np.iinfo(array.dtype).min
    elif array.size > 2 and array.dtype != np.bool_:
        flat[0] = -np.nan
    return array


def sorting(name: str, dtype: str, axis: int = -1) -> ModuleOp:
    """A kernel that sorts along an axis, or finds the positions that do."""
    build_one = irregular.sort if name == "sort" else irregular.argsort
    return as_module(
        make_kernel({"x": array_type(dtype, ("n", "m"))}, lambda add, x: add(build_one(x, axis)))
    )


def ranking(dtype: str) -> ModuleOp:
    """A kernel that gives the largest and their positions."""

    def body(add: Any, x: SSAValue, count: SSAValue) -> Sequence[SSAValue]:
        op = build.topk(x, count)
        add(op)
        return list(op.results)

    return as_module(make_kernel({"x": array_type(dtype, ("n", "m")), "k": array_type("i64", ())}, body))


def statistics(dtype: str, rank: int, count: int) -> ModuleOp:
    """A kernel that gives neighbours in rising order from a position on."""
    shape, lines = ("n", "m")[2 - rank :], ("n",)[: rank - 1]
    types = {"x": array_type(dtype, shape), "first": array_type("i64", lines)}
    return as_module(make_kernel(types, lambda add, x, i: add(irregular.order_statistics(x, i, count))))


@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_lines_of_neighbours_are_put_in_order(name: str) -> None:
    calls = [(numbers("f32", shape),) for shape in SHAPES]
    calls += [(strided(numbers("f32", (2, 2500)), layout),) for layout in (1, 2)]
    agree(sorting(name, "f32"), *calls, orders=("reverse", "shuffled"))


@pytest.mark.parametrize(("name", "dtype"), FORMS)
def test_keys_of_any_width_are_put_in_order(name: str, dtype: str) -> None:
    calls = [(numbers(dtype, shape),) for shape in SHAPES]
    agree(sorting(name, dtype), *calls, orders=("shuffled",), sanitize=False, layouts=DENSE)


@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_lines_across_are_put_in_order(name: str) -> None:
    calls = [(numbers("f32", shape[::-1]),) for shape in (*SHAPES[:-1], (37, 40), (3, 2100))]
    agree(sorting(name, "f32", 0), *calls, orders=("shuffled",), layouts=DENSE)


def test_zeros_are_sorted_by_sign_and_ranked_as_equals() -> None:
    lines = [np.zeros((1, length), np.float32) for length in (6, 40, 3000)]
    for x in lines:
        x[0, ::2] = -0.0
    for x, ordered in zip(lines, given("sort", lines), strict=True):
        half = x.size // 2
        assert np.signbit(ordered[0]).tolist() == [True] * half + [False] * half
    for x, places in zip(lines, given("argsort", lines), strict=True):
        assert places[0].tolist() == list(range(x.size))
    code = on_device(ranking("f32"), layouts=DENSE * 2)
    for largest, places in emulated.run(code, [emulated.Call("k", (x, 5)) for x in lines], sanitize=False):
        assert np.signbit(largest[0]).tolist() == [True, False, True, False, True]
        assert places[0].tolist() == list(range(5))


def given(name: str, lines: Sequence[Any]) -> Sequence[Any]:
    """What the device makes of dense lines of f32."""
    code = on_device(sorting(name, "f32"), layouts=DENSE)
    return emulated.run(code, [emulated.Call("k", (x,)) for x in lines], sanitize=False)


@pytest.mark.parametrize("dtype", ["f32", "i64", "u8"])
def test_the_largest_are_found_with_their_positions(dtype: str) -> None:
    rising = np.sort(numbers(dtype, (1, 5000)))
    calls = [
        *((numbers(dtype, (3, 5)), count) for count in (0, 2, 5)),
        (numbers(dtype, (0, 10)), 3),
        (numbers(dtype, (2, 40)), 7),
        (numbers(dtype, (2, 3000)), 5),
        (numbers(dtype, (2, 2500)), 0),
        (numbers(dtype, (1, 20000)), 12),
        (numbers(dtype, (1, 9000)), 512),
        (numbers(dtype, (1, 3000)), 600),
        (rising, 100),
        (np.ascontiguousarray(rising[:, ::-1]), 100),
        (np.zeros_like(rising), 200),
    ]
    if dtype == "f32":
        calls.append((strided(numbers(dtype, (2, 3000)), 2), 9))
        agree(ranking(dtype), *calls, orders=("reverse", "shuffled"))
    else:
        agree(ranking(dtype), *calls, orders=("shuffled",), sanitize=False, layouts=DENSE * 2)


def test_more_than_there_are_is_an_error() -> None:
    (found,) = emulated.run(on_device(ranking("f32")), [emulated.Call("k", (numbers("f32", (2, 9)), 10))])
    assert isinstance(found, FlowError)


@pytest.mark.parametrize(("dtype", "count"), [("f32", 3), ("i64", 2), ("f16", 6)])
def test_neighbours_in_order_are_those_of_the_sorted_line(dtype: str, count: int) -> None:
    lengths = (0, 1, 5, 33, 2048, 3000)
    places = [(n, first) for n in lengths for first in (n // 2, -5, n + 2)] + [(20000, 10000)]
    vectors = [(numbers(dtype, (n,)), first) for n, first in places]
    agree(
        statistics(dtype, 1, count),
        *vectors,
        orders=("shuffled",),
        sanitize=dtype == "f32",
        layouts=DENSE * 2,
    )


def test_each_line_has_neighbours_of_its_own() -> None:
    calls = [(numbers("f32", (3, n)), np.array([n // 2, 0, n])) for n in (7, 2500)]
    agree(statistics("f32", 2, 2), *calls, orders=("forward", "reverse"))
