"""Reductions over pairs of rows: in which form they are computed, and how exactly."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.backends.llvm.target import Target
from flowc.compiler.python.native import kernel_of
from flowc.passes.array_to_loops import beside
from flowc.runtime import processor
from flowc.runtime.kernels import load

pytestmark = pytest.mark.usefixtures("unoptimised")

Function = Callable[..., Any]


def euclidean(x: Any, y: Any) -> Any:
    return np.sqrt(np.sum((x[:, np.newaxis, :] - y[np.newaxis, :, :]) ** 2, axis=2))


def furthest(x: Any, y: Any) -> Any:
    return np.max(np.abs(y - x[:, np.newaxis]), axis=-1, keepdims=True)


def own(x: Any, y: Any) -> Any:
    """Distances among the rows of one array, and of another."""
    return np.sum(np.abs(x[:, np.newaxis] - x), axis=2), np.sum(
        np.abs(y[:, np.newaxis] * y), axis=2, keepdims=True
    )


def nearest(x: Any, y: Any) -> Any:
    return np.argmin(np.sum((x[:, np.newaxis] - y) ** 2, axis=2), axis=1)


def similar(x: Any, y: Any) -> Any:
    """A sum over pairs of what was found for each."""
    return np.sum(np.exp(-np.sum((x[:, np.newaxis] - y) ** 2, axis=2)), axis=1)


def stacks(x: Any, y: Any) -> Any:
    """Pairs within each of several stacks of rows."""
    x, y = np.stack([x, 2 * x]), np.stack([y, y + 1])
    return np.sum(np.abs(x[:, :, np.newaxis] - y[:, np.newaxis]), axis=3)


def weighted(x: Any, y: Any) -> Any:
    return np.sum(np.abs(x[:, np.newaxis] - y) * np.arange(x.shape[1]), axis=2)


def masked(x: Any, y: Any) -> Any:
    """What varies from pair to pair are truth values too, and whole numbers."""
    places = np.arange(y.shape[0])
    late = (places > 3)[:, np.newaxis]
    return np.sum(np.where(late, np.abs(x[:, np.newaxis]), y**2) + places[:, np.newaxis], axis=2)


FUNCTIONS = (euclidean, furthest, own, nearest, similar, stacks, weighted, masked)
SIZES = (
    (1, 1, 1),
    (5, 200, 3),
    (6, 6, 16),
    (65, 7, 17),
    (64, 128, 8),
    (67, 131, 33),
    (9, 300, 257),
    (8, 9, 0),
)


def numbers(rows: int, columns: int, dtype: Any) -> Any:
    return np.random.default_rng(rows).standard_normal((rows, columns)).astype(dtype)


def module_of(function: Function, dtype: Any, **options: bool) -> ModuleOp:
    compiled = flowc.jit(function, **options)
    found = compiled.specialisation((numbers(9, 7, dtype), numbers(8, 7, dtype)))
    return kernel_of(compiled, compiled.names, found.types, compiled.options)


@pytest.mark.alike(5)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_pairs_of_any_number_give_what_numpy_does(function: Function, dtype: Any) -> None:
    compiled = flowc.jit(function)
    for rows, columns, depth in SIZES:
        if depth == 0 and function is furthest:
            continue
        x, y = numbers(rows, depth, dtype), numbers(columns, depth, dtype)
        with np.errstate(all="ignore"):
            wanted, got = function(x, y), compiled(x, y)
        for one, other in zip(_tuple(got), _tuple(wanted), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4 if dtype is np.float32 else 1e-11, atol=1e-6)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("bits", [256, 512])
def test_lanes_follow_the_machine(bits: int) -> None:
    target: Target = evolve(processor.host(), vector_bits=bits)
    code = compile_kernels(module_of(euclidean, np.float32), Options(cached=False, target=target))
    kernel = load(code.object_code, code.signatures)["euclidean"]
    x, y = numbers(70, 40, np.float32), numbers(77, 40, np.float32)
    np.testing.assert_allclose(kernel(x, y), euclidean(x, y), rtol=1e-4)


@pytest.mark.parametrize("flag", ["precise", "reproducible"])
def test_pairs_are_reduced_one_by_one_where_an_order_is_asked_for(
    flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(beside, "_turn", lambda *arguments: built.append(arguments))
    compile_kernels(module_of(euclidean, np.float32, **{flag: True}), Options(cached=False))
    assert not built
    compile_kernels(module_of(euclidean, np.float32), Options(cached=False))
    assert built


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_sums_of_pairs_are_no_less_accurate_than_those_of_numpy(dtype: Any) -> None:
    x, y = np.abs(numbers(8, 20_000, dtype)) + 1, -np.abs(numbers(9, 20_000, dtype))
    exact = (x[:, np.newaxis].astype(np.longdouble) - y).sum(axis=2)

    def total(x: Any, y: Any) -> Any:
        return np.sum(x[:, np.newaxis] - y, axis=2)

    def error(found: Any) -> float:
        return float(np.abs((found - exact) / exact).max())

    assert error(flowc.jit(total)(x, y)) <= max(error(total(x, y)), float(np.finfo(dtype).eps))
