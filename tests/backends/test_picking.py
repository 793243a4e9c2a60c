"""Order statistics and positions of true elements, compiled for narrow and wide vectors, against NumPy."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import irregular_build as build
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops.irregular import true_positions
from flowc.runtime import processor
from flowc.runtime.kernels import Kernel, load
from flowc.testing.strategies.kernels import DTYPES, array_of, as_module, make_kernel, strided

pytestmark = pytest.mark.usefixtures("unoptimised")

LENGTHS = (1, 2, 7, 8, 9, 31, 128, 129, 300, 4099)
COUNT = 3
BITS = (128, 512)


def loaded(types: dict[str, Any], body: Any, bits: int) -> Kernel:
    target = evolve(processor.host(), vector_bits=bits)
    code = compile_kernels(as_module(make_kernel(types, body)), Options(cached=False, target=target))
    return load(code.object_code, code.signatures)["k"]


@cache
def statistics(dtype: str, bits: int, rank: int = 1) -> Kernel:
    shape, lines = ("n", "m")[2 - rank :], ("n",)[: rank - 1]
    types = {"x": array_type(dtype, shape), "first": array_type("i64", lines)}
    return loaded(types, lambda add, x, first: add(build.order_statistics(x, first, COUNT)), bits)


@cache
def positions(bits: int) -> Kernel:
    return loaded({"mask": array_type("bool", ("n",))}, lambda add, x: add(build.true_positions(x)), bits)


@cache
def picks(dtype: str, bits: int) -> Kernel:
    types = {"x": array_type(dtype, ("n",)), "mask": array_type("bool", ("n",))}
    return loaded(types, lambda add, x, mask: add(build.pick(x, mask)), bits)


@pytest.mark.alike(4)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_neighbours_in_order_are_those_of_the_sorted_line(dtype: str, bits: int) -> None:
    native = statistics(dtype, bits)
    for length in LENGTHS:
        x = array_of(dtype, (length,), length)
        exact = x.astype(np.float32) if dtype == "bf16" else x
        ordered = np.sort(exact)
        for first in {0, length // 2, length - 1, -5, length + 2}:
            wanted = ordered[np.clip(first + np.arange(COUNT), 0, length - 1)]
            np.testing.assert_array_equal(native(x, first).astype(exact.dtype), wanted)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("order", ["equal", "rising", "falling", "two", "nan"])
def test_no_order_of_the_elements_is_hard(order: str, bits: int) -> None:
    ramp = np.arange(5000.0)
    x = {
        "equal": 0 * ramp,
        "rising": ramp,
        "falling": -ramp,
        "two": ramp % 2,
        "nan": np.where(ramp % 3 == 0, np.nan, ramp),
    }[order]
    for first in (0, 1, 1666, 2499, 3333, 4997):
        np.testing.assert_array_equal(statistics("f64", bits)(x, first), np.sort(x)[first : first + COUNT])


@pytest.mark.parametrize("bits", BITS)
def test_each_line_has_a_position_of_its_own(bits: int) -> None:
    native = statistics("i32", bits, 2)
    for layout in range(4):
        x = strided(array_of("i32", (5, 40), 1), layout)
        first = np.array([0, 5, 39, -1, 20])
        places = np.clip(first[:, None] + np.arange(COUNT), 0, 39)
        np.testing.assert_array_equal(native(x, first), np.take_along_axis(np.sort(x), places, 1))


@pytest.mark.parametrize("bits", BITS)
def test_a_line_without_elements_gives_zeros(bits: int) -> None:
    np.testing.assert_array_equal(statistics("f64", bits)(np.zeros(0), 3), np.zeros(COUNT))
    made = statistics("i32", bits, 2)(np.zeros((2, 0), np.int32), np.zeros(2, np.int64))
    np.testing.assert_array_equal(made, np.zeros((2, COUNT)))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_true_positions_are_in_front_in_rising_order(share: float, bits: int) -> None:
    block, chunk = true_positions.BLOCK, true_positions.LEAST_CHUNK
    for length in (0, 1, 7, 8, 9, block - 1, block + 1, 2 * chunk + 77):
        mask = np.random.default_rng(length).random(length) < share
        wanted = np.flatnonzero(mask)
        np.testing.assert_array_equal(positions(bits)(mask)[: len(wanted)], wanted)
        turned = mask[::-1]
        wanted = np.flatnonzero(turned)
        np.testing.assert_array_equal(positions(bits)(turned)[: len(wanted)], wanted)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "i64", "bf16", "i8"])
def test_what_is_picked_is_in_front_in_order(dtype: str, bits: int) -> None:
    block, chunk = true_positions.BLOCK, true_positions.LEAST_CHUNK
    for length in (0, 1, 15, 16, 17, block - 1, block + 1, 2 * chunk + 77):
        x = array_of(dtype, (length,), length)
        for share in (0.0, 0.01, 0.5, 1.0):
            mask = np.random.default_rng(length).random(length) < share
            for values, bools in ((x, mask), (x[::-1], mask), (x, mask[::-1])):
                wanted = values[bools]
                made = picks(dtype, bits)(values, bools)[: len(wanted)]
                np.testing.assert_array_equal(made, wanted)
