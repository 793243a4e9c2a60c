"""The same kinds of work in other shapes: sums, columns, transposes, a stencil, 64-bit mathematics."""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Literal

import numpy as np

from benchmarks.kernels import shapes_numba
from benchmarks.kernels.kernel import Arrays, Forms, Kernel, floats, in_jax, in_torch, size
from benchmarks.worker import Call


def total(x: Any) -> Any:
    """One number of many."""
    return np.sum(x)


def columns(x: Any) -> Any:
    """Mean square of every column."""
    return np.mean(x * x, axis=0)


def turned(a: Any, b: Any) -> Any:
    """A sum with a transposed operand."""
    return a + b.T


def softplus(a: Any, b: Any) -> Any:
    """log(1 + exp(a)) without overflow, scaled."""
    return (np.log1p(np.exp(-np.abs(a))) + np.maximum(a, 0)) * b


def logsumexp(x: Any) -> Any:
    """log(sum(exp)) of every row, without overflow."""
    largest = np.max(x, axis=1)
    return largest + np.log(np.sum(np.exp(x - largest[:, np.newaxis]), axis=1))


def smooth(x: Any) -> Any:
    """The mean of five neighbours in two dimensions."""
    return (x[1:-1, 1:-1] + x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]) * 0.2


def distances(a: Any, b: Any) -> Any:
    """Pairwise Euclidean distances from differences."""
    return np.sqrt(np.sum((a[:, np.newaxis, :] - b[np.newaxis, :, :]) ** 2, axis=2))


def _flowc(function: Callable[..., Any]) -> Forms:
    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import flowc

        kernel = flowc.jit(function)
        values = list(arrays.values())
        example = np.asarray(function(*values))
        calls: dict[str, Call] = {"flowc": lambda: kernel(*values)}
        if example.ndim:
            out = np.zeros_like(example)
            calls["flowc out="] = lambda: kernel(*values, out=out)
        return calls

    return forms


def _jax(function: FunctionType) -> Forms:
    """The same text with JAX's NumPy; for 64-bit inputs with its 64-bit mode."""

    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import jax

        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(_rebound(function, jax.numpy))
        moved = list(in_jax(arrays).values())
        return {"jax": lambda: jax.block_until_ready(compiled(*moved))}

    return forms


def _torch_compile(function: Callable[..., Any]) -> Forms:
    """torch.compile takes NumPy functions as they are."""

    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import torch

        compiled = torch.compile(function, dynamic=False)
        values = list(arrays.values())
        in_torch({})
        return {"torch.compile": lambda: compiled(*values)}

    return forms


def _rebound(function: FunctionType, library: Any) -> Callable[..., Any]:
    """The function with another library under the name `np`."""
    return FunctionType(function.__code__, {"np": library})


def _kernel(
    title: str,
    function: FunctionType,
    inputs: Callable[[np.random.Generator, float], Arrays],
    bound: Literal["read", "write"],
) -> Kernel:
    name = function.__name__
    numba = shapes_numba.FORMS.get(name, shapes_numba.as_written(function))
    return Kernel(
        name=name,
        title=title,
        inputs=inputs,
        reference=lambda arrays: function(*arrays.values()),
        forms={
            "flowc": _flowc(function),
            "numpy": lambda arrays, threads: {"numpy": lambda: function(*arrays.values())},
            "numba": numba,
            "jax": _jax(function),
            "torch_compile": _torch_compile(function),
        },
        bound=bound,
        tolerance=1e-3,
    )


def _square(*names: str) -> Callable[[np.random.Generator, float], Arrays]:
    def inputs(rng: np.random.Generator, scale: float) -> Arrays:
        side = size(4096, scale**0.5)
        return {name: floats(rng, side, side) for name in names}

    return inputs


def _doubles(rng: np.random.Generator, scale: float) -> Arrays:
    return {name: rng.standard_normal(size(5_000_000, scale)) for name in "ab"}


KERNELS = (
    _kernel("sum, 1e7", total, lambda rng, scale: {"x": floats(rng, size(10_000_000, scale))}, "read"),
    _kernel("mean square of columns, 4096 x 4096", columns, _square("x"), "read"),
    _kernel("a + b.T, 4096 x 4096", turned, _square("a", "b"), "write"),
    _kernel("softplus(a) * b, 5e6 f64", softplus, _doubles, "write"),
    _kernel("logsumexp of rows, 4096 x 4096", logsumexp, _square("x"), "read"),
    _kernel("five-point stencil, 4096 x 4096", smooth, _square("x"), "write"),
    _kernel(
        "distances, 2000 x 1000 x 16",
        distances,
        lambda rng, scale: {"a": floats(rng, size(2000, scale), 16), "b": floats(rng, size(1000, scale), 16)},
        "write",
    ),
)
