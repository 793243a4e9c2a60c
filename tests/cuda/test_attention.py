"""Attention on the emulated device against the processor's.

Weights are averages of values: results may differ by so many units of the largest value's last place, since
tensor cores take weights that are rounded to halves, and sums are added in another order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import SSAValue

from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array import build, products_build
from flowc.dialects.array.kernel import PRECISE
from flowc.dialects.array.types import array_type
from flowc.testing.strategies.kernels import Add, as_module, make_kernel
from tests.cuda.comparing import copied, on_device, on_processor, only

EPSILON = {"f64": 2.0**-47, "f32": 2.0**-19, "f16": 2.0**-10, "bf16": 2.0**-7}
NUMPY: dict[str, Any] = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
ORDERS = ("forward", "reverse", "shuffled")

Shape = tuple[int, ...]
Body = Callable[..., SSAValue]


def kernel(
    dtype: str, features: tuple[Any, Any], body: Body, extra: dict[str, Any] | None = None, shared: str = "g"
) -> ModuleOp:
    """A kernel of queries [h, s, d], keys [g, t, d], values [g, t, e] and what else is given."""
    d, e = features
    dims = (("h", "s", d), (shared, "t", d), (shared, "t", e))
    types = {name: array_type(dtype, each) for name, each in zip("qkv", dims, strict=True)}
    return as_module(make_kernel(types | (extra or {}), body))


def attend(scale: float = 0.2, causal: bool = False, window: int | None = None, steps: bool = False) -> Body:
    """The body of a kernel that does nothing else; what comes behind the values is the mask."""

    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue, *mask: SSAValue) -> SSAValue:
        factor = add(build.constant(scale, "f32"))
        changes = [("tanh", None), ("mul", add(build.constant(3.0, "f32")))] if steps else []
        shown = mask[0] if mask else None
        return add(products_build.attention(q, k, v, factor, shown, causal, window, steps=changes))

    return body


def arrays(dtype: str, heads: tuple[int, int], rows: tuple[int, int], features: tuple[int, int]) -> list[Any]:
    """Queries, keys and values."""
    rng = np.random.default_rng(sum(rows))
    shapes = (
        (heads[0], rows[0], features[0]),
        (heads[1], rows[1], features[0]),
        (heads[1], *rows[1:], features[1]),
    )
    return [rng.standard_normal(shape).astype(NUMPY[dtype]) for shape in shapes]


def agrees(
    module: ModuleOp,
    dtype: str,
    *calls: Sequence[Any],
    order: str = "reverse",
    layouts: tuple[str, ...] | None = None,
) -> None:
    """Calls a kernel with each tuple of arguments, whose third are the values, here and there."""
    if layouts is None:
        layouts = ("contiguous",) * len(calls[0])
    native = on_processor(module, layouts=layouts)
    name = only(native)
    code = on_device(module, layouts=layouts)
    asked = [emulated.Call(name, copied(call)) for call in calls]
    for call, result in zip(calls, emulated.run(code, asked, order=order, seed=len(calls)), strict=True):
        close(result, native[name](*copied(call)), call[2], dtype)


def close(result: Any, wanted: Any, values: Any, dtype: str) -> None:
    """Raises AssertionError where an average of values is off, or is not NaN or infinite as is wanted."""
    assert result.dtype == wanted.dtype
    assert result.shape == wanted.shape
    got, expected, size = (np.asarray(each, np.float64) for each in (result, wanted, values))
    largest = np.max(np.abs(size[np.isfinite(size)]), initial=0)
    np.testing.assert_allclose(got, expected, rtol=EPSILON[dtype], atol=EPSILON[dtype] * largest)


@pytest.mark.parametrize("order", ORDERS)
def test_halves_are_multiplied_by_tensor_cores(order: str) -> None:
    module = kernel("f16", (64, 64), attend(causal=True))
    shapes = [((4, 2), (33, 70)), ((2, 1), (130, 257)), ((2, 2), (1, 1500)), ((4, 1), (8, 600))]
    calls = [arrays("f16", *shape, (64, 64)) for shape in shapes]
    agrees(module, "f16", *calls, order=order)


@pytest.mark.parametrize(
    ("dtype", "features"), [("bf16", (128, 128)), ("f16", (256, 192)), ("bf16", (48, 80)), ("f16", (16, 16))]
)
def test_heads_of_any_multiple_of_sixteen(dtype: str, features: tuple[int, int]) -> None:
    calls = [arrays(dtype, (2, 1), rows, features) for rows in ((50, 140), (3, 530), (0, 9), (40, 0))]
    agrees(kernel(dtype, features, attend()), dtype, *calls)


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16"])
def test_heads_of_any_size(dtype: str) -> None:
    module = kernel(dtype, ("d", "e"), attend(causal=True, window=90))
    shapes = [
        ((33, 70), (33, 20)),
        ((5, 600), (8, 130)),
        ((70, 31), (1, 3)),
        ((0, 9), (4, 4)),
        ((40, 0), (4, 4)),
    ]
    agrees(module, dtype, *(arrays(dtype, (4, 2), *shape) for shape in shapes))


@pytest.mark.parametrize(("window", "causal"), [(1, False), (30, True), (200, False)])
def test_windows(window: int, causal: bool) -> None:
    module = kernel("f16", (32, 32), attend(causal=causal, window=window))
    calls = [arrays("f16", (2, 1), rows, (32, 32)) for rows in ((150, 300), (300, 150), (2, 700))]
    agrees(module, "f16", *calls)


@pytest.mark.parametrize("dtype", ["f16", "f32"])
@pytest.mark.parametrize("mask", ["bool", "f32"])
def test_masks_and_what_else_changes_scores(dtype: str, mask: str) -> None:
    shape = ("s", "t") if mask == "bool" else ("h", 1, "t")
    module = kernel(dtype, (32, 32), attend(steps=True, causal=True), {"m": array_type(mask, shape)})
    rng = np.random.default_rng(3)
    calls = []
    for rows in ((70, 150), (4, 130)):
        numbers = rng.standard_normal((2, 1, rows[1])).astype(np.float32)
        shown = rng.random(rows) < 0.2 if mask == "bool" else numbers
        calls.append([*arrays(dtype, (2, 2), rows, (32, 32)), shown])
    agrees(module, dtype, *calls)


def test_a_scale_of_either_sign_and_of_zero() -> None:
    for scale in (-0.4, 0.0):
        call = arrays("f16", (1, 1), (40, 90), (16, 16))
        agrees(kernel("f16", (16, 16), attend(scale, causal=True)), "f16", call)


def turned(array: Any) -> Any:
    """The axes of heads and rows in the other order."""
    return array.transpose(1, 0, 2)


@pytest.mark.parametrize("layout", ["contiguous", "any"])
def test_operands_that_are_computed_or_views(layout: str) -> None:
    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
        q, k, v = (add(build.transpose(each, [1, 0, 2])) for each in (q, k, v))
        q = add(build.elementwise("add", [q, q]))
        return add(build.elementwise("neg", [attend()(add, q, k, v)]))

    calls = [list(map(turned, arrays("f16", (2, 2), rows, (32, 32)))) for rows in ((70, 90), (2, 600))]
    if layout == "contiguous":
        calls = [list(map(np.ascontiguousarray, call)) for call in calls]
    agrees(kernel("f16", (32, 32), body), "f16", *calls, layouts=(layout,) * 3)


def test_operands_with_strides() -> None:
    def apart(array: Any) -> Any:
        return turned(np.ascontiguousarray(turned(array)))

    calls = [list(map(apart, arrays("f16", (2, 2), rows, (32, 32)))) for rows in ((70, 90), (2, 600))]
    agrees(kernel("f16", (32, 32), attend()), "f16", *calls, layouts=("any",) * 3)


def test_arrays_that_are_not_aligned() -> None:
    def shifted(array: Any) -> Any:
        room = np.empty(array.size + 1, array.dtype)[1:].reshape(array.shape)
        room[...] = array
        return room

    module = kernel("f16", (32, 32), attend())
    calls = [list(map(shifted, arrays("f16", (2, 2), rows, (32, 32)))) for rows in ((70, 90), (2, 90))]
    agrees(module, "f16", *calls)


@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_what_is_no_number_stays_in_its_rows(dtype: str) -> None:
    module = kernel(dtype, (16, 16), attend())
    calls = []
    for special in (np.nan, np.inf, -np.inf):
        for operand in range(3):
            call = arrays(dtype, (2, 2), (40, 130), (16, 16))
            call[operand][1, 17, 3] = special
            calls.append(call)
    with np.errstate(all="ignore"):
        agrees(module, dtype, *calls)


def test_a_precise_kernel_gets_weights_that_are_not_rounded() -> None:
    module = kernel("f16", (64, 64), attend())
    (op,) = module.ops
    op.attributes[PRECISE] = UnitAttr()
    (q, k, v) = arrays("f16", (1, 1), (40, 300), (64, 64))
    code = on_device(module, layouts=("contiguous",) * 3)
    assert "multiply_f16" not in code.text
    (result,) = emulated.run(code, [emulated.Call("k", (q, k, v))])
    close(result, on_processor(module)["k"](q, k, v), v, "f16")
