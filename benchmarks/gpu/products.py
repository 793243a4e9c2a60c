"""Kernels that arithmetic limits, products and attention; and chains of kernels that are all short."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from benchmarks.gpu.kernel import (
    Arrays,
    GpuKernel,
    extent,
    floats,
    halves,
    product_operations,
    streamed,
)

TOKENS, HIDDEN = 16384, 2048
"""Tokens of all sequences together, and numbers of all heads of one, as in the FlashAttention-2 paper
(arXiv 2307.08691, section 4.1)."""
QUERIES = 16
"""Rows of a result that are compared: at the beginning, in the middle and at the end."""
SIDE = 8192
LENGTHS = {f"{count}k": 1024.0 * count for count in (1, 2, 4, 8, 16)}
"""Of a sequence, by how they are called."""
ROUNDS = 50


def some_rows(result: Any) -> Any:
    """Some rows of the first and the last matrix of a result."""
    flat = result.reshape(-1, *result.shape[-2:])
    rows = _rows(result.shape[-2])
    return flat[[0, len(flat) - 1]][:, rows]


def _rows(count: int) -> Any:
    starts = (0, (count - QUERIES) // 2, count - QUERIES)
    return np.unique(np.concatenate([np.arange(QUERIES) + start for start in starts]))


def attention(causal: bool) -> Callable[[Arrays], Any]:
    """Softmax of scaled scores times values, for those rows alone."""

    def reference(arrays: Arrays) -> Any:
        q, k, v = (each.reshape(-1, *each.shape[-2:])[[0, -1]] for each in arrays.values())
        rows = _rows(q.shape[1])
        scores = q[:, rows] @ k.transpose(0, 2, 1) / np.float32(np.sqrt(q.shape[2]))
        if causal:
            scores[:, rows[:, None] < np.arange(k.shape[1])] = -np.inf
        weights = np.exp(scores - scores.max(2, keepdims=True))
        return weights / weights.sum(2, keepdims=True) @ v

    return reference


def _sequences(width: int) -> Callable[[np.random.Generator, float], Arrays]:
    def inputs(rng: np.random.Generator, length: float) -> Arrays:
        whole = length in LENGTHS.values()
        heads, batch = (HIDDEN // width, TOKENS // int(length)) if whole else (2, 1)
        return {name: halves(rng, batch, heads, int(length), width) for name in "qkv"}

    return inputs


def _attention_operations(causal: bool) -> Callable[[Arrays], float]:
    def operations(arrays: Arrays) -> float:
        batch, heads, length, width = arrays["q"].shape
        return 4.0 * batch * heads * length * length * width / (2 if causal else 1)

    return operations


def _attention(width: int, causal: bool) -> GpuKernel:
    kind = "causal" if causal else "full"
    return GpuKernel(
        f"attention_{kind}_{width}",
        f"attention, {kind}, bf16, heads of {width}",
        _sequences(width),
        attention(causal),
        "bf16",
        operations=_attention_operations(causal),
        dtype="bf16",
        part=some_rows,
        sizes=LENGTHS,
        small=144,
        tolerance=2e-2,
    )


def _layer(dtype: Literal["bf16", "f16", "f32"]) -> GpuKernel:
    make = floats if dtype == "f32" else halves

    def inputs(rng: np.random.Generator, scale: float) -> Arrays:
        side = extent(SIDE, scale, 72)
        return {"x": make(rng, side, side), "w": make(rng, side, side), "bias": make(rng, side)}

    def reference(arrays: Arrays) -> Any:
        x, w, bias = arrays.values()
        rows = x[_rows(len(x))]
        return np.maximum(rows @ w + bias, 0)[None][[0, 0]]

    return GpuKernel(
        f"layer_{dtype}",
        f"relu(x @ w + bias), {dtype}, {SIDE}^3",
        inputs,
        reference,
        dtype,
        operations=product_operations,
        dtype=dtype,
        part=some_rows,
        tolerance=1e-4 if dtype == "f32" else 1e-2,
    )


def _bytes(rng: np.random.Generator, scale: float) -> Arrays:
    side = extent(SIDE, scale, 64) // 4 * 4
    return {name: rng.integers(-127, 128, (side, side), dtype=np.int8) for name in "xw"}


def _byte_products(arrays: Arrays) -> Any:
    x, w = arrays.values()
    rows = x[_rows(len(x))].astype(np.float64)
    return (rows @ w.astype(np.float64)).astype(np.int32)[None][[0, 0]]


def _fused(arrays: Arrays) -> Any:
    x = arrays["x"]
    for _ in range(ROUNDS):
        x = np.maximum(x * np.float32(0.99), x - np.float32(0.01))
    return x


def balanced(x: Any) -> Any:
    """Sinkhorn's balancing of rows and columns."""
    for _ in range(10):
        x = x / x.sum(axis=1, keepdims=True)
        x = x / x.sum(axis=0)
    return x


def _short(rng: np.random.Generator, scale: float) -> Arrays:
    return {"x": np.abs(floats(rng, 64, 64)) + np.float32(0.1)}


KERNELS = (
    *(_attention(width, causal) for width in (64, 128) for causal in (False, True)),
    *(_layer(dtype) for dtype in ("bf16", "f16", "f32")),
    GpuKernel(
        "byte_products", f"x @ w of bytes, in 32 bits, {SIDE}^3", _bytes, _byte_products,
        "i8", operations=product_operations, part=some_rows, tolerance=0.0,
    ),
    GpuKernel(
        "fused_chain", f"{ROUNDS} steps on single numbers, 64 x 64", _short, _fused, "orders",
        streamed(results=1),
    ),
    GpuKernel(
        "balanced", "10 rounds of balancing, 64 x 64", _short, lambda x: balanced(x["x"]), "orders",
        streamed(results=1), tolerance=1e-3,
    ),
)  # fmt: skip
