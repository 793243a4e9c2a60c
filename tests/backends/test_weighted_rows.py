"""Sums of rows that are each multiplied by a number, as where an image meets a filter: kept in registers."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.python.jit import Jit
from flowc.compiler.python.mode import Mode
from flowc.compiler.python.native import kernel_of
from flowc.passes.array_to_loops import weighted_rows
from flowc.runtime.kernels import load

pytestmark = pytest.mark.usefixtures("unoptimised")


def filtered(image, weights):
    height, width = image.shape[1] - weights.shape[0] + 1, image.shape[2] - weights.shape[1] + 1
    out = np.empty((image.shape[0], height, width, weights.shape[3]), dtype=image.dtype)
    for i in range(height):
        for j in range(width):
            seen = image[:, i : i + weights.shape[0], j : j + weights.shape[1], :, np.newaxis]
            out[:, i, j, :] = np.sum(seen * weights[np.newaxis], axis=(1, 2, 3))
    return out


def means(numbers, rows, count):
    out = np.empty((count, rows.shape[1]), dtype=rows.dtype)
    for i in range(count):
        out[i] = np.mean(rows * numbers[i : i + rows.shape[0], np.newaxis], axis=0)
    return out


def module_of(mode: Mode, *arguments: Any) -> ModuleOp:
    """The kernel that `filtered` is for such arguments."""
    compiled: Jit[..., Any] = Jit(filtered, mode)
    found = compiled.specialisation(arguments)
    module = kernel_of(compiled, compiled.names, found.types, mode)
    return ModuleOp([op.detach() or op for op in module.ops])


def drawn(*shape: int, dtype: type = np.float32) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


@pytest.mark.alike(3)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3, 16), (5, 1, 6), (1, 4, 1), (3, 17, 5), (2, 3, 70), (2, 3, 200)])
def test_an_image_meets_a_filter_as_in_numpy(shape: tuple[int, int, int], dtype: type) -> None:
    size, channels, kept = shape
    image, weights = drawn(3, 7, 8, channels, dtype=dtype), drawn(size, size, channels, kept, dtype=dtype)
    expected = filtered(image.astype(np.float64), weights.astype(np.float64))
    for seen in (image, np.asfortranarray(image), np.repeat(image, 2, axis=1)[:, ::-2][:, ::-1]):
        got = flowc.jit(filtered)(seen, weights)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-5)


def test_a_mean_of_weighted_rows_is_that_of_numpy_and_of_none_it_is_nan() -> None:
    compiled = flowc.jit(means)
    numbers = drawn(40, dtype=np.float64)
    for count in (1, 2, 9, 16, 17):
        rows = drawn(count, 5, dtype=np.float64)
        np.testing.assert_allclose(compiled(numbers, rows, 8), means(numbers, rows, 8), rtol=1e-12)
    assert np.isnan(compiled(numbers, rows[:0], 3)).all()


def test_long_sums_are_taken_in_parts_of_which_f64_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighted_rows, "BLOCK", 4)
    image, weights = np.ones((1, 6, 6, 3), np.float32), np.ones((6, 6, 3, 2), np.float32)
    weights[0, 0] = 2.0**25
    code = compile_kernels(module_of(Mode(), image, weights), Options(cached=False))
    (kernel,) = load(code.object_code, code.signatures).values()
    assert kernel(image, weights).item(0) == np.float32(3 * 2.0**25 + 35 * 3)
    assert np.float32(3 * 2.0**25 + 35 * 3) != np.float32(3 * 2.0**25)


@pytest.mark.parametrize(("mode", "wanted"), [(Mode(), True), (Mode(precise=True), False)])
def test_a_row_of_sums_is_a_vector_unless_an_order_is_asked_for(mode: Mode, wanted: bool) -> None:
    module = module_of(mode, drawn(3, 7, 8, 3), drawn(2, 2, 3, 16))
    text = compile_kernels(module, Options(listing=True, cached=False)).llvm_ir
    assert ("llvm.masked.load.v32f32" in text) == wanted  # two vectors, as wide as no loop of LLVM's own
