"""Sorting, grouping and random numbers as people write them: in kernels, in flows, and as plain Python."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from attrs import frozen

import flowc
from flowc.compiler.builtins import irregular
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import check_text, compile_text
from flowc.runtime.kernels import Kernel, load

pytestmark = pytest.mark.usefixtures("unoptimised")

X = np.array([3, -1, 2.5, 0, 3, -7, 1.5], np.float32)
ROWS = np.arange(14, dtype=np.float32).reshape(7, 2) % 5 - 2
KEYS = np.array([2, 0, 2, 1, 0, 2, 0], np.int32)


@frozen
class Case:
    """A kernel `(x: f32[n], y: f32[n, m], keys: i32[n], k: int) -> ...` and what it gives for k = 4."""

    text: str
    wanted: Callable[[], Any]


CASES = {
    "sort": Case("f32[n]: sort(x)", lambda: np.sort(X)),
    "argsort": Case("i64[n, m]: argsort(y, axis=0)", lambda: np.argsort(ROWS, 0, kind="stable")),
    "cumsum": Case("f32[n, m]: cumsum(y, axis=0)", lambda: np.cumsum(ROWS, 0)),
    "cumprod": Case("i64[n]: cumprod(keys)", lambda: np.cumprod(KEYS.astype(np.int64))),
    "cummin": Case("f32[n]: cummin(x)", lambda: np.minimum.accumulate(X)),
    "cummax": Case("f32[n]: x.cummax()", lambda: np.maximum.accumulate(X)),
    "searchsorted": Case(
        'i64[n]: searchsorted(sort(x), x, side="right")', lambda: np.searchsorted(np.sort(X), X, "right")
    ),
    "bincount": Case("i64[k]: bincount(keys, k)", lambda: np.bincount(KEYS, minlength=4)),
    "segment_sum": Case("f32[k, m]: segment_sum(y, keys, k)", lambda: flowc.segment_sum(ROWS, KEYS, 4)),
    "segment_mean": Case("f32[k, m]: segment_mean(y, keys, k)", lambda: flowc.segment_mean(ROWS, KEYS, 4)),
    "segment_prod": Case("f32[k]: segment_prod(x, keys, k)", lambda: flowc.segment_prod(X, KEYS, 4)),
    "segment_min": Case(
        "i32[k]: segment_min(keys * 2, keys, k)", lambda: flowc.segment_min(KEYS * 2, KEYS, 4)
    ),
    "segment_max": Case("f32[k]: segment_max(x, keys, k)", lambda: flowc.segment_max(X, KEYS, 4)),
    "histogram": Case("i64[5]: histogram(x, 5, -2.0, 3.0)", lambda: np.histogram(X, 5, (-2, 3))[0]),
    "take_along": Case("f32[n, m]: take_along(y, argsort(y, axis=0), axis=0)", lambda: np.sort(ROWS, 0)),
    "scatter": Case("f32[n]: scatter(x, keys, 9)", lambda: np.array([9, 9, 9, 0, 3, -7, 1.5], np.float32)),
    "scatter_add": Case(
        "f32[n, m]: scatter_add(y, keys, y)", lambda: ROWS + flowc.segment_sum(ROWS, KEYS, 7)
    ),
    "random_uniform": Case("f32[n, m]: random_uniform(k, y.shape)", lambda: flowc.random_uniform(4, (7, 2))),
    "random_normal": Case(
        'f64[n]: random_normal(k, x.shape, dtype="f64")', lambda: flowc.random_normal(4, 7, "f64")
    ),
    "dropout": Case("f32[n, m]: dropout(y, 0.25, k)", lambda: flowc.dropout(ROWS, 0.25, 4)),
    "categorical": Case("i64[n]: categorical(y, k)", lambda: flowc.categorical(ROWS, 4)),
}


@pytest.fixture(scope="module")
def kernels() -> Mapping[str, Kernel]:
    parts = []
    for name, case in CASES.items():
        result, body = case.text.split(": ")
        head = f"kernel k_{name}(x: f32[n], y: f32[n, m], keys: i32[n], k: int) -> {result}:"
        parts.append(f"{head}\n    return {body}")
    compiled = compile_text("\n\n".join(parts) + "\n", "kernels.flow", level=0)
    assert compiled.kernels is not None
    return load(compiled.kernels.object_code, compiled.kernels.signatures)


def test_every_irregular_builtin_has_a_case() -> None:
    assert {row.name for row in irregular.BUILTINS} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_gives_what_numpy_or_the_plain_function_gives(
    name: str, kernels: Mapping[str, Kernel]
) -> None:
    got, wanted = kernels[f"k_{name}"](X, ROWS, KEYS, 4), np.asarray(CASES[name].wanted())
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("bincount(x, 3)", "E0114"),
        ("segment_sum(x, y, 3)", "E0114"),
        ("segment_sum(y, argsort(y, axis=0), 3)", "E0203"),
        ("sort(3)", "E0203"),
        ("sort(x, axis=1)", "E0205"),
        ('searchsorted(x, x, side="middle")', "E0148"),
        ("searchsorted(y, x)", "E0203"),
        ("scatter(keys, keys, 0.5)", "E0105"),
        ("scatter(x, keys, y)", "E0201"),
        ("dropout(keys, 0.5, 1)", "E0105"),
        ("categorical(keys, 1)", "E0105"),
        ('random_uniform(1, [3], dtype="i32")', "E0148"),
        ("take_along(y, keys)", "E0203"),
        ("segment_sum(x, i32(iota(3)), 2)", "E0201"),
    ],
)
def test_what_fits_no_operator_is_refused_before_anything_runs(body: str, code: str) -> None:
    with pytest.raises(CompileError) as caught:
        check_text(
            f"kernel k(x: f32[n], y: f32[n, 2], keys: i32[n]) -> f32[n]:\n    return {body}\n", "k.flow"
        )
    assert code in {each.code for each in caught.value.diagnostics}


def test_bytes_and_short_integers_meet_as_in_numpy() -> None:
    text = """kernel k(a: u8[n], b: i8[n], c: i16[n]) -> i16[n]:
    return a + b * 2 - c

kernel d(a: u8[n]) -> u8[n]:
    return (a + 250) // 3
"""
    compiled = compile_text(text, "k.flow", level=0)
    assert compiled.kernels is not None
    loaded = load(compiled.kernels.object_code, compiled.kernels.signatures)
    a, b, c = (
        np.array([0, 200, 255], np.uint8),
        np.array([-5, 7, 1], np.int8),
        np.array([1, 300, -2], np.int16),
    )
    np.testing.assert_array_equal(loaded["k"](a, b, c), a + b * np.int8(2) - c)
    np.testing.assert_array_equal(loaded["d"](a), (a + np.uint8(250)) // np.uint8(3))
