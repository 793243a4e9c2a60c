"""Irregular operators, compiled, against NumPy and the reference."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.ir import Attribute

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import KernelOp, composites
from flowc.dialects.array import irregular_build as build
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.irregular_reference import philox
from flowc.dialects.array.reference import evaluate_kernel, numpy_dtypes
from flowc.dialects.array.types import array_type, dtype_of
from flowc.passes.array_to_loops.irregular import scan, tables
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import DTYPES, array_of, as_module, make_kernel, strided

pytestmark = pytest.mark.usefixtures("unoptimised")

Types = dict[str, Attribute]

N = ("n",)
ROWS = ("n", "m")
LENGTHS = (0, 1, 2, 15, 16, 17, 100, 385, 1000)


def compiled(
    types: Types, body: Callable[..., Any], level: int = 2, *, contiguous: bool = True
) -> tuple[KernelOp, Kernel]:
    """A kernel and its native code, made for contiguous arrays alone unless told otherwise."""
    kernel = make_kernel(types, body)
    layouts = ("contiguous",) * len(types) if contiguous else None
    code = compile_kernels(as_module(kernel), Options(level=level, cached=False, layouts=layouts))
    return kernel, load(code.object_code, code.signatures)["k"]


def check(kernel: KernelOp, native: Kernel, *arguments: Any, factor: float = 1.0) -> None:
    """The native kernel gives what the reference gives, or both refuse."""
    try:
        wanted = evaluate_kernel(kernel, arguments)
    except KernelFault:
        with pytest.raises(FlowError):
            native(*arguments)
        return
    got = native(*arguments)
    results = got if isinstance(got, tuple) else (got,)
    for value, array, reference in zip(kernel.returned, results, wanted, strict=True):
        assert_close(array, reference, dtype_of(value.type), factor)


def level_for(dtype: str) -> int:
    """One dtype of each width of key goes through LLVM's optimiser too."""
    return 2 if dtype in ("f32", "i64", "u8") else 0


@cache
def sorter(dtype: str, rank: int, axis: int) -> tuple[KernelOp, Kernel]:
    shape = ("n", "m", "k")[:rank]
    return compiled(
        {"x": array_type(dtype, shape)},
        lambda add, x: [add(build.sort(x, axis)), add(build.argsort(x, axis))],
        level_for(dtype) if rank == 1 else 0,
        contiguous=rank == 1,
    )


def numbers(dtype: str, shape: Sequence[int], seed: int) -> Any:
    """Over the whole range of the dtype, with repetitions, infinities and NaN of both signs."""
    rng = np.random.default_rng(seed)
    kind = numpy_dtypes[dtype]
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(kind)
    if np.issubdtype(kind, np.integer):
        info = np.iinfo(kind)
        wide = rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
        return np.where(rng.random(shape) < 0.3, kind.type(info.max), wide)
    values = (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)).astype(kind)
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1.0]).astype(kind)
    return np.where(rng.random(shape) < 0.4, odd[rng.integers(0, len(odd), shape)], values)


@pytest.mark.alike(3)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_and_argsort_are_numpys_stable_ones(dtype: str) -> None:
    _, native = sorter(dtype, 1, -1)
    for seed, length in enumerate(LENGTHS):
        x = numbers(dtype, (length,), seed)
        values, order = native(x)
        # ml_dtypes sorts NaN anywhere.
        exact = x.astype(np.float32) if dtype == "bf16" else x
        np.testing.assert_array_equal(values.astype(exact.dtype), np.sort(exact, kind="stable"))
        np.testing.assert_array_equal(order, np.argsort(exact, kind="stable"))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sorting_runs_along_any_axis_of_any_layout(axis: int) -> None:
    kernel, native = sorter("f32", 3, axis)
    for shape in [(3, 5, 4), (0, 5, 2), (2, 0, 2), (1, 1, 1), (2, 400, 3)]:
        for layout in range(4):
            check(kernel, native, strided(array_of("f32", shape, 3), layout))


@pytest.mark.parametrize("length", [40_000, 70_001])
def test_a_long_vector_is_sorted_in_pieces(length: int) -> None:
    for dtype in ("f32", "i64"):
        _, native = sorter(dtype, 1, -1)
        for x in (numbers(dtype, (length,), 1), np.full(length, 3, numpy_dtypes[dtype])):
            values, order = native(x)
            np.testing.assert_array_equal(values, np.sort(x))
            np.testing.assert_array_equal(order, np.argsort(x, kind="stable"))


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "i32", "u8", "bool"])
def test_scans_follow_the_reference_along_every_axis(dtype: str) -> None:
    def body(add: Any, x: Any, y: Any) -> list[Any]:
        results = []
        for kind in ("sum", "prod", "min", "max"):
            results += [add(build.scan(kind, x)), add(build.scan(kind, y, 0)), add(build.scan(kind, y, 1))]
        return results

    kernel, native = compiled(
        {"x": array_type(dtype, ("l",)), "y": array_type(dtype, ROWS)}, body, level_for(dtype)
    )
    for length, shape in [(0, (0, 3)), (1, (1, 1)), (2, (3, 0)), (9, (5, 17))]:
        x, y = array_of(dtype, (length,), 1), array_of(dtype, shape, 2)
        check(kernel, native, x, y, factor=4)


def test_a_long_scan_is_as_exact_as_one_in_f64() -> None:
    _, native = compiled(
        {"x": array_type("f32", N)}, lambda add, x: [add(build.scan(k, x)) for k in ("sum", "min", "max")]
    )
    for length in (scan.LEAST_CHUNK, scan.LEAST_CHUNK + 1, 5 * scan.LEAST_CHUNK - 7):
        x = np.random.default_rng(length).standard_normal(length).astype(np.float32)
        total, least, most = native(x)
        wanted = np.cumsum(x.astype(np.float64))
        np.testing.assert_allclose(total, wanted, rtol=2e-7, atol=1e-9)
        np.testing.assert_array_equal(least, np.minimum.accumulate(x))
        np.testing.assert_array_equal(most, np.maximum.accumulate(x))


def test_a_nan_stays_to_the_end_of_a_scan() -> None:
    kernel, native = compiled(
        {"x": array_type("f32", N)}, lambda add, x: [add(build.scan(k, x)) for k in ("sum", "min", "max")]
    )
    check(kernel, native, np.array([1, 2, np.nan, 0, 5], np.float32))


@pytest.mark.parametrize("dtype", ["f64", "f32", "bf16", "i64", "i16", "u8"])
def test_grouping_follows_the_reference(dtype: str) -> None:
    def body(add: Any, keys: Any, values: Any, count: Any) -> list[Any]:
        return [add(build.segment(kind, keys, count, values)) for kind in ("sum", "prod", "min", "max")]

    types = {"keys": array_type("i32", N), "values": array_type(dtype, N), "g": array_type("i64", ())}
    kernel, native = compiled(types, body, level_for(dtype) if dtype != "i64" else 0)
    rng = np.random.default_rng(5)
    for length, groups in [(0, 0), (0, 3), (1, 1), (9, 4), (1000, 7), (700, 1000)]:
        keys = rng.integers(0, max(groups, 1), length).astype(np.int32)
        values = (
            np.sign(array_of(dtype, (length,), length)) if length > 100 else array_of(dtype, (length,), 1)
        )
        check(kernel, native, keys, values, groups)


@pytest.mark.alike(2)
@pytest.mark.parametrize("key", ["i64", "i16", "i8", "u8"])
def test_rows_are_grouped_by_keys_of_any_integer_dtype(key: str) -> None:
    types = {"keys": array_type(key, N), "values": array_type("f32", ROWS), "g": array_type("i64", ())}
    kernel, native = compiled(
        types,
        lambda add, keys, values, count: [
            composites.segment_mean(add, keys, count, values),
            add(build.segment("count", keys, count)),
        ],
        level_for(key),
        contiguous=False,
    )
    keys = np.random.default_rng(1).integers(0, 100, 2000).astype(numpy_dtypes[key])
    for layout in range(4):
        values = strided(array_of("f32", (2000, 3), 2), layout)
        check(kernel, native, keys, values, 127)


def test_a_key_outside_its_groups_is_an_error_wherever_it_stands() -> None:
    types = {"keys": array_type("i32", N), "g": array_type("i64", ())}
    _, native = compiled(types, lambda add, keys, count: add(build.segment("count", keys, count)))
    length = 3 * tables.BLOCK + 5
    for place in (0, tables.BLOCK, length - 1):
        for key in (-1, 5, 2**31 - 1, -(2**31)):
            keys = np.zeros(length, np.int32)
            keys[place] = key
            with pytest.raises(FlowError, match="E0758"):
                native(keys, 5)
    np.testing.assert_array_equal(native(np.zeros(length, np.int32), 5), [length, 0, 0, 0, 0])


def test_sums_by_group_are_accurate_and_the_same_in_every_run() -> None:
    types = {"keys": array_type("i32", N), "values": array_type("f32", N)}
    _, native = compiled(
        types, lambda add, keys, values: add(build.segment("sum", keys, add(constant(10)), values))
    )
    rng = np.random.default_rng(0)
    length = 2 * tables.LEAST_CHUNK + 77
    keys, values = rng.integers(0, 10, length).astype(np.int32), rng.random(length, dtype=np.float32)
    first = native(keys, values)
    np.testing.assert_allclose(first, np.bincount(keys, values.astype(np.float64)), rtol=3e-5)
    for _ in range(3):
        np.testing.assert_array_equal(native(keys, values), first)


def constant(value: int) -> Any:
    from flowc.dialects.array import build as plain

    return plain.constant(value, "i64")


@cache
def histogrammer(dtype: str) -> Kernel:
    number = array_type("f64", ())
    types = {"x": array_type(dtype, N), "bins": array_type("i64", ()), "low": number, "high": number}
    return compiled(types, lambda add, *given: list(composites.histogram(add, *given)), level_for(dtype))[1]


@pytest.mark.parametrize("dtype", ["f64", "f32", "i32", "u8", "f16"])
@pytest.mark.parametrize("grid", [0, 4, 10])
def test_a_histogram_is_numpys_to_the_last_count(dtype: str, grid: int) -> None:
    """With elements on the edges of bins too, where the product of NumPy's own formula rounds wrongly."""
    rng = np.random.default_rng(grid)
    for bins, low, high in [
        (1, 0, 1),
        (10, -1, 1),
        (256, -3, 3),
        (7, 0, 0),
        (1000, -2.5, 0.7),
        (3, 10, 10.1),
    ]:
        x = rng.standard_normal(3000) * 3
        x = np.abs(np.round(x * grid) / grid if grid else x) if dtype == "u8" else (
            np.round(x * grid) / grid if grid else x
        )  # fmt: skip
        x = np.concatenate([x, [abs(low), abs(high)]]).astype(numpy_dtypes[dtype])
        counts, edges = histogrammer(dtype)(x, bins, float(low), float(high))
        exact = x.astype(np.float32) if dtype == "f16" else x
        wanted, wanted_edges = np.histogram(exact, bins, (low, high))
        np.testing.assert_array_equal(edges, wanted_edges.astype(edges.dtype))
        np.testing.assert_array_equal(counts, wanted)


def test_nan_and_what_lies_outside_are_in_no_bin() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -1, 0, 0.5, 1, 2], np.float32)
    np.testing.assert_array_equal(histogrammer("f32")(x, 2, 0.0, 1.0)[0], [1, 2])
    np.testing.assert_array_equal(histogrammer("f32")(x[:0], 2, 0.0, 1.0)[0], [0, 0])


def test_a_histogram_without_bins_or_upside_down_is_an_error() -> None:
    x = np.ones(3, np.float32)
    for bins, low, high in [(-1, 0.0, 1.0), (4, 1.0, 0.0), (4, np.nan, 1.0)]:
        with pytest.raises(FlowError, match="E0759"):
            histogrammer("f32")(x, bins, low, high)


def test_edges_may_be_uneven_and_elements_weighted() -> None:
    types = {
        "x": array_type("f32", ROWS), "w": array_type("f32", ROWS), "e": array_type("f32", ("k",)),
    }  # fmt: skip
    kernel, native = compiled(
        types,
        lambda add, x, w, e: [add(build.histogram(x, e, w)), add(build.histogram(x, e))],
        contiguous=False,
    )
    edges = np.array([-2, -1, -0.9, 0, 3], np.float32)
    for shape in [(3, 50), (0, 4), (4, 0), (200, 3)]:
        for layout in range(4):
            check(
                kernel, native, strided(array_of("f32", shape, 1), layout), array_of("f32", shape, 2), edges
            )
    check(kernel, native, array_of("f32", (3, 5), 1), array_of("f32", (3, 5), 2), edges[:1])
    check(kernel, native, array_of("f32", (3, 5), 1), array_of("f32", (3, 5), 2), edges[:0])


@pytest.mark.parametrize("kind", ["set", "sum", "prod", "min", "max"])
def test_scattering_follows_the_reference(kind: str) -> None:
    types = {
        "base": array_type("f32", ROWS), "at": array_type("i32", ("k",)),
        "rows": array_type("f32", ("k", "m")), "one": array_type("f32", ()),
    }  # fmt: skip
    kernel, native = compiled(
        types,
        lambda add, base, at, rows, one: [
            add(build.scatter(kind, base, at, rows)), add(build.scatter(kind, base, at, one)),
        ],
    )  # fmt: skip
    base, rows = array_of("f32", (5, 3), 1), array_of("f32", (6, 3), 2)
    one = np.float32(2)
    check(kernel, native, base, np.array([0, -1, 2, 2, 4, 0], np.int32), rows, one)
    check(kernel, native, base, np.zeros(0, np.int32), rows[:0], one)
    for bad in (5, -6):
        check(kernel, native, base, np.array([0, 0, 0, bad, 0, 0], np.int32), rows, one)


def test_elements_are_taken_along_an_axis_with_every_position_checked() -> None:
    types = {"x": array_type("i16", ROWS), "at": array_type("u8", ("n", "k"))}
    kernel, native = compiled(types, lambda add, x, at: add(build.take_along(x, at, 1)))
    x = array_of("i16", (4, 3), 1)
    check(kernel, native, x, np.array([[0, 2], [1, 1], [2, 0], [0, 0]], np.uint8))
    check(kernel, native, x, np.array([[0, 2], [1, 3], [2, 0], [0, 0]], np.uint8))
    check(kernel, native, x, np.zeros((3, 2), np.uint8))


@pytest.mark.parametrize("side", ["left", "right"])
def test_searching_is_numpys_with_nan_as_the_largest(side: Any) -> None:
    types = {"a": array_type("f32", N), "v": array_type("f64", ("i", "j"))}
    kernel, native = compiled(types, lambda add, a, v: add(build.searchsorted(a, v, side)))
    ordered = np.sort(numbers("f32", (33,), 4))
    values = numbers("f64", (7, 5), 5)
    for length in (0, 1, 2, 31, 32, 33):
        check(kernel, native, ordered[:length], values)


@settings(max_examples=25, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 50))
def test_evenly_spaced_numbers_are_numpys_to_the_last_bit(low: float, high: float, count: int) -> None:
    np.testing.assert_array_equal(spacer()(low, high, count), np.linspace(low, high, count))


def test_a_negative_number_of_evenly_spaced_numbers_is_an_error() -> None:
    with pytest.raises(FlowError, match="E0765"):
        spacer()(0.0, 1.0, -1)


@cache
def spacer() -> Kernel:
    number = array_type("f64", ())
    types = {"low": number, "high": number, "count": array_type("i64", ())}
    return compiled(types, lambda add, low, high, count: add(build.linspace(low, high, count)))[1]


def test_philox_gives_the_words_of_its_authors() -> None:
    """The known answers of the Random123 distribution for counter and key of zeros."""
    words = [int(word[0]) for word in philox(0, np.array([0]))]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("bits", "i64"), ("uniform", "f32"), ("uniform", "f64"), ("normal", "f32"), ("normal", "f64")],
)
def test_random_numbers_depend_on_seed_and_position_alone(kind: str, dtype: str) -> None:
    types = {"seed": array_type("i64", ()), "n": array_type("i64", ())}
    kernel, native = compiled(
        types, lambda add, seed, n: add(build.random(kind, seed, ("", 3), (n, add(constant(3))), dtype))
    )
    for seed, n in [(0, 0), (1, 1), (-7, 33), (2**62, 100)]:
        check(kernel, native, seed, n, factor=4)
    np.testing.assert_array_equal(native(5, 100)[:10], native(5, 10))
    assert not np.array_equal(native(5, 10), native(6, 10))


def test_uniform_and_normal_numbers_are_distributed_as_they_should_be() -> None:
    types = {"seed": array_type("i64", ()), "n": array_type("i64", ())}
    _, native = compiled(
        types,
        lambda add, seed, n: [add(build.random(kind, seed, ("",), (n,))) for kind in ("uniform", "normal")],
    )
    uniform, normal = native(11, 200_000)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    # Five standard errors of 200,000 draws.
    assert np.abs(np.histogram(uniform, 20, (0, 1))[0] / 10_000 - 1).max() < 0.05
    assert abs(normal.mean()) < 0.0112
    assert abs(normal.std() - 1) < 0.008


def test_dropout_keeps_a_share_and_scales_it() -> None:
    types = {"x": array_type("f32", ROWS), "p": array_type("f64", ()), "seed": array_type("i64", ())}
    kernel, native = compiled(types, composites.dropout)
    x = np.ones((50, 31), np.float32)
    check(kernel, native, x, 0.3, 5)
    np.testing.assert_array_equal(native(x, 0.0, 5), x)
    share = np.count_nonzero(native(np.ones((1000, 100), np.float32), 0.25, 7)) / 100_000
    assert abs(share - 0.75) < 0.007


def test_draws_from_logits_come_in_the_shares_of_their_softmax() -> None:
    types = {"x": array_type("f32", ROWS), "seed": array_type("i64", ())}
    kernel, native = compiled(types, composites.categorical)
    check(kernel, native, array_of("f32", (40, 7), 1), 3)
    shares = np.array([0.1, 0.6, 0.3])
    draws = native(np.tile(np.log(shares), (20_000, 1)).astype(np.float32), 5)
    np.testing.assert_allclose(np.bincount(draws, minlength=3) / 20_000, shares, atol=0.02)
