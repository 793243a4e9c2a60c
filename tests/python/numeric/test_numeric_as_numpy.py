"""Dtypes, values and shared memory that are easily other than NumPy's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc

X = np.arange(12.0).reshape(3, 4)
SMALL = np.array([0, 1, 100, 127])


def compared(x: Any, k: Any) -> Any:
    return x > k, x < k, x == k, x != k, k <= x, x == 300, x > -1


def powers(x: Any) -> Any:
    return x**2, x**x


def power(x: Any, n: Any) -> Any:
    return x**n


def rounded(x: Any) -> Any:
    return np.round(x, 1), np.round(x, -1), np.rint(x)


def summed_axes(x: Any) -> Any:
    return np.einsum("ij->j", x), np.einsum("ij,ij->i", x, x)


def triangles(x: Any) -> Any:
    return np.triu(x), np.tril(x), np.diag(x[0])


def extremes(x: Any) -> Any:
    return np.nanmax(x, axis=1), np.nanmin(x, axis=0), np.nanmax(x)


def fortran(x: Any) -> Any:
    return x.reshape(4, 3, order="F"), x.ravel("F"), x.flatten(order="F"), np.reshape(x, (-1, 2), order="F")


def same_array(x: Any) -> Any:
    y = np.asarray(x)
    y[0] = 3
    return y.sum()


def fresh_reshape(x: Any) -> Any:
    y = np.zeros(12).reshape(3, 4)
    y[0] = x[0]
    y += 1
    z = x.copy()
    z = z.reshape(4, 3)
    z[0] = 7
    return y, z


def flat_copy(x: Any) -> Any:
    y = x.copy()
    flat = y.flatten()
    flat[0] = 99
    y[1] = 4
    return y, flat


def flat_view(x: Any) -> Any:
    y = x.copy()
    flat = y.reshape(-1)
    flat[0] = 99
    return y


def view_of_argument(x: Any) -> Any:
    flat = x.reshape(-1)
    flat += 1
    return flat


def behind_a_view(x: Any) -> Any:
    y = x.copy()
    flat = y.ravel()
    y[0] = 7
    return flat


def _changes(z: Any) -> Any:
    flat = z.reshape(-1)
    flat[0] = 1
    return flat.sum()


def through_a_call(x: Any) -> Any:
    y = x.copy()
    total = _changes(y)
    return total, y


def no_number(x: Any) -> Any:
    x[0] = np.nan
    return x


def agree(got: Any, wanted: Any) -> None:
    pairs = zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]
    for first, second in pairs:
        assert np.asarray(first).dtype == np.asarray(second).dtype
        assert np.array_equal(first, second, equal_nan=np.asarray(second).dtype.kind == "f")


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4"])
@pytest.mark.parametrize("k", [100, 300, -1, -200, 10**6, 10**12])
def test_numbers_outside_of_a_dtype_compare_by_value(dtype: str, k: int) -> None:
    x = SMALL.astype(dtype)
    agree(flowc.jit(compared)(x, k), compared(x, k))


def test_powers_of_bools_are_i8() -> None:
    x = np.array([True, False])
    agree(flowc.jit(powers)(x), powers(x))


def test_negative_powers_of_pythons_whole_numbers_are_floats() -> None:
    compiled = flowc.jit(power)
    for x, n in ((2, -1), (2, 3), (-3, -2), (2.0, -1)):
        assert compiled(x, n) == power(x, n)
        assert type(compiled(x, n)) is type(power(x, n))


def test_negative_powers_of_whole_numbers_in_arrays_are_refused() -> None:
    compiled = flowc.jit(power)
    agree(compiled(np.arange(4), 2), power(np.arange(4), 2))
    with pytest.raises(flowc.CompileError, match="no negative powers"):
        compiled(np.arange(1, 4), -1)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_rounding_keeps_whole_numbers_whole(dtype: str) -> None:
    x = np.array([15, 25, 35, 4], dtype)
    agree(flowc.jit(rounded)(x), rounded(x))


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_einsum_sums_in_the_dtype_of_its_operands(dtype: str) -> None:
    x = np.arange(12, dtype=dtype).reshape(3, 4) * 11
    agree(flowc.jit(summed_axes)(x), summed_axes(x))


@pytest.mark.parametrize("dtype", ["?", "i1", "f4"])
def test_triangles_and_diagonals_keep_their_dtype(dtype: str) -> None:
    x = np.ones((3, 3), dtype)
    agree(flowc.jit(triangles)(x), triangles(x))


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_the_extreme_of_nothing_but_nan_is_nan() -> None:
    x = np.array([[1.0, np.nan, -np.inf], [np.nan, np.nan, np.nan]])
    agree(flowc.jit(extremes)(x), extremes(x))


@pytest.mark.parametrize("function", [fortran, fresh_reshape, flat_copy])
def test_reshapes_and_their_copies_are_those_of_numpy(function: Callable[..., Any]) -> None:
    agree(flowc.jit(function)(X.copy()), function(X.copy()))


def test_asarray_of_an_array_is_the_array() -> None:
    x = np.arange(3.0)
    assert flowc.jit(same_array)(x) == 6.0
    assert x[0] == 3.0


@pytest.mark.parametrize("function", [flat_view, view_of_argument, behind_a_view, through_a_call])
def test_a_change_that_a_reshaped_view_would_show_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(flowc.CompileError, match="seen through another array"):
        flowc.jit(function)(X.copy())


def test_nan_has_no_place_among_whole_numbers() -> None:
    with pytest.raises(flowc.CompileError, match="no whole number"):
        flowc.jit(no_number)(np.zeros(3, np.int64))


async def later(x: Any) -> Any:
    return x


def test_asynchronous_functions_are_refused() -> None:
    with pytest.raises(flowc.CompileError, match="asynchronous"):
        flowc.jit(later)(X)
