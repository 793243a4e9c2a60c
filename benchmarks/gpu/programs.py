"""What flowc compiles: each kernel as one writes it for NumPy."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import flowc
from benchmarks.gpu.streams import gelu, layer_norm, rms_norm, softmax


def affine(x: Any, y: Any) -> Any:
    """An activation between a sum and a factor."""
    return np.maximum(x + y, 0) * 1.5


def total(x: Any) -> Any:
    """The sum of magnitudes: that of the numbers themselves would cancel."""
    return np.sum(np.abs(x))


def columns(x: Any) -> Any:
    """The sum of each column."""
    return np.sum(x, axis=0)


def argmax(x: Any) -> Any:
    """Where the greatest number is."""
    return np.argmax(x)


def nearest(corpus: Any, query: Any) -> Any:
    """The rows most like a query."""
    lengths = np.sqrt(np.sum(corpus * corpus, axis=1)) * np.sqrt(np.sum(query * query))
    return flowc.topk((corpus @ query) / lengths, 10)


def histogram(x: Any) -> Any:
    """How many numbers fall in each of 256 equal bins of [-4, 4]."""
    return np.histogram(x, 256, (-4.0, 4.0))[0]


def segments(keys: Any, values: Any) -> Any:
    """The sum of the values of each key."""
    return flowc.segment_sum(values, keys, 1000)


def scan(x: Any) -> Any:
    """Running sums."""
    return np.cumsum(x)


def sort(x: Any) -> Any:
    """Rising numbers."""
    return np.sort(x)


def gather(table: Any, rows: Any) -> Any:
    """Rows of a table."""
    return table[rows]


def attention_full(q: Any, k: Any, v: Any) -> Any:
    """Every query sees every key."""
    return flowc.attention(q, k, v)


def attention_causal(q: Any, k: Any, v: Any) -> Any:
    """A query sees the keys up to its own."""
    return flowc.attention(q, k, v, causal=True)


def layer(x: Any, w: Any, bias: Any) -> Any:
    """A product, a bias and an activation."""
    return np.maximum(x @ w + bias, 0)


def byte_products(x: Any, w: Any) -> Any:
    """Products of bytes, in 32 bits."""
    return x.astype(np.int32) @ w.astype(np.int32)


def ten_steps(x: Any) -> Any:
    """Steps that need no other element."""
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    x = np.maximum(x * 0.99, x - 0.01)
    return np.maximum(x * 0.99, x - 0.01)


def fused_chain(x: Any) -> Any:
    """50 of them."""
    return ten_steps(ten_steps(ten_steps(ten_steps(ten_steps(x)))))


def balanced(x: Any) -> Any:
    """Sinkhorn's balancing: each sum needs all of the quotients before, so that no round is one launch."""
    for _ in range(10):
        x = x / np.sum(x, axis=1, keepdims=True)
        x = x / np.sum(x, axis=0)
    return x


_SHARED: Mapping[str, Callable[..., Any]] = {
    "layer": layer,
    "attention_full": attention_full,
    "attention_causal": attention_causal,
}
_OWN: tuple[Callable[..., Any], ...] = (
    gelu, affine, layer_norm, rms_norm, softmax, total, columns, argmax, nearest, histogram, segments, scan,
    sort, gather, byte_products, fused_chain, balanced,
)  # fmt: skip


def program(kernel: str) -> Callable[..., Any]:
    """The function of a kernel; those that differ in sizes and types alone share one."""
    own = {each.__name__: each for each in _OWN}
    return own.get(kernel) or next(each for name, each in _SHARED.items() if kernel.startswith(name))
