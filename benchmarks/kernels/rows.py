"""Rows normalised: softmax and layer norm, each written out by hand as NumPy programs do."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.kernels.kernel import Arrays, Forms, Kernel, floats, in_jax, in_torch, size
from benchmarks.worker import Call


def softmax(x: Any) -> Any:
    """Exponentials over their sum, row by row."""
    power = np.exp(x - np.max(x, axis=1, keepdims=True))
    return power / np.sum(power, axis=1, keepdims=True)


def layernorm(x: Any, gain: Any, shift: Any) -> Any:
    """Rows of mean zero and variance one, then scaled and shifted."""
    centred = x - np.mean(x, axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + shift


def _flowc(function: Callable[..., Any]) -> Forms:
    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import flowc

        kernel = flowc.jit(function)
        values = list(arrays.values())
        out = np.zeros_like(arrays["x"])
        return {"flowc": lambda: kernel(*values), "flowc out=": lambda: kernel(*values, out=out)}

    return forms


def _numpy_softmax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    def in_place(x: Any) -> Any:
        power = np.exp(x - x.max(1, keepdims=True))
        power /= power.sum(1, keepdims=True)
        return power

    return {"numpy": lambda: in_place(arrays["x"])}


def _numpy_layernorm(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    def in_place(x: Any, gain: Any, shift: Any) -> Any:
        centred = x - x.mean(1, keepdims=True)
        centred /= np.sqrt((centred * centred).mean(1, keepdims=True) + np.float32(1e-5))
        centred *= gain
        centred += shift
        return centred

    return {"numpy": lambda: in_place(*arrays.values())}


def _numba_softmax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def into(x, out):
        for i in numba.prange(x.shape[0]):
            largest = x[i, 0]
            for j in range(1, x.shape[1]):
                largest = max(largest, x[i, j])
            total = np.float32(0)
            for j in range(x.shape[1]):
                power = np.exp(x[i, j] - largest)
                out[i, j] = power
                total += power
            factor = np.float32(1) / total
            for j in range(x.shape[1]):
                out[i, j] *= factor
        return out

    @numba.njit(fastmath=True, parallel=True)
    def fresh(x):
        return into(x, np.empty_like(x))

    x = arrays["x"]
    out = np.zeros_like(x)
    return {"numba": lambda: fresh(x), "numba out=": lambda: into(x, out)}


def _numba_layernorm(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    one, epsilon = np.float32(1), np.float32(1e-5)

    @numba.njit(fastmath=True, parallel=True)
    def into(x, gain, shift, out):
        width = np.float32(x.shape[1])
        for i in numba.prange(x.shape[0]):
            total = np.float32(0)
            for j in range(x.shape[1]):
                total += x[i, j]
            mean = total / width
            squares = np.float32(0)
            for j in range(x.shape[1]):
                squares += (x[i, j] - mean) * (x[i, j] - mean)
            factor = one / np.sqrt(squares / width + epsilon)
            for j in range(x.shape[1]):
                out[i, j] = (x[i, j] - mean) * factor * gain[j] + shift[j]
        return out

    @numba.njit(fastmath=True, parallel=True)
    def fresh(x, gain, shift):
        return into(x, gain, shift, np.empty_like(x))

    values = list(arrays.values())
    out = np.zeros_like(values[0])
    return {"numba": lambda: fresh(*values), "numba out=": lambda: into(*values, out)}


def _jax_softmax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import jax

    compiled = jax.jit(lambda x: jax.nn.softmax(x, axis=1))
    moved = in_jax(arrays)["x"]
    return {"jax": lambda: compiled(moved).block_until_ready()}


def _jax_layernorm(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import jax

    def layernorm(x: Any, gain: Any, shift: Any) -> Any:
        mean = x.mean(1, keepdims=True)
        variance = ((x - mean) ** 2).mean(1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * gain + shift

    compiled = jax.jit(layernorm)
    moved = in_jax(arrays).values()
    return {"jax": lambda: compiled(*moved).block_until_ready()}


def _torch_softmax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    x = in_torch(arrays)["x"]
    out = torch.zeros_like(x)
    return {
        "torch": lambda: torch.softmax(x, 1),
        "torch out=": lambda: torch.softmax(x, 1, out=out),
    }


def _torch_layernorm(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    x, gain, shift = in_torch(arrays).values()
    return {"torch": lambda: torch.nn.functional.layer_norm(x, (x.shape[1],), gain, shift)}


def _torch_compile_softmax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    x = in_torch(arrays)["x"]
    compiled = torch.compile(lambda x: torch.softmax(x, 1), dynamic=False)
    return {"torch.compile": lambda: compiled(x)}


def _torch_compile_layernorm(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    moved = in_torch(arrays).values()
    compiled = torch.compile(
        lambda x, gain, shift: torch.nn.functional.layer_norm(x, (x.shape[1],), gain, shift), dynamic=False
    )
    return {"torch.compile": lambda: compiled(*moved)}


def _numexpr_softmax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numexpr

    def call() -> Any:
        x = arrays["x"]
        power = numexpr.evaluate("exp(x - m)", {"x": x, "m": x.max(1, keepdims=True)})
        return numexpr.evaluate("e / s", {"e": power, "s": power.sum(1, keepdims=True)})

    return {"numexpr": call}


def _c(name: str) -> Forms:
    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        from benchmarks import floors

        x = arrays["x"]
        out = floors.aligned(x.shape, x.dtype)
        arguments = (*arrays.values(), out, *x.shape, threads)
        return {
            "c out=": lambda: floors.call(name, *arguments, 0, result=out),
            "c streaming out=": lambda: floors.call(name, *arguments, 1, result=out),
        }

    return forms


def _square(rng: np.random.Generator, scale: float) -> Any:
    side = size(4096, scale**0.5) // 32 * 32
    return floats(rng, side, side)


def _layernorm_inputs(rng: np.random.Generator, scale: float) -> Arrays:
    x = _square(rng, scale)
    return {"x": x, "gain": floats(rng, x.shape[1]), "shift": floats(rng, x.shape[1])}


KERNELS = (
    Kernel(
        name="softmax",
        title="row softmax, 4096 x 4096",
        inputs=lambda rng, scale: {"x": _square(rng, scale)},
        reference=lambda arrays: softmax(*arrays.values()),
        forms={
            "flowc": _flowc(softmax),
            "c": _c("softmax"),
            "numpy": _numpy_softmax,
            "numba": _numba_softmax,
            "jax": _jax_softmax,
            "torch": _torch_softmax,
            "torch_compile": _torch_compile_softmax,
            "numexpr": _numexpr_softmax,
        },
        bound="write",
    ),
    Kernel(
        name="layernorm",
        title="layernorm, 4096 x 4096",
        inputs=_layernorm_inputs,
        reference=lambda arrays: layernorm(*arrays.values()),
        forms={
            "flowc": _flowc(layernorm),
            "c": _c("layernorm"),
            "numpy": _numpy_layernorm,
            "numba": _numba_layernorm,
            "jax": _jax_layernorm,
            "torch": _torch_layernorm,
            "torch_compile": _torch_compile_layernorm,
        },
        bound="write",
    ),
)
