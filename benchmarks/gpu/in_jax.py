"""The kernels by JAX, each compiled as a whole."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
from jax import numpy as jnp

from benchmarks.gpu import products, streams

Form = Callable[..., Any]


def _layer_norm(x: Any, gain: Any, shift: Any) -> Any:
    mean = x.mean(1, keepdims=True)
    variance = ((x - mean) ** 2).mean(1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * gain + shift


def _rms_norm(x: Any, gain: Any) -> Any:
    return x * jax.lax.rsqrt((x * x).mean(1, keepdims=True) + 1e-5) * gain


def _nearest(corpus: Any, query: Any) -> Any:
    lengths = jnp.linalg.norm(corpus, axis=1) * jnp.linalg.norm(query)
    return jax.lax.top_k((corpus @ query) / lengths, streams.BEST)


def _histogram(x: Any) -> Any:
    inside = (x >= -4) & (x <= 4)
    places = jnp.minimum(((x + 4) * (streams.BINS / 8)).astype(jnp.int32), streams.BINS - 1)
    bins = jnp.zeros(streams.BINS + 1, jnp.int32)
    return bins.at[jnp.where(inside, places, streams.BINS)].add(1)[: streams.BINS]


def _attention(causal: bool, way: Literal["xla", "cudnn"] = "xla") -> Form:
    def form(q: Any, k: Any, v: Any) -> Any:
        q, k, v = (each.transpose(0, 2, 1, 3) for each in (q, k, v))
        found = jax.nn.dot_product_attention(q, k, v, is_causal=causal, implementation=way)
        return found.transpose(0, 2, 1, 3)

    return form


def _layer(x: Any, w: Any, bias: Any) -> Any:
    exact = jax.lax.Precision.HIGHEST if x.dtype == jnp.float32 else None  # else it may be tf32
    return jax.nn.relu(jnp.matmul(x, w, precision=exact) + bias)


def _fused_chain(x: Any) -> Any:
    for _ in range(50):
        x = jnp.maximum(x * 0.99, x - 0.01)
    return x


FORMS: Mapping[str, Form] = {
    "gelu": lambda a, b, c: jax.nn.gelu(a * b + c, approximate=True),
    "affine": lambda x, y: jax.nn.relu(x + y) * 1.5,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "softmax": lambda x: jax.nn.softmax(x, axis=1),
    "total": lambda x: jnp.abs(x).sum(),
    "columns": lambda x: x.sum(0),
    "argmax": lambda x: jnp.argmax(x),
    "nearest": _nearest,
    "histogram": _histogram,
    "segments": lambda keys, values: jax.ops.segment_sum(values, keys, streams.SEGMENTS),
    "scan": lambda x: jnp.cumsum(x),
    "sort": lambda x: jnp.sort(x),
    "gather": lambda table, rows: table[rows],
    "attention_full_64": _attention(False),
    "attention_full_128": _attention(False),
    "attention_causal_64": _attention(True),
    "attention_causal_128": _attention(True),
    "layer_bf16": _layer,
    "layer_f16": _layer,
    "layer_f32": _layer,
    "byte_products": lambda x, w: jax.lax.dot(x, w, preferred_element_type=jnp.int32),
    "fused_chain": _fused_chain,
    "balanced": products.balanced,
}


def forms(kernel: str) -> Mapping[str, Form]:
    """What a kernel is in JAX."""
    found = {"jax": jax.jit(FORMS[kernel])}
    if kernel.startswith("attention"):
        found["jax cudnn"] = jax.jit(_attention("causal" in kernel, "cudnn"))
    return found
