"""Each function of the table gives what NumPy gives: values, shape and dtype."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.python import functions as own
from flowc.compiler.python.numeric.functions import entries

A = np.array([[3.0, -1.0, 2.0, 7.0], [0.5, 4.0, -2.0, 1.0], [6.0, 5.5, 0.0, -3.0]])
B = np.array([[1.0, 2.0, -1.0, 0.5], [2.0, -2.0, 3.0, 1.0], [0.25, 1.0, 5.0, 2.0]])
V = np.array([0.5, -0.25, 0.75, 0.1])
K = np.array([5, 3, 8, 1], np.int32)
L = np.array([1, 2, 3, 4], np.int32)
F = A.astype(np.float32)


def shape_functions(a, b, v):
    return (
        np.reshape(a, (4, 3)),
        a.reshape(2, 6),
        a.T,
        np.swapaxes(a, 0, 1),
        np.moveaxis(a, 0, -1),
        np.expand_dims(v, 0),
        np.squeeze(a[:, :1], 1),
        np.broadcast_to(v, (3, 4)),
        np.concatenate((a, b)),
        np.concatenate([a, b], axis=1),
        np.stack((a, b)),
        np.stack((a, b), axis=2),
        np.hstack((v, v)),
        np.hstack((a, b)),
        np.vstack((a, v)),
        np.column_stack((v, v)),
        np.flip(a),
        np.flip(a, 1),
        np.flipud(a),
        np.fliplr(a),
        np.roll(v, 1),
        np.roll(a, -2, axis=1),
        np.repeat(v, 2),
        np.repeat(a, 3, axis=0),
        np.tile(v, 3),
        np.tile(a, (2, 1)),
        np.triu(a),
        np.tril(a, -1),
        np.diag(v),
        a.flatten(),
        a.ravel(),
        np.pad(v, 1),
        np.pad(a, ((1, 0), (0, 2)), constant_values=9.0),
        np.atleast_1d(v),
        a.swapaxes(1, 0),
    )


def creation_functions(a, n):
    return (
        np.zeros(n),
        np.ones((2, n)),
        np.full((n,), 7),
        np.full(n, 0.5, np.float32),
        np.zeros_like(a),
        np.ones_like(a, dtype=np.int64),
        np.full_like(a, 2),
        np.arange(n),
        np.arange(1, n),
        np.arange(2, 9, 3),
        np.arange(9, 2, -3),
        np.arange(0.0, 1.0, 0.25),
        np.linspace(0, 1, n),
        np.eye(n),
        np.eye(2, 3, 1),
        np.identity(3, np.float32),
        np.array([1, 2, 3]),
        np.array([[1.0, a[0, 0]], [2, 3]]),
        np.copy(a),
        np.asarray(a),
        np.array(a, np.float32),
    )


def reductions_of(a, f, v):
    return (
        a.sum(),
        np.sum(a, axis=0),
        np.sum(a, axis=(0, 1)),
        a.sum(axis=-1, keepdims=True),
        np.sum(a, dtype=np.float32),
        np.prod(v),
        a.mean(),
        np.mean(f),
        np.mean(a, axis=1),
        a.var(),
        np.std(a, axis=0),
        np.var(a, ddof=1),
        a.min(),
        np.max(a, axis=1),
        np.amax(a),
        np.argmax(a),
        np.argmin(a, axis=0),
        np.any(a > 5),
        np.all(a > -9, axis=1),
        np.cumsum(a),
        np.cumsum(a, axis=1),
        np.cumprod(v),
        np.ptp(a),
        np.count_nonzero(a > 0),
        np.average(v),
        np.average(a, axis=1, weights=v),
        np.nansum(a),
        np.nanmean(a, axis=0),
        np.nanmax(a),
        np.nanmin(a),
        np.diff(v),
        np.diff(a, axis=0),
        np.maximum.accumulate(v),
        np.minimum.accumulate(v),
        np.cov(a),
        np.add.reduce(v),
        np.linalg.norm(v),
        np.linalg.norm(a),
        np.linalg.norm(a, axis=1),
        np.linalg.norm(v, 1),
    )


def products_of(a, b, v):
    return (
        a @ b.T,
        np.dot(a, v),
        np.matmul(b, v),
        np.outer(v, v),
        np.inner(v, v),
        np.vdot(v, v),
        np.vdot(a, a + 1),
        np.inner(a, b),
        np.dot(2.0, v),
        np.einsum("ij,kj->ik", a, b),
        np.einsum("ij,ij->i", a, b),
        np.einsum("ij->ji", a),
        np.einsum("ij->", a),
        np.einsum("i,j->ij", v, v),
        np.einsum("ij,j->i", a, v),
        np.tensordot(a, b, axes=([1], [1])),
        np.tensordot(a, v, 1),
        np.add.outer(v, v),
        np.multiply.outer(a, v),
        np.subtract.outer(v, v),
        np.trace(a @ b.T),
        np.cross(a[:, :3], b[:, :3]),
        np.diag(a @ b.T),
    )


def positions_of(a, v, k):
    return (
        np.sort(v),
        np.sort(a, axis=0),
        np.argsort(v),
        np.argsort(a, axis=1),
        np.searchsorted(np.sort(v), v),
        np.take(a, k % 3, axis=0),
        np.take_along_axis(a, np.argsort(a, axis=1), axis=1),
        np.histogram(a, 4)[0],
        np.histogram(v, 3, range=(0.0, 1.0)),
        np.bincount(k, minlength=9),
        np.bincount(k, weights=v, minlength=9),
        v[np.argsort(v)],
    )


def elements_of(v):
    u = np.abs(v)
    return (
        np.sqrt(u),
        np.exp(v),
        np.exp2(v),
        np.expm1(v),
        np.log(u),
        np.log2(u),
        np.log10(u),
        np.log1p(u),
        np.sin(v),
        np.cos(v),
        np.tan(v),
        np.arcsin(v),
        np.arccos(v),
        np.arctan(v),
        np.arctan2(v, u),
        np.hypot(v, u),
        np.sinh(v),
        np.cosh(v),
        np.tanh(v),
        np.logaddexp(v, u),
        np.deg2rad(v),
        np.degrees(v),
        np.reciprocal(u),
        np.power(u, 1.5),
        2.0**v,
    )


def operators_of(a):
    return (
        np.floor(a),
        np.ceil(a),
        np.rint(a),
        np.sign(a),
        np.square(a),
        np.isnan(a),
        np.isfinite(a),
        np.isinf(a),
        np.clip(a, -1, 2),
        a.clip(0, 1),
        np.maximum(a, 1),
        np.fmin is None,
        np.where(a > 0, a, -a),
        np.round(a * 1.26, 1),
        np.logical_and(a > 0, a < 3),
        np.logical_or(a > 5, a < 0),
        np.logical_not(a > 0),
        np.logical_xor(a > 0, a > 1),
        np.mod(a, 2),
        np.floor_divide(a, 2),
        np.negative(a),
        np.nan_to_num(a),
        a**2,
        a % 3,
        a // 2,
        -a,
        abs(a),
        +a,
        a > 1,
        (a > 0) & (a < 3),
        (a > 0) | (a < -2),
        ~(a > 0),
        np.not_equal(a, 1.0),
    )


def whole_numbers(k, m):
    return (
        k + m,
        k - m,
        k * m,
        k / m,
        k // m,
        k % m,
        k & m,
        k | m,
        k ^ m,
        ~k,
        k << 1,
        k >> 1,
        -k,
        abs(k),
        k**2,
        k + 1.5,
        k > 3,
        np.maximum(k, m),
        k.sum(),
        k.mean(),
        np.prod(k),
        k.astype(np.float32),
        k.astype(np.int8),
        np.bitwise_and(k, 3),
        np.left_shift(k, m),
        k * np.float32(2),
        k + True,
        np.sqrt(k),
    )


def python_functions(x, n):
    return (
        len(x),
        min(x[0], x[1]),
        max(n, 2, 7),
        abs(-n),
        sum((1, 2, n)),
        round(2.5),
        int(x[0] * 3),
        float(n),
        bool(n),
        divmod(n, 3),
        pow(n, 2),
        math.sqrt(n),
        math.pi,
        math.floor(x[0]),
        math.ceil(x[1]),
        math.log(n, 2),
        math.hypot(n, 4),
        x.shape,
        x.size,
        x.ndim,
        n // 2,
        n % 3,
        n / 2,
        n**2,
        n << 2,
        -n,
        not n,
        n == 4 and n > 3,
        n if n > 9 else -n,
        tuple(range(3)),
        [i * n for i in range(3)],
        max((n, 3)),
        3 in (1, 2, 3),
        x.T.shape,
    )


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (shape_functions, (A, B, V)),
        (creation_functions, (A, 5)),
        (reductions_of, (A, F, V)),
        (products_of, (A, B, V)),
        (positions_of, (A, V, K)),
        (elements_of, (V,)),
        (elements_of, (V.astype(np.float32),)),
        (operators_of, (A,)),
        (operators_of, (F,)),
        (whole_numbers, (K, L)),
        (python_functions, (V, 4)),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_functions_give_what_numpy_gives(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with np.errstate(all="ignore"):
        expected = function(*arguments)
    found = flowc.jit(function)(*arguments)
    assert len(found) == len(expected)
    for number, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        same(mine, theirs, f"{function.__name__}[{number}]")


def same(found: Any, expected: Any, name: str) -> None:
    if isinstance(expected, tuple | list):
        for mine, theirs in zip(found, expected, strict=True):
            same(mine, theirs, name)
        return
    mine, theirs = np.asarray(found), np.asarray(expected)
    assert mine.shape == theirs.shape, name
    assert mine.dtype == theirs.dtype, f"{name}: {mine.dtype} is not {theirs.dtype}"
    assert isinstance(found, np.ndarray | np.generic) == isinstance(expected, np.ndarray | np.generic), name
    single = np.float32 in (mine.dtype, theirs.dtype)
    np.testing.assert_allclose(
        mine, theirs, rtol=2e-5 if single else 1e-9, atol=1e-6 if single else 1e-12, err_msg=name
    )


def test_every_entry_of_the_table_says_what_it_does() -> None:
    assert len(entries()) > 200
    assert all(implementation.__doc__ for implementation in entries().values())


def test_our_own_functions_are_compiled_too() -> None:
    @flowc.jit
    def both(x):  # type: ignore[no-untyped-def]
        best = own.topk(x, 2)
        return best.values, best.indices, own.softmax(x), own.sigmoid(x)

    values, positions, shares, squashed = both(V)
    np.testing.assert_array_equal(positions, [2, 0])
    np.testing.assert_allclose(values, [0.75, 0.5])
    np.testing.assert_allclose(shares, own.softmax(V))
    np.testing.assert_allclose(squashed, own.sigmoid(V))
