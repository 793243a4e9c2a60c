"""`@jit` gives what NumPy gives, for every dtype, rank and layout, and says what it cannot compile."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import flowc
from flowc.compiler.diagnostics.model import CompileError


@flowc.jit
def polynomial(x, y):
    return 2 * x**2 - x * y / 3 + 1


@flowc.jit
def in_steps(x, step):
    return x[::step]


@flowc.jit
def gelu(x):
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(inner))


@flowc.jit
def weak_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + HALF * x**3)))


@flowc.jit
def normalised(x):
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=1)[:, None] + 1e-5)


@flowc.jit
def distances(a, b):
    return np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2))


@flowc.jit
def clipped(x, low, high):
    return np.where(x < low, low, np.minimum(x, high))


@flowc.jit
def product(a, b):
    return a @ b.T


@flowc.jit
def columns(x, axis):
    return x.sum(axis=axis)


@flowc.jit
def part(x, start):
    return x[start:, ::2].astype(np.float64)


@flowc.jit
def total(x):
    return sum(x)


@flowc.jit
def from_first(x):
    return (x - x[:, :1]) / x[-1:]


@flowc.jit
def attention(q, k, v):
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights @ np.transpose(v, (0, 1, 2))


@flowc.jit
def one_hot(x):
    return (x[:, None] == np.arange(10)).astype(np.float32)


@flowc.jit
def squashed(x):
    return np.clip(x, -1, 1)


@flowc.jit
def odd_ones(x, y):
    return (x > 0) ^ (y > 0)


@flowc.jit
def picked(x, i):
    return x[:, i]


@flowc.jit
def best_of(x):
    return max(x[0], x[1], 0)


HALF = np.float32(0.5)
FLOATS = hnp.floating_dtypes(sizes=(32, 64), endianness="=")
VALUES = st.floats(-100, 100, width=32)


def same(function: Any, *arguments: Any, tolerance: float = 1e-5) -> None:
    expected = function.function(*arguments)
    found = function(*arguments)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=25, deadline=None)
@given(st.data(), FLOATS)
def test_elementwise_code_broadcasts_as_numpy_does(data: st.DataObject, dtype: Any) -> None:
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=3, max_side=4))
    x, y = (data.draw(hnp.arrays(dtype, shape, elements=VALUES)) for shape in shapes.input_shapes)
    same(polynomial, x, y, tolerance=1e-4)


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0,), (1,), (1000,), (3, 5)])
def test_transcendental_functions_equal_numpy(dtype: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    same(gelu, x)
    same(weak_gelu, x)


def test_reductions_and_new_axes_equal_numpy() -> None:
    random = np.random.default_rng(0)
    same(normalised, random.standard_normal((4, 7)).astype(np.float32))
    same(distances, random.standard_normal((4, 3)), random.standard_normal((5, 3)))
    same(total, random.standard_normal((4, 3)))
    same(total, random.standard_normal(4))


def test_transposed_and_sliced_arrays_need_no_copy() -> None:
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    same(polynomial, x.T, x.T)
    same(product, x[::2, 1:4], x[::-1, 3:])
    same(gelu, x[:, ::-2])


def test_numbers_are_weak_beside_arrays() -> None:
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    same(clipped, x, -1.0, 1)
    same(clipped, np.arange(5), 1, 3)


def test_axes_and_bounds_are_part_of_the_code() -> None:
    x = np.arange(12.0).reshape(3, 4)
    same(columns, x, 0)
    same(columns, x, 1)
    same(part, x, 1)
    same(part, x, 2)


def test_code_is_made_once_for_equal_types() -> None:
    function = flowc.jit(gelu.function)
    for size in (2, 3, 5, 8):
        function(np.ones(size, np.float32))
    assert len(function.specialisations) == 1
    function(np.ones(3, np.float64))
    assert len(function.specialisations) == 2


def test_keyword_arguments_are_bound_by_name() -> None:
    x = np.linspace(-2, 2, 9)
    np.testing.assert_array_equal(clipped(x, high=1.0, low=-1.0), clipped(x, -1.0, 1.0))


def test_what_cannot_be_compiled_is_said_with_what_to_write() -> None:
    @flowc.jit
    def drawn(x):  # type: ignore[no-untyped-def]
        return x + np.random.normal()

    assert "E0094" in drawn.check(np.ones(3))
    with pytest.raises(CompileError) as caught:
        drawn(np.ones(3))
    assert "make random arrays outside" in "".join(caught.value.__notes__)


def test_arguments_of_other_types_are_refused() -> None:
    with pytest.raises(flowc.FlowError, match="complex64"):
        gelu(np.ones(3, np.complex64))
    with pytest.raises(flowc.FlowError, match="list"):
        gelu([1.0, 2.0])
    with pytest.raises(flowc.FlowError, match="MaskedArray"):  # its mask would be lost
        gelu(np.ma.masked_array([1.0, 2.0], mask=[True, False]))


@pytest.mark.parametrize("step", [3, -3, 2**61 + 1, 2**63 - 1, -(2**63) + 1, -(2**63)])
def test_a_step_may_be_longer_than_any_axis(step: int) -> None:
    x = np.arange(10.0)
    np.testing.assert_array_equal(in_steps(x, step), x[::step])


def test_an_axis_that_a_slice_leaves_one_long_stretches_as_in_numpy() -> None:
    for shape in [(4, 5), (4, 1), (1, 5)]:
        same(from_first, np.arange(1, 1 + math.prod(shape), dtype=np.float32).reshape(shape))


def test_the_square_root_of_an_extent_is_an_f64_as_in_numpy() -> None:
    rng = np.random.default_rng(0)
    same(attention, *(rng.random(shape, np.float32) for shape in [(2, 4, 5), (2, 6, 5), (2, 6, 3)]))


def test_numpys_calls_on_whole_arrays_have_numpys_meaning() -> None:
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    same(one_hot, np.array([0, 3, 9, 12]))
    same(squashed, x)
    same(odd_ones, x, x[0])
    same(picked, x, np.array([0, -1, 2, 2]))
    assert best_of(x[2]) == max(x[2, 0], x[2, 1], 0)
    assert best_of(x[2]).dtype == np.float32


def test_a_negative_power_of_whole_numbers_is_refused_as_numpy_refuses_it() -> None:
    @flowc.jit
    def inverse(x):
        return x**-1

    with pytest.raises(CompileError) as error:
        inverse(np.arange(3))
    assert error.value.diagnostics[0].code == "E0149"


def test_an_argument_that_the_function_changes_is_changed_and_returned_itself() -> None:
    @flowc.jit
    def shift(x):  # type: ignore[no-untyped-def]
        x += 1.0
        return x

    x = np.ones(3)
    assert shift(x) is x
    np.testing.assert_array_equal(x, 2.0)
