"""Compiled kernels through the runtime of devices, from NumPy's arrays to its results, without a GPU."""

from typing import Any

import numpy as np
import pytest

from flowc.compiler.backends import cuda
from flowc.compiler.backends.cuda.emulated_device import EmulatedDevice, load_emulated
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.compiler.driver import Options, check_text, kernels_module
from flowc.runtime.device import chunks
from flowc.runtime.errors import FlowError

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")

PROGRAM = """
kernel softened(x: f32[n, m], y: f32[m]) -> f32[n, m]:
    return softmax(x + y, axis=1)

kernel centred(x: f32[n, m]) -> f32[n, m]:
    return x - mean(x, axis=0)

kernel picked(x: f32[n], i: i64) -> f32:
    return x[i] * 2.0
"""
X = np.random.default_rng(0).standard_normal((50, 20), dtype=np.float32)
Y = np.arange(20, dtype=np.float32) / 10


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, EmulatedDevice]:
    module = kernels_module(check_text(PROGRAM, "main.flow"), Options())
    return load_emulated(cuda.compile_kernels(module, cuda.Options(architectures=())).code)


def softened(x: Any, y: Any) -> Any:
    power = np.exp(x + y - (x + y).max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def test_kernels_give_on_the_device_what_numpy_gives(loaded: Any) -> None:
    kernels, device = loaded
    np.testing.assert_allclose(kernels["softened"](X, Y), softened(X, Y), rtol=1e-5)
    np.testing.assert_allclose(kernels["centred"](X), X - X.mean(axis=0), atol=1e-5)
    there = device.array(X)
    for view in (there, there.T, there[::2, ::-1]):
        wanted = np.asarray(view) - np.asarray(view).mean(axis=0)
        np.testing.assert_allclose(np.asarray(kernels["centred"](view)), wanted, atol=1e-5)
    for _ in range(6):
        np.testing.assert_allclose(np.asarray(kernels["softened"](there, Y)), softened(X, Y), rtol=1e-5)


def test_a_kernel_that_goes_by_rows_says_so_and_goes_by_pieces(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels, device = loaded
    assert kernels["softened"].signature.chunked == (0, None, 0)
    assert kernels["centred"].signature.chunked == ()
    monkeypatch.setattr(chunks, "OVERLAPPED", 100)
    monkeypatch.setattr(chunks, "PIECE", 1000)
    np.testing.assert_allclose(kernels["softened"](X, Y), softened(X, Y), rtol=1e-5)
    monkeypatch.setattr(chunks, "LOOKED_UP", 0)
    monkeypatch.setattr(device, "memory", device.held + 6000)
    np.testing.assert_allclose(kernels["softened"](X, Y), softened(X, Y), rtol=1e-5)
    with pytest.raises(FlowError, match="E0783"):
        kernels["centred"](X)


def test_what_a_kernel_checks_is_told_with_its_line(loaded: Any) -> None:
    kernels, _ = loaded
    assert kernels["picked"](Y, 3) == pytest.approx(0.6)
    with pytest.raises(FlowError) as error:
        kernels["picked"](Y, 20)
    assert (error.value.problem.code, error.value.problem.line) == ("E0751", 9)
