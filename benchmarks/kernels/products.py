"""Matrix products with what follows them: bias and activation, attention."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.kernels.kernel import Arrays, Forms, Kernel, floats, in_jax, in_torch, size
from benchmarks.worker import Call


def dense(a: Any, b: Any, bias: Any) -> Any:
    """A layer: product, bias, relu."""
    return np.maximum(a @ b + bias, 0)


def attention(q: Any, k: Any, v: Any) -> Any:
    """Softmax of scaled scores times values, per head."""
    scores = q @ k.transpose(0, 2, 1) / np.float32(np.sqrt(q.shape[2]))
    weights = np.exp(scores - np.max(scores, axis=2, keepdims=True))
    return (weights / np.sum(weights, axis=2, keepdims=True)) @ v


def _flowc(function: Callable[..., Any]) -> Forms:
    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import flowc

        kernel = flowc.jit(function)
        values = list(arrays.values())
        out = np.zeros_like(function(*values))
        return {"flowc": lambda: kernel(*values), "flowc out=": lambda: kernel(*values, out=out)}

    return forms


def _numpy_dense(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    a, b, bias = arrays.values()
    out = np.zeros((a.shape[0], b.shape[1]), np.float32)

    def finish(product: Any) -> Any:
        product += bias
        return np.maximum(product, 0, out=product)

    return {"numpy": lambda: finish(a @ b), "numpy out=": lambda: finish(np.matmul(a, b, out=out))}


def _numpy_attention(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    q, k, v = arrays.values()
    scale = np.float32(1 / np.sqrt(q.shape[2]))

    def in_place() -> Any:
        scores = (q * scale) @ k.transpose(0, 2, 1)
        scores -= scores.max(2, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(2, keepdims=True)
        return scores @ v

    return {"numpy": in_place}


def _numba_dense(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    zero = np.float32(0)

    @numba.njit(fastmath=True, parallel=True)
    def compiled(a, b, bias):
        out = np.dot(a, b)
        for i in numba.prange(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] = max(out[i, j] + bias[j], zero)
        return out

    values = list(arrays.values())
    return {"numba": lambda: compiled(*values)}


def _numba_attention(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(q, k, v, scale):
        heads, length, _ = q.shape
        out = np.empty_like(q)
        block = 128
        blocks = (length + block - 1) // block
        for task in numba.prange(heads * blocks):
            head, row = task // blocks, task % blocks * block
            scores = np.dot(q[head, row : row + block] * scale, k[head].T)
            for i in range(scores.shape[0]):
                largest = scores[i, 0]
                for j in range(length):
                    largest = max(largest, scores[i, j])
                total = np.float32(0)
                for j in range(length):
                    power = np.exp(scores[i, j] - largest)
                    scores[i, j] = power
                    total += power
                factor = np.float32(1) / total
                for j in range(length):
                    scores[i, j] *= factor
            out[head, row : row + block] = np.dot(scores, v[head])
        return out

    values = list(arrays.values())
    scale = np.float32(1 / np.sqrt(values[0].shape[2]))
    return {"numba": lambda: compiled(*values, scale)}


def _jax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import jax

    compiled = jax.jit(lambda a, b, bias: jax.nn.relu(a @ b + bias))
    moved = in_jax(arrays).values()
    return {"jax": lambda: compiled(*moved).block_until_ready()}


def _jax_attention(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import jax

    def plain(q: Any, k: Any, v: Any) -> Any:
        return jax.nn.softmax(q @ k.transpose(0, 2, 1) / np.float32(np.sqrt(q.shape[2])), -1) @ v

    def library(q: Any, k: Any, v: Any) -> Any:
        q, k, v = (x.transpose(1, 0, 2)[None] for x in (q, k, v))
        return jax.nn.dot_product_attention(q, k, v)[0].transpose(1, 0, 2)

    first, second = jax.jit(plain), jax.jit(library)
    moved = in_jax(arrays).values()
    return {
        "jax": lambda: first(*moved).block_until_ready(),
        "jax.nn.dot_product_attention": lambda: second(*moved).block_until_ready(),
    }


def _torch_dense(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    a, b, bias = in_torch(arrays).values()
    out = torch.zeros(a.shape[0], b.shape[1])
    return {
        "torch": lambda: torch.addmm(bias, a, b).relu_(),
        "torch out=": lambda: torch.addmm(bias, a, b, out=out).relu_(),
    }


def _torch_attention(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    q, k, v = (value[None] for value in in_torch(arrays).values())
    return {"torch sdpa": lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v)[0]}


def _torch_compile_dense(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    moved = in_torch(arrays).values()
    compiled = torch.compile(lambda a, b, bias: torch.relu(torch.addmm(bias, a, b)), dynamic=False)
    return {"torch.compile": lambda: compiled(*moved)}


def _torch_compile_attention(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    moved = in_torch(arrays).values()

    def plain(q: Any, k: Any, v: Any) -> Any:
        return torch.softmax(q @ k.transpose(1, 2) / q.shape[2] ** 0.5, -1) @ v

    compiled = torch.compile(plain, dynamic=False)
    return {"torch.compile": lambda: compiled(*moved)}


def _dense_inputs(rng: np.random.Generator, scale: float) -> Arrays:
    n = size(2048, scale ** (1 / 3))
    return {"a": floats(rng, n, n), "b": floats(rng, n, n), "bias": floats(rng, n)}


def _dense_operations(arrays: Arrays) -> float:
    a, b, _ = arrays.values()
    return 2.0 * a.shape[0] * a.shape[1] * b.shape[1]


def _attention_operations(arrays: Arrays) -> float:
    heads, length, width = arrays["q"].shape
    return 4.0 * heads * length * length * width


KERNELS = (
    Kernel(
        name="matmul",
        title="relu(a @ b + bias), 2048^3",
        inputs=_dense_inputs,
        reference=lambda arrays: dense(*arrays.values()),
        forms={
            "flowc": _flowc(dense),
            "numpy": _numpy_dense,
            "numba": _numba_dense,
            "jax": _jax,
            "torch": _torch_dense,
            "torch_compile": _torch_compile_dense,
        },
        bound="arithmetic",
        operations=_dense_operations,
    ),
    Kernel(
        name="attention",
        title="attention, 8 x 1024 x 64",
        inputs=lambda rng, scale: {name: floats(rng, 8, size(1024, scale**0.5), 64) for name in "qkv"},
        reference=lambda arrays: attention(*arrays.values()),
        forms={
            "flowc": _flowc(attention),
            "numpy": _numpy_attention,
            "numba": _numba_attention,
            "jax": _jax_attention,
            "torch": _torch_attention,
            "torch_compile": _torch_compile_attention,
        },
        bound="arithmetic",
        operations=_attention_operations,
    ),
)
