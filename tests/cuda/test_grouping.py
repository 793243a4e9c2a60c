"""Grouping, histograms and scattering on the emulated device: against the processor, and against NumPy."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute

from flowc.compiler.backends.cuda import emulated, nvrtc
from flowc.dialects.array import composites, memory
from flowc.dialects.array import irregular_build as build
from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_gpu.irregular import counting
from flowc.passes.array_to_gpu.irregular.owned import WINDOW
from flowc.testing.strategies.kernels import array_of, as_module, make_kernel, strided
from tests.cuda.comparing import agree, on_device

ORDERS = ("forward", "reverse", "shuffled")
NUMBER = array_type("i64", ())


def module(types: Mapping[str, Attribute], body: Callable[..., Any]) -> ModuleOp:
    return as_module(make_kernel(types, body))


def segments(dtype: str, kinds: Sequence[str], inner: Sequence[str] = (), key: str = "i32") -> ModuleOp:
    types = {"keys": array_type(key, ("n",)), "x": array_type(dtype, ("n", *inner)), "g": NUMBER}
    return module(types, lambda add, keys, x, g: [add(build.segment(kind, keys, g, x)) for kind in kinds])


def keys_below(groups: int, count: int, dtype: str = "i32") -> Any:
    return np.random.default_rng(count).integers(0, max(groups, 1), count).astype(numpy_dtypes[dtype])


@pytest.mark.parametrize("dtype", ["f64", "f32", "i64", "u8"])
def test_groups_come_to_what_they_do_on_the_processor(dtype: str) -> None:
    calls = [
        (keys_below(groups, n), np.sign(x) if n > 50 and dtype != "bool" else x, groups)
        for n, groups in [(0, 0), (0, 3), (1, 1), (9, 4), (600, 7), (700, 300), (900, WINDOW), (2500, 2)]
        for x in [array_of(dtype, (n,), n)]
    ]
    agree(segments(dtype, ("sum", "prod", "min", "max")), *calls, level=0)


@pytest.mark.parametrize("key", ["i64", "u8"])
def test_rows_are_grouped_by_keys_of_any_integer_dtype(key: str) -> None:
    def body(add: Any, keys: Any, x: Any, g: Any) -> list[Any]:
        return [composites.segment_mean(add, keys, g, x), add(build.segment("count", keys, g))]

    types = {"keys": array_type(key, ("n",)), "x": array_type("f32", ("n", "m")), "g": NUMBER}
    kernel, keys = module(types, body), keys_below(100, 300, key)
    agree(kernel, *[(keys, strided(array_of("f32", (300, 3), 2), layout), 127) for layout in range(4)])
    agree(kernel, (keys, array_of("f32", (300, 0), 2), 127))


def test_a_key_outside_its_groups_is_an_error_wherever_it_stands() -> None:
    calls = []
    for key in (-1, 5, 2**31 - 1, 2**32, -(2**63)):
        for place in (0, 700, 1299):
            keys = np.zeros(1300, np.int64)
            keys[place] = key
            calls.append((keys, np.ones(1300, np.float32), 5))
    agree(segments("f32", ("sum",), key="i64"), *calls)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("groups", [20, 400])
def test_sums_are_exact_for_groups_of_any_magnitude(dtype: str, groups: int) -> None:
    """And have the same bits in whatever order threads run."""
    rng, n = np.random.default_rng(0), 2000
    keys = keys_below(groups, n)
    least, most = (-40, 30) if dtype == "f32" else (-300, 290)
    scale = 10.0 ** rng.integers(least, most, groups)
    x = (rng.standard_normal(n) * scale[keys]).astype(numpy_dtypes[dtype])
    code = on_device(segments(dtype, ("sum",)))
    first, *others = (
        emulated.run(code, [emulated.Call("k", (keys, x, groups))], order=order)[0] for order in ORDERS
    )
    for group in range(groups):
        own = x[keys == group].astype(np.float64)
        wanted, size = math.fsum(own), float(np.max(np.abs(own), initial=0.0))
        error = np.finfo(first.dtype).eps * abs(wanted) + len(own) * 2.0**-50 * size
        least = float(np.finfo(first.dtype).smallest_subnormal)
        assert abs(float(first[group]) - wanted) <= error + least, (group, first[group], wanted)
    for other in others:
        assert other.tobytes() == first.tobytes()


@pytest.mark.parametrize("groups", [4, 300])
def test_infinities_and_nan_stay_in_their_groups(groups: int) -> None:
    x = np.array([1, np.inf, 2, -np.inf, np.inf, np.nan, -3, -0.0, -np.inf, 7], np.float32)
    keys = np.array([0, 0, 1, 2, 2, 3, 1, 1, 3, 1], np.int32)
    for dtype in ("f32", "f64"):
        agree(
            segments(dtype, ("sum", "min", "max")),
            (keys, x.astype(numpy_dtypes[dtype]), groups),
            orders=ORDERS,
        )


def test_counts_are_those_of_the_processor_for_few_and_many_groups() -> None:
    types = {"keys": array_type("i32", ("n",)), "g": NUMBER}
    kernel = module(types, lambda add, keys, g: add(build.segment("count", keys, g)))
    calls = [(keys_below(g, n), g) for n, g in [(0, 0), (0, 3), (1, 1), (3000, 5), (3000, 700)]]
    agree(kernel, *calls, (keys_below(9000, 500), counting.MOST_SHARED + 1), orders=ORDERS)


def histograms(dtype: str) -> ModuleOp:
    number = array_type("f64", ())
    types = {"x": array_type(dtype, ("n",)), "bins": NUMBER, "low": number, "high": number}
    return module(types, lambda add, *given: list(composites.histogram(add, *given)))


@pytest.mark.parametrize("dtype", ["f64", "f32", "u8"])
def test_a_histogram_is_that_of_the_processor(dtype: str) -> None:
    """With elements on the edges of bins too, where a product rounds wrongly."""
    rng, calls = np.random.default_rng(0), []
    ranges = [
        (1, 0, 1),
        (10, -1, 1),
        (256, -3, 3),
        (7, 0, 0),
        (1000, -2.5, 0.7),
        (3, 10, 10.1),
        (5, 1, 1 + 1e-9),
    ]
    for bins, low, high in ranges:
        for grid in (0, 4, 10):
            x = rng.standard_normal(400) * 3
            x = np.concatenate([np.round(x * grid) / grid if grid else x, [low, high]])
            calls.append((np.abs(x).astype(numpy_dtypes[dtype]), bins, float(low), float(high)))
    agree(histograms(dtype), *calls, level=0)


def test_nan_and_what_lies_outside_are_in_no_bin_and_bad_edges_an_error() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -1, 0, 0.5, 1, 2], np.float32)
    ranges = [(2, 0.0, 1.0), (0, 0.0, 1.0), (-1, 0.0, 1.0), (4, 1.0, 0.0), (4, math.nan, 1.0)]
    calls = [(values, *each) for each in ranges for values in (x, x[:0])]
    counts, _ = agree(histograms("f32"), *calls)[0]
    assert counts.tolist() == [1, 2]


@pytest.mark.parametrize("weight", ["f32", "i32"])
def test_edges_may_be_uneven_and_elements_weighted(weight: str) -> None:
    shape = ("n", "m")
    types = {"x": array_type("f32", shape), "w": array_type(weight, shape), "e": array_type("f32", ("k",))}
    kernel = module(types, lambda add, x, w, e: [add(build.histogram(x, e, w)), add(build.histogram(x, e))])
    edges = np.array([-2, -1, -0.9, 0, 3], np.float32)
    many = np.linspace(-2, 2, 400).astype(np.float32) ** 3
    calls = []
    for number, size in enumerate([(3, 50), (0, 4), (4, 0), (200, 3)]):
        x, w = strided(array_of("f32", size, 1), number), array_of(weight, size, 2)
        calls += [(x, w, each) for each in (edges, many, edges[:1], edges[:0])]
    agree(kernel, *calls)


def scatters(kinds: Sequence[str], dtype: str, index: str = "i32") -> ModuleOp:
    types = {
        "base": array_type(dtype, ("n", "m")), "at": array_type(index, ("k",)),
        "rows": array_type(dtype, ("k", "m")), "one": array_type(dtype, ()),
    }  # fmt: skip

    def body(add: Any, base: Any, at: Any, rows: Any, one: Any) -> list[Any]:
        made = [add(build.scatter(kind, base, at, rows)) for kind in kinds]
        return [*made, add(build.scatter(kinds[0], base, at, one))]

    return module(types, body)


@pytest.mark.parametrize("dtype", ["f32", "f16", "i64", "bool"])
def test_scattering_is_that_of_the_processor(dtype: str) -> None:
    """Sums of many halves are rounded once here, there each time; so only few of them meet."""
    base, rows, one = array_of(dtype, (5, 3), 1), array_of(dtype, (6, 3), 2), array_of(dtype, (), 3)[()]
    at = np.array([0, -1, 2, 2, 4, 0], np.int32)
    many = np.random.default_rng(0).integers(-50, 50, 150).astype(np.int32)
    calls = [
        (base, at, rows, one),
        (base, at[:0], rows[:0], one),
        (base[:, :0], at, rows[:, :0], one),
        (strided(base, 1), at, strided(rows, 2), one),
        (array_of(dtype, (50, 3), 4), many, array_of(dtype, (150, 3), 5), one),
        *[(base, np.array([0, bad], np.int32), rows[:2], one) for bad in (5, -6)],
    ]
    agree(
        scatters(("set", "sum", "prod", "min", "max"), dtype), *calls, orders=("forward", "shuffled"), level=0
    )


def test_a_position_that_only_64_bits_hold_is_outside() -> None:
    rows = np.ones((2, 3), np.float32)
    calls = [
        (rows, np.array([0, bad]), rows, np.float32(1)) for bad in (2**32, 2**32 + 1, -(2**32), 2**63 - 1)
    ]
    agree(scatters(("set",), "f32", "i64"), *calls)


def test_indices_of_any_rank_name_places_of_a_vector() -> None:
    matrix, vector = array_type("i64", ("k", "l")), array_type("f32", ("l",))
    types = {"base": array_type("f32", ("n",)), "at": matrix, "v": vector}
    kernel = module(types, lambda add, *given: [add(build.scatter(kind, *given)) for kind in ("set", "sum")])
    at = np.random.default_rng(0).integers(-40, 40, (9, 70))
    agree(kernel, (array_of("f32", (40,), 1), at, array_of("f32", (70,), 2)), orders=ORDERS)


def test_rows_are_scattered_where_the_base_lies() -> None:
    def body(add: Any, x: Any, at: Any, v: Any) -> list[Any]:
        made = []
        for kind in ("set", "sum", "max"):
            ref = add(memory.variable(x))
            base = add(memory.read(ref))
            scattered = add(build.scatter(kind, base, at, v))
            write = memory.write(scattered, base)
            write.location = scattered.owner.location
            scattered.owner.parent.add_op(write)
            made.append(add(memory.read(ref)))
        return made

    vector = array_type("f32", ("k",))
    types = {"x": array_type("f32", ("n",)), "at": array_type("i32", ("k",)), "v": vector}
    at = np.random.default_rng(0).integers(-40, 40, 600).astype(np.int32)
    x, v = array_of("f32", (40,), 1), array_of("f32", (600,), 2)
    calls = [(x, at, v), (x, at[:0], v[:0]), (x, np.full(3, 40, np.int32), v[:3])]
    agree(module(types, body), *calls, orders=ORDERS)


@pytest.mark.skipif(not nvrtc.available(), reason="there is no NVRTC here")
@pytest.mark.alike(1)
@pytest.mark.parametrize("architecture", ["sm_90", "sm_75"])
def test_what_is_irregular_keeps_to_its_registers(architecture: str) -> None:
    vectors = {dtype: array_type(dtype, ("n",)) for dtype in ("f32", "i32", "i64")}

    def sums(add: Any, keys: Any, x: Any, g: Any) -> list[Any]:
        return [add(build.segment(kind, keys, g, x)) for kind in ("sum", "max")]

    made = as_module(
        make_kernel({"x": vectors["f32"]}, lambda add, x: add(build.scan("sum", x)), "scans"),
        make_kernel({"keys": vectors["i32"], "x": vectors["f32"], "g": NUMBER}, sums, "sums"),
        make_kernel({"x": vectors["i64"]}, lambda add, x: add(build.scatter("prod", x, x, x)), "scatters"),
        make_kernel(
            {"x": vectors["f32"], "e": array_type("f32", ("k",))},
            lambda add, x, e: add(build.histogram(x, e)),
            "bins",
        ),
    )
    figures = nvrtc.compile_text(on_device(made).text, architecture).figures
    assert len(figures) > 20
    for kernel in figures:
        assert kernel.spill_bytes == 0, kernel
        assert kernel.registers <= 80, kernel
