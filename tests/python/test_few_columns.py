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
from flowc.runtime import processor

pytestmark = pytest.mark.usefixtures("unoptimised")


def moved(x, by):
    return (x.astype(np.float32) / 255 - by) * by


def lengths(x):
    return np.sqrt(((x - 1) ** 2).sum(axis=-1))


def softmax(x):
    power = np.exp(x - x.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def products(x):
    return x.prod(axis=1)


def first(x):
    return x.argmax(axis=-1), (x > 100).any(axis=-1), (x > 100).sum(axis=-1)


def channels(x):
    return x[..., 0] * 2 + x[..., 1] - x[..., -1]


def layer_norm(x):
    mean = x.mean(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + 1e-5)


def turned(x, matrix):
    return x @ matrix


WIDE = processor.portable().get("avx512")


def numbers(*shape: int) -> Any:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) % 251


def test_many_rows_of_few_elements_have_code_of_their_own() -> None:
    function = flowc.jit(lengths)
    function(numbers(400, 33))
    function(numbers(2000, 70))
    function(numbers(10, 3))
    assert len(function.specialisations) == 1
    function(numbers(1000, 3))
    assert len(function.specialisations) == 2
    function(numbers(500, 3))
    assert len(function.specialisations) == 2
    assert "rows of 4 elements in `x`" in function.explain(numbers(500, 4))


def test_longer_rows_have_code_of_their_own_where_they_are_very_many() -> None:
    function = flowc.jit(lengths)
    for rows, columns in ((300, 40), (300, 50), (1000, 65), (1000, 70)):
        function(numbers(rows, columns))
    assert len(function.specialisations) == 1
    function(numbers(1000, 40))
    function(numbers(1000, 64))
    assert len(function.specialisations) == 3


def test_a_narrow_matrix_that_short_rows_meet_is_part_of_their_code() -> None:
    function = flowc.jit(turned)
    for rows, by in ((1000, 2), (600, 2), (1000, 4)):
        x, matrix = numbers(rows, 3), numbers(3, by)
        np.testing.assert_allclose(function(x, matrix), turned(x, matrix), rtol=1e-5)
    assert len(function.specialisations) == 2
    function(numbers(10, 3), numbers(3, 4))
    function(numbers(12, 5), numbers(5, 9))
    assert len(function.specialisations) == 3


def test_code_for_rows_of_any_length_after_that_for_few_is_explained() -> None:
    function = flowc.jit(lengths)
    function(numbers(1000, 3))
    assert "rows of any length in `x`" in function.explain(numbers(1000, 70))


def test_code_is_made_for_all_the_columns_that_the_lowering_takes_apart() -> None:
    assert specialise.FEW_COLUMNS >= builder.FEW


@pytest.mark.parametrize("option", ["precise", "reproducible"])
@pytest.mark.parametrize("columns", [5, 8, 20])
def test_the_order_in_a_row_does_not_depend_on_how_many_rows_there_are(columns: int, option: str) -> None:
    x = np.random.default_rng(columns).standard_normal((1024, columns), dtype=np.float32)
    for function in (softmax, products):
        compiled: Any = flowc.jit(precise=option == "precise", reproducible=option != "precise")(function)
        np.testing.assert_array_equal(compiled(x)[:5], compiled(x[:5]))
        assert len(compiled.specialisations) == 2


@pytest.mark.alike(4)
@pytest.mark.parametrize("columns", [2, 3, 8, 9])
@pytest.mark.parametrize("rows", [(1,), (257,), (512,), (513,), (1600,), (2, 3, 1025)])
def test_whatever_the_number_of_rows_the_numbers_are_numpys(columns: int, rows: tuple[int, ...]) -> None:
    x, by = numbers(*rows, columns), numbers(columns) + 1
    for view in (x, x[..., ::-1], x[::-1], x.astype(np.uint8)):
        np.testing.assert_allclose(flowc.jit(moved)(view, by), moved(view, by), rtol=1e-5)
        np.testing.assert_allclose(flowc.jit(channels)(view), channels(view), rtol=1e-5)
        np.testing.assert_allclose(flowc.jit(lengths)(view), lengths(view), rtol=1e-5)
        for own, numpys in zip(flowc.jit(first)(view), first(view), strict=True):
            np.testing.assert_array_equal(own, numpys, strict=True)


@pytest.mark.alike(3)
@pytest.mark.parametrize("columns", [15, 17, 31, 40])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_rows_that_end_within_a_vector_are_those_of_numpy(columns: int, dtype: str) -> None:
    x = numbers(1093, columns).astype(dtype)
    x[5, columns - 1], x[6, 0] = 255, 0
    for view in (x, x[:, ::-1]):
        np.testing.assert_allclose(flowc.jit(lengths)(view), lengths(view), rtol=1e-5)
        for own, numpys in zip(flowc.jit(first)(view), first(view), strict=True):
            np.testing.assert_array_equal(own, numpys, strict=True)
    if dtype != "u1":
        np.testing.assert_allclose(flowc.jit(softmax)(x), softmax(x), rtol=2e-5, atol=1e-30)


def listing_of(function: Any, *arguments: Any) -> str:
    """The IR of a function for a machine with masks, once it is optimised."""
    compiled = flowc.jit(function)
    found = compiled.specialisation(arguments)
    module = kernel_of(compiled, compiled.names, found.types, compiled.options)
    kernels = ModuleOp([op.detach() or op for op in module.ops])
    return compile_kernels(kernels, Options(listing=True, target=WIDE)).llvm_ir


@pytest.mark.skipif(WIDE is None, reason="no other machines have such masks")
@pytest.mark.parametrize("columns", [20, 31, 60])
def test_a_row_that_ends_within_a_vector_ends_with_a_mask(columns: int) -> None:
    text = listing_of(softmax, numbers(1000, columns))
    assert "@llvm.masked.load.v16f32" in text
    assert " x float> @llvm.masked.load.v4f32" not in text


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


def test_what_is_computed_of_each_row_first_is_vectors_of_several_rows() -> None:
    x = numbers(2000, 3)
    assert "@llvm.sqrt.v" in listing_of(layer_norm, x)
    np.testing.assert_allclose(flowc.jit(layer_norm)(x), layer_norm(x), rtol=1e-4, atol=1e-5)
