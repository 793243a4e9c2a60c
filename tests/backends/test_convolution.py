"""Convolution, compiled, against one product for each position in the filter."""

from functools import cache
from typing import Any

import pytest

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import products_build
from flowc.dialects.array.products_reference import convolve
from flowc.dialects.array.types import ShapeError, array_type
from flowc.runtime.kernels import Kernel, load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import array_of, as_module, make_kernel

pytestmark = pytest.mark.usefixtures("unoptimised")

SHAPES = [
    ((2, 9, 11, 3), (3, 3, 3, 5)),
    ((1, 5, 5, 1), (5, 5, 1, 70)),
    ((3, 8, 7, 40), (1, 1, 40, 16)),
    ((1, 4, 4, 300), (3, 2, 300, 3)),
    ((0, 4, 4, 2), (2, 2, 2, 2)),
    ((1, 2, 2, 2), (5, 5, 2, 3)),
]


@cache
def compiled(dtype: str, stride: tuple[int, int], padding: tuple[int, int, int, int]) -> Kernel:
    types = {"x": array_type(dtype, ("n", "h", "w", "c")), "w": array_type(dtype, ("a", "b", "c", "o"))}
    kernel = make_kernel(types, lambda add, x, w: add(products_build.convolve(x, w, stride, padding)))
    code = compile_kernels(as_module(kernel), Options(cached=False))
    return load(code.object_code, code.signatures)["k"]


@pytest.mark.alike(2)
@pytest.mark.parametrize(
    ("stride", "padding"),
    [((1, 1), (0, 0, 0, 0)), ((2, 1), (1, 0, 2, 1)), ((2, 3), (1, 1, 1, 1)), ((1, 1), (2, 2, 2, 2))],
)
def test_a_convolution_sums_the_products_in_each_window(stride: Any, padding: Any) -> None:
    native = compiled("f32", stride, padding)
    for image, filters in SHAPES:
        x, w = array_of("f32", image, 1), array_of("f32", filters, 2)
        assert_close(native(x, w), convolve(x, w, stride, padding), "f32")


@pytest.mark.parametrize("dtype", ["f64", "f16", "i32"])
def test_a_convolution_has_every_kind_of_dtype(dtype: str) -> None:
    x, w = array_of(dtype, (2, 6, 7, 5), 1), array_of(dtype, (3, 2, 5, 9), 2)
    wanted = convolve(x, w, (1, 1), (1, 1, 1, 1))
    assert_close(compiled(dtype, (1, 1), (1, 1, 1, 1))(x, w), wanted, dtype)


def test_images_and_filters_of_different_channels_are_refused() -> None:
    types = {"x": array_type("f32", (1, 4, 4, 3)), "w": array_type("f32", (1, 1, 2, 1))}
    with pytest.raises(ShapeError, match="3 channels meet filters of 2"):
        make_kernel(types, lambda add, x, w: add(products_build.convolve(x, w)))


@flowc.jit
def _same(x: Any, w: Any) -> Any:
    return flowc.conv2d(x, w, stride=(1, 2), padding=1)


def test_a_compiled_function_convolves_as_the_plain_one_does() -> None:
    x, w = array_of("f32", (2, 5, 7, 3), 1), array_of("f32", (3, 3, 3, 4), 2)
    assert_close(_same(x, w), flowc.conv2d(x, w, stride=(1, 2), padding=1), "f32")
    assert flowc.conv2d(x, w, padding="same").shape == (2, 5, 7, 4)
