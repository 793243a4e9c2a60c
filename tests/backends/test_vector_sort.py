"""Sorting with vectors, as for processors that pack what a mask picks, against NumPy."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import irregular_build as build
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops.irregular import buckets, quick
from flowc.passes.array_to_loops.irregular.partition import SORTED
from flowc.passes.array_to_loops.irregular.ranges import BLOCK
from flowc.passes.array_to_loops.irregular.sorting import SHORTEST
from flowc.passes.array_to_loops.irregular.wide_positions import FEW as FEW_WRONG
from flowc.passes.array_to_loops.irregular.wide_positions import LONGEST
from flowc.runtime import processor
from flowc.runtime.kernels import Kernel, load
from flowc.testing.strategies.kernels import as_module, make_kernel

pytestmark = pytest.mark.usefixtures("unoptimised")

NARROW, FEW = 8 * SORTED, 16 * SORTED
"""So many keys of 64 bits, and of 32, are sorted at once."""
LENGTHS = (0, 1, 2, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, 100, NARROW, NARROW + 1, FEW, FEW + 1, 1027, 4099)
WIDE = evolve(processor.host(), vector_bits=512)
"""This machine with the code for wide vectors, which LLVM brings to those that it has."""


def compiled(dtype: str, operator: Any, shape: tuple[str, ...] = ("n",), axis: int = -1) -> Kernel:
    kernel = make_kernel({"x": array_type(dtype, shape)}, lambda add, x: add(operator(x, axis)))
    code = compile_kernels(as_module(kernel), Options(cached=False, target=WIDE))
    return load(code.object_code, code.signatures)["k"]


@cache
def sorter(dtype: str) -> Kernel:
    return compiled(dtype, build.sort)


@cache
def orderer(dtype: str) -> Kernel:
    return compiled(dtype, build.argsort)


def inputs(dtype: str, length: int) -> Iterator[Any]:
    """Numbers in many orders, with and without equal ones."""
    rng = np.random.default_rng(length)
    ramp = np.arange(length)
    bits = rng.integers(0, 256, length * np.dtype(dtype).itemsize, dtype=np.uint8)
    anything = bits.view(dtype)
    yield anything
    if np.issubdtype(anything.dtype, np.floating):
        odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1.0], dtype)
        yield odd[rng.integers(0, len(odd), length)]
    for values in (ramp, ramp[::-1], ramp % 3, np.minimum(ramp, ramp[::-1]), 0 * ramp, ramp // 40 % 2):
        yield values.astype(dtype)
    yield np.repeat(anything, 2)[::2]


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "int16", "float16"])
def test_every_length_and_order_is_sorted(dtype: str) -> None:
    short = {"float": "f", "int": "i"}[dtype.rstrip("0123456789")] + dtype.lstrip("floatin")
    for length in LENGTHS:
        for x in inputs(dtype, length):
            np.testing.assert_array_equal(sorter(short)(x), np.sort(x))


@pytest.mark.alike(2)
@pytest.mark.parametrize(
    ("dtype", "short"), [("float32", "f32"), ("int32", "i32"), ("float64", "f64"), ("int64", "i64")]
)
def test_equal_elements_keep_their_order(dtype: str, short: str) -> None:
    for length in LENGTHS:
        for x in inputs(dtype, length):
            np.testing.assert_array_equal(orderer(short)(x), np.argsort(x, kind="stable"))


def close(length: int, ties: int) -> Any:
    """Numbers far apart, of which some differ in their last bits alone."""
    rng = np.random.default_rng(length)
    x = rng.choice([-1e300, 1.0, 7.0], length)
    near = rng.permutation(length)[:ties]
    x[near] = 1 + rng.integers(0, 9, ties) * 2.0**-52
    return x


@pytest.mark.parametrize("length", [SHORTEST, SHORTEST + 1, 640, LONGEST, LONGEST + 1])
def test_wide_keys_that_differ_in_their_last_bits_are_in_order(length: int) -> None:
    for ties in (0, 2, length // FEW_WRONG, length):
        x = close(length, ties)
        np.testing.assert_array_equal(orderer("f64")(x), np.argsort(x, kind="stable"))
    extremes = np.random.default_rng(length).choice([-(2**63), 2**63 - 1, 2**63 - 2, 0, 1], length)
    np.testing.assert_array_equal(orderer("i64")(extremes), np.argsort(extremes, kind="stable"))


def test_two_rising_sequences_and_a_number_far_away_are_ordered_by_another_sort() -> None:
    x = np.tile(np.arange(LONGEST // 2), 2)
    x[-1] = np.iinfo(np.int64).max
    native = orderer("i64")
    np.testing.assert_array_equal(native(x), np.argsort(x, kind="stable"))


@pytest.mark.parametrize("axis", [0, 1])
def test_lines_of_wide_keys_along_any_axis_are_ordered_beside_each_other(axis: int) -> None:
    native = compiled("f64", build.argsort, ("n", "m"), axis)
    for shape in [(0, 3), (3, 0), (1, 1), (40, 33), (7, 300), (300, 7)]:
        x = np.random.default_rng(1).standard_normal(shape).round(1)
        for layout in (x, x[::-1, ::-1], np.asfortranarray(x)):
            np.testing.assert_array_equal(native(layout), np.argsort(layout, axis, kind="stable"))


@pytest.mark.parametrize("short", ["f64", "i32"])
def test_a_long_vector_is_sorted_in_buckets(short: str) -> None:
    dtype = {"f64": "float64", "i32": "int32"}[short]
    for length in (buckets.MANY - 1, buckets.MANY, buckets.MANY + 1, 200_003):
        for x in inputs(dtype, length):
            np.testing.assert_array_equal(sorter(short)(x), np.sort(x))


def test_the_middle_of_the_bounds_sorts_as_the_median_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "BY_MEDIAN", 0)
    for short, dtype in (("i32", "int32"), ("f64", "float64")):
        native = compiled(short, build.sort)
        for x in (x for length in (FEW + 1, 4099) for x in inputs(dtype, length)):
            np.testing.assert_array_equal(native(x), np.sort(x))


@pytest.mark.parametrize("axis", [0, 1])
def test_lines_along_any_axis_are_sorted_beside_each_other(axis: int) -> None:
    native = compiled("f32", build.sort, ("n", "m"), axis)
    for shape in [(0, 3), (3, 0), (1, 1), (5, 10), (40, 33), (7, 300), (300, 7)]:
        x = np.random.default_rng(1).standard_normal(shape, np.float32)
        for layout in (x, x[::-1, ::-1], np.asfortranarray(x)):
            np.testing.assert_array_equal(native(layout), np.sort(layout, axis))


def test_wide_vectors_are_packed_by_an_instruction_where_there_is_one() -> None:
    kernel = make_kernel({"x": array_type("f64", ("n",))}, lambda add, x: add(build.sort(x, -1)))
    code = compile_kernels(as_module(kernel), Options(cached=False, target=WIDE, listing=True))
    assert ("vpcompressq" in code.assembly) == WIDE.has("avx512f")
