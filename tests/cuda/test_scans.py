"""Running values and compaction on the emulated device: against the processor, and against NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array import build as plain
from flowc.dialects.array import irregular_build as build
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_gpu.irregular import prefix
from flowc.testing.strategies.kernels import array_of, as_module, make_kernel, strided
from tests.cuda.comparing import agree, on_device

ORDERS = ("forward", "reverse", "shuffled")
SHAPE = ("n", "m", "k")


def scans(dtype: str, rank: int, axis: int, kinds: Sequence[str]) -> ModuleOp:
    types = {"x": array_type(dtype, SHAPE[:rank])}
    return as_module(make_kernel(types, lambda add, x: [add(build.scan(kind, x, axis)) for kind in kinds]))


def signs(dtype: str, shape: Sequence[int], seed: int) -> Any:
    """Numbers whose products stay small."""
    return np.sign(array_of(dtype, shape, seed)) if dtype != "bool" else array_of(dtype, shape, seed)


@pytest.mark.parametrize("dtype", ["f64", "f32", "bf16", "i64", "u8", "bool"])
def test_vectors_run_as_on_the_processor(dtype: str) -> None:
    calls = [(array_of(dtype, (n,), n),) for n in (0, 1, 9)]
    calls += [(signs(dtype, (n,), n),) for n in (31, 33, 257, 1025, 4100)]
    kinds = ("sum", "prod", "min", "max") if dtype in ("f32", "u8") else ("sum", "min")
    agree(scans(dtype, 1, 0, kinds), *calls, level=0)


@pytest.mark.parametrize(("dtype", "axis"), [("f64", 0), ("f32", 1), ("f16", 2), ("bool", 2)])
def test_lines_run_along_any_axis_of_any_layout(dtype: str, axis: int) -> None:
    shapes = [(0, 3, 2), (3, 0, 2), (2, 3, 0), (1, 1, 1), (3, 5, 7), (3, 2, 72), (2, 70, 3), (70, 2, 3)]
    calls = [(strided(signs(dtype, shape, 1), number % 4),) for number, shape in enumerate(shapes)]
    agree(scans(dtype, 3, axis, ("sum", "max")), *calls, level=0)


def test_long_rows_and_columns_are_cut_into_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = array_of("f32", (3, 2500), 1)
    agree(scans("f32", 2, 1, ("sum", "min")), (rows,), (rows[:, 1:],), (rows[:, :2498],), orders=ORDERS)
    columns = array_of("f32", (900, 3), 1)
    monkeypatch.setattr(prefix, "MOST_THREADS", 32)
    agree(scans("f32", 2, 0, ("sum", "min")), (columns,), (array_of("f32", (200, 40), 1),), orders=ORDERS)


def test_nan_and_infinities_run_to_the_end() -> None:
    calls = []
    for n in (5, 300, 2100):
        x = array_of("f32", (n,), n)
        for place, value in [(2, np.inf), (n // 2, -np.inf), (n - 2, np.nan)]:
            x = x.copy()
            x[place] = value
            calls.append((x,))
    agree(scans("f32", 1, 0, ("sum", "min", "max")), *calls)


def test_what_runs_is_read_from_what_it_is_computed_from() -> None:
    types = {"x": array_type("f32", ("n", "m")), "y": array_type("f32", ("m",))}

    def body(add: Any, x: Any, y: Any) -> list[Any]:
        product = add(plain.elementwise("mul", [x, y]))
        return [add(build.scan("sum", product, 1)), add(build.scan("max", add(plain.concat([x, x], 1)), 1))]

    kernel = as_module(make_kernel(types, body))
    agree(kernel, *[(array_of("f32", (4, m), 1), array_of("f32", (m,), 2)) for m in (3, 67, 130)])


def test_parts_are_put_together_by_blocks_that_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "PART", 128)
    module, n = scans("f64", 1, 0, ("sum",)), 128 * (prefix.BLOCK * prefix.ITEMS + 5)
    x = np.random.default_rng(0).standard_normal(n)
    code = on_device(module)
    (got,) = emulated.run(code, [emulated.Call("k", (x,))], sanitize=False)
    np.testing.assert_allclose(got, np.cumsum(x), rtol=0, atol=1e-10)


def test_a_running_sum_is_the_same_in_any_order_of_threads() -> None:
    module = scans("f32", 1, 0, ("sum",))
    code, x = on_device(module), np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    first, *others = (emulated.run(code, [emulated.Call("k", (x,))], order=order)[0] for order in ORDERS)
    np.testing.assert_allclose(first, np.cumsum(x.astype(np.float64)), rtol=2e-7, atol=1e-9)
    for other in others:
        assert other.tobytes() == first.tobytes()


def compaction(dtype: str) -> ModuleOp:
    types = {"x": array_type(dtype, ("n",)), "mask": array_type("bool", ("n",))}
    return as_module(
        make_kernel(types, lambda add, x, mask: [add(build.pick(x, mask)), add(build.true_positions(mask))])
    )


@pytest.mark.parametrize("dtype", ["f64", "bf16", "u8"])
def test_what_a_mask_picks_stands_in_front_in_order(dtype: str) -> None:
    code = on_device(compaction(dtype))
    calls = []
    for n in (0, 1, 31, 33, 257, 1025, 3000):
        for share in (0.0, 0.02, 0.5, 1.0):
            mask = np.random.default_rng(n).random(n) < share
            calls += [(array_of(dtype, (n,), n), mask), (array_of(dtype, (n,), n)[::-1], mask[::-1])]
    for order in ("forward", "shuffled"):
        results = emulated.run(code, [emulated.Call("k", call) for call in calls], order=order)
        for (x, mask), (picked, places) in zip(calls, results, strict=True):
            count = int(mask.sum())
            np.testing.assert_array_equal(picked[:count], x[mask])
            np.testing.assert_array_equal(places[:count], np.flatnonzero(mask))


def test_a_mask_is_computed_where_it_is_asked_for() -> None:
    def body(add: Any, x: Any) -> list[Any]:
        mask = add(plain.elementwise("gt", [x, add(plain.constant(0.0, "f32"))]))
        return [add(build.pick(x, mask)), add(plain.reduce("sum", mask, [0]))]

    code = on_device(as_module(make_kernel({"x": array_type("f32", ("n",))}, body)))
    for n in (0, 7, 2500):
        x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
        ((picked, count),) = emulated.run(code, [emulated.Call("k", (x,))])
        np.testing.assert_array_equal(picked[:count], x[x > 0])
