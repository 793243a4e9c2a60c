"""Elementwise chains: an activation over a product and a sum."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.kernels.kernel import Arrays, Kernel, floats, in_jax, in_torch, size
from benchmarks.worker import Call

SLOPE, CUBIC = 0.7978845608028654, 0.044715


def gelu(a: Any, b: Any, c: Any) -> Any:
    """The tanh form of the activation, as one writes it in NumPy."""
    x = a * b + c
    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def _flowc(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import flowc

    kernel = flowc.jit(gelu)
    a, b, c = arrays.values()
    out = np.zeros_like(a)
    return {"flowc": lambda: kernel(a, b, c), "flowc out=": lambda: kernel(a, b, c, out=out)}


def _numpy(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    return {"numpy": lambda: gelu(*arrays.values())}


def _numba(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    one, half, slope, cubic = (np.float32(each) for each in (1, 0.5, SLOPE, CUBIC))

    @numba.njit(fastmath=True, parallel=True)
    def into(a, b, c, out):
        for i in numba.prange(a.size):
            x = a[i] * b[i] + c[i]
            out[i] = half * x * (one + np.tanh(slope * (x + cubic * x * x * x)))
        return out

    @numba.njit(fastmath=True, parallel=True)
    def fresh(a, b, c):
        return into(a, b, c, np.empty_like(a))

    a, b, c = arrays.values()
    out = np.zeros_like(a)
    return {"numba": lambda: fresh(a, b, c), "numba out=": lambda: into(a, b, c, out)}


def _jax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import jax

    compiled = jax.jit(lambda a, b, c: jax.nn.gelu(a * b + c, approximate=True))
    moved = in_jax(arrays).values()
    return {"jax": lambda: compiled(*moved).block_until_ready()}


def _torch(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    a, b, c = in_torch(arrays).values()
    return {"torch": lambda: torch.nn.functional.gelu(torch.addcmul(c, a, b), approximate="tanh")}


def _torch_compile(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    moved = in_torch(arrays).values()
    compiled = torch.compile(
        lambda a, b, c: torch.nn.functional.gelu(a * b + c, approximate="tanh"), dynamic=False
    )
    return {"torch.compile": lambda: compiled(*moved)}


def _numexpr(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numexpr

    constants = {"h": np.float32(0.5), "k": np.float32(SLOPE), "m": np.float32(CUBIC), "o": np.float32(1)}

    def call() -> Any:
        x = numexpr.evaluate("a * b + c", dict(arrays))
        return numexpr.evaluate("h * x * (o + tanh(k * (x + m * x * x * x)))", {"x": x} | constants)

    return {"numexpr": call}


def _c(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    from benchmarks import floors

    a, b, c = arrays.values()
    out = floors.aligned(a.shape, a.dtype)
    arguments = (a, b, c, out, a.size, threads)
    return {
        "c out=": lambda: floors.call("gelu", *arguments, 0, result=out),
        "c streaming out=": lambda: floors.call("gelu", *arguments, 1, result=out),
    }


KERNELS = (
    Kernel(
        name="gelu",
        title="gelu(a*b+c), 1e7",
        inputs=lambda rng, scale: {name: floats(rng, size(10_000_000, scale)) for name in "abc"},
        reference=lambda arrays: gelu(*arrays.values()),
        forms={
            "flowc": _flowc,
            "c": _c,
            "numpy": _numpy,
            "numba": _numba,
            "jax": _jax,
            "torch": _torch,
            "torch_compile": _torch_compile,
            "numexpr": _numexpr,
        },
        bound="write",
    ),
)
