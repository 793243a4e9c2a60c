"""Many rows of a few elements, such as points and colours: their code is their own, and has vectors."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.python import specialise
from flowc.compiler.python.native import kernel_of
from flowc.passes.array_to_loops import builder


def moved(x, by):
    return (x.astype(np.float32) / 255 - by) * by


def lengths(x):
    return np.sqrt(((x - 1) ** 2).sum(axis=-1))


def channels(x):
    return x[..., 0] * 2 + x[..., 1] - x[..., -1]


def numbers(*shape: int) -> Any:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) % 251


def test_many_rows_of_few_elements_have_code_of_their_own() -> None:
    function = flowc.jit(lengths)
    function(numbers(1000, 5))
    function(numbers(2000, 7))
    function(numbers(10, 3))
    assert len(function.specialisations) == 1
    function(numbers(1000, 3))
    assert len(function.specialisations) == 2
    function(numbers(500, 3))
    assert len(function.specialisations) == 2
    assert "rows of 4 elements in `x`" in function.explain(numbers(500, 4))


def test_code_for_rows_of_any_length_after_that_for_few_is_explained() -> None:
    function = flowc.jit(lengths)
    function(numbers(1000, 3))
    assert "rows of any length in `x`" in function.explain(numbers(1000, 5))


def test_code_is_made_for_as_few_columns_as_the_lowering_takes_apart() -> None:
    assert specialise.FEW_COLUMNS == builder.FEW


@pytest.mark.parametrize("columns", [2, 3, 4, 5])
@pytest.mark.parametrize("rows", [(1,), (257,), (511,), (512,), (513,), (1600,), (3, 600), (2, 3, 1025)])
def test_whatever_the_number_of_rows_the_numbers_are_numpys(columns: int, rows: tuple[int, ...]) -> None:
    x, by = numbers(*rows, columns), numbers(columns) + 1
    for view in (x, x[..., ::-1], x[::-1], x.astype(np.uint8)):
        np.testing.assert_allclose(flowc.jit(moved)(view, by), moved(view, by), rtol=1e-5)
        np.testing.assert_allclose(flowc.jit(channels)(view), channels(view), rtol=1e-5)
        np.testing.assert_allclose(flowc.jit(lengths)(view), lengths(view), rtol=1e-5)


@pytest.mark.parametrize("function", [moved, channels])
def test_vectors_are_made_of_several_rows(function: Any) -> None:
    compiled, x = flowc.jit(function), numbers(2000, 3).astype(np.uint8 if function is moved else np.float32)
    found = compiled.specialisation((x, numbers(3)) if function is moved else (x,))
    module = kernel_of(compiled, compiled.names, found.types, compiled.options)
    kernels = ModuleOp([op.detach() or op for op in module.ops])
    text = compile_kernels(kernels, Options(listing=True)).llvm_ir
    assert "x float>" in text
    assert "shufflevector" in text
    assert "@llvm.masked.gather" not in text
