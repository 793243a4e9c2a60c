"""Which kernels may be called part by part, and that their parts then are those of the whole."""

from typing import Any

import numpy as np
import pytest

from flowc.compiler.backends.llvm import compile_kernels, kernels_of
from flowc.compiler.driver import Options, check_text, kernels_module
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.fuse_array import prepare_to_fuse
from flowc.passes.row_independence import row_axes
from flowc.runtime.kernels import load

NORM = "return (x - x.mean(axis=-1, keepdims=true)) * g"
ALONG = {
    f"kernel f(x: f32[n, m], g: f32[m]) -> f32[n, m]:\n    {NORM}\n": (0, None, 0),
    "kernel f(x: f32[n, m]) -> f32[n, m]:\n    return softmax(x, axis=-1)\n": (0, 0),
    "kernel f(x: f32[m, n]) -> f32[n]:\n    return x.sum(axis=0)\n": (1, 0),
    "kernel f(x: f32[n, m]) -> i64[n]:\n    return argmax(x, axis=-1)\n": (0, 0),
    "kernel f(x: f32[m, k], i: i64[n]) -> f32[n, k]:\n    return x[i]\n": (None, 0, 0),
    "kernel f(x: f32[n, k], y: f32[m, k]) -> f32[n, m]:\n    return x @ y.T\n": (0, None, 0),
    "kernel f(x: f32[n, m], y: f32[n]) -> f32[n]:\n    return x.max(axis=1) + y\n": (0, 0, 0),
}
NOT_ALONG = [
    "kernel f(x: f32[n]) -> f32:\n    return x.sum()\n",
    "kernel f(x: f32[n]) -> f32[n]:\n    return x / x.sum()\n",
    "kernel f(x: f32[n, m]) -> f32[n, m]:\n    return softmax(x, axis=0)\n",
    "kernel f(x: f32[n]) -> f32[n]:\n    return cumsum(x)\n",
    "kernel f(x: f32[n, n]) -> f32[n, n]:\n    return x + x.T\n",
    "kernel f(x: f32[n]) -> f32[n]:\n    return sort(x)\n",
    "kernel f(x: f32[n, n]) -> f32[n, n]:\n    return x * 2.0\n",
    "kernel f(x: f32[n], y: f32[n]) -> f32[n]:\n    return x - y.sum()\n",
    "kernel f(w: f32[n, n], x: f32[n, d]) -> f32[n, d]:\n    return w @ x\n",
    "kernel f(x: f32[n], y: f32[n], i: i64[n]) -> f32[n]:\n    return x[i] + y\n",
]


def kernel(text: str) -> KernelOp:
    """The one kernel of a program, ready to be fused."""
    module = kernels_module(check_text(text, "rows.flow"), Options())
    prepare_to_fuse(module)
    (found,) = kernels_of(module)
    return found


@pytest.mark.parametrize("text", ALONG)
def test_rows_that_stand_alone(text: str) -> None:
    assert row_axes(kernel(text)) == ALONG[text]


@pytest.mark.parametrize("text", NOT_ALONG)
def test_rows_that_need_others(text: str) -> None:
    assert row_axes(kernel(text)) == ()


@pytest.mark.parametrize("mark", ["@precise", "@reproducible"])
def test_kernels_that_promise_their_bits_are_never_cut(mark: str) -> None:
    text = "kernel f(x: f32[n, m]) -> f32[n]:\n    return x.sum(axis=1)\n"
    assert row_axes(kernel(text)) == (0, 0)
    assert row_axes(kernel(f"{mark}\n{text}")) == ()


@pytest.mark.alike(3)
@pytest.mark.parametrize("text", ALONG)
def test_parts_of_a_call_are_those_of_the_whole(text: str) -> None:
    compiled = compile_kernels(kernels_module(check_text(text, "rows.flow"), Options()))
    (signature,) = compiled.signatures
    run = load(compiled.object_code, [signature])["f"]
    random, sizes = np.random.default_rng(5), {"n": 37, "m": 12, "k": 7}
    arguments: list[Any] = []
    for parameter in signature.params:
        shape = [sizes[str(dimension)] for dimension in parameter.dims]
        if parameter.dtype == "i64":
            arguments.append(random.integers(0, 12, shape))
        else:
            arguments.append(random.standard_normal(shape).astype(np.float32))
    axes = ALONG[text]
    whole = _tuple(run(*arguments))
    for low, high in ((0, 13), (13, 14), (14, 37)):
        rows = slice(low, high)
        part = [
            np.ascontiguousarray(x[rows] if axis == 0 else x[:, rows]) if axis is not None else x
            for x, axis in zip(arguments, axes[: len(arguments)], strict=True)
        ]
        for got, wanted in zip(_tuple(run(*part)), whole, strict=True):
            np.testing.assert_allclose(got, wanted[rows], rtol=1e-5, atol=1e-6)


def _tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)
