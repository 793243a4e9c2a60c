"""The kernels by CuPy: its own functions, kernels written for it, and what `cupy.fuse` makes of them."""

from collections.abc import Callable, Mapping
from typing import Any

import cupy

from benchmarks.gpu import products, streams

Form = Callable[..., Any]

_GELU = """
float v = a * b + c;
y = 0.5f * v * (1.0f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v)));
"""
_SLOPE, _CUBIC = 0.7978845608028654, 0.044715


def _gelu(a: Any, b: Any, c: Any) -> Any:
    x = a * b + c
    return 0.5 * x * (1 + cupy.tanh(_SLOPE * (x + _CUBIC * x * x * x)))


def _affine(x: Any, y: Any) -> Any:
    return cupy.maximum(x + y, 0) * 1.5


def _nearest(corpus: Any, query: Any) -> Any:
    lengths = cupy.sqrt((corpus * corpus).sum(axis=1)) * cupy.sqrt((query * query).sum())
    scores = (corpus @ query) / lengths
    best = cupy.argpartition(-scores, streams.BEST)[: streams.BEST]
    found = scores[best]
    order = cupy.argsort(-found)
    return found[order], best[order]


def _attention(causal: bool) -> Form:
    def form(q: Any, k: Any, v: Any) -> Any:
        scores = q @ k.swapaxes(-1, -2) * q.dtype.type(q.shape[-1] ** -0.5)
        if causal:
            scores = cupy.where(cupy.tri(q.shape[-2], dtype=bool), scores, q.dtype.type(-cupy.inf))
        scores = cupy.exp(scores - scores.max(axis=-1, keepdims=True))
        return (scores / scores.sum(axis=-1, keepdims=True)) @ v

    return form


def _fused_chain(x: Any) -> Any:
    for _ in range(50):
        x = cupy.maximum(x * 0.99, x - 0.01)
    return x


def _written(signature: str, result: str, text: str) -> Form:
    compiled = cupy.ElementwiseKernel(signature, result, text)
    return lambda *arrays: compiled(*arrays)


OWN: Mapping[str, Form] = {
    "gelu": _gelu,
    "affine": _affine,
    "layer_norm": streams.layer_norm,
    "rms_norm": streams.rms_norm,
    "softmax": streams.softmax,
    "total": lambda x: cupy.abs(x).sum(),
    "columns": lambda x: x.sum(axis=0),
    "argmax": cupy.argmax,
    "nearest": _nearest,
    "histogram": lambda x: cupy.histogram(x, streams.BINS, (-4.0, 4.0))[0],
    "segments": lambda keys, values: cupy.bincount(keys, values, streams.SEGMENTS),
    "scan": cupy.cumsum,
    "sort": cupy.sort,
    "gather": lambda table, rows: table[rows],
    "attention_full_64": _attention(False),
    "attention_full_128": _attention(False),
    "attention_causal_64": _attention(True),
    "attention_causal_128": _attention(True),
    "layer_bf16": lambda x, w, bias: cupy.maximum(x @ w + bias, 0),
    "layer_f16": lambda x, w, bias: cupy.maximum(x @ w + bias, 0),
    "layer_f32": lambda x, w, bias: cupy.maximum(x @ w + bias, 0),
    "byte_products": lambda x, w: cupy.matmul(x.astype(cupy.int32), w.astype(cupy.int32)),
    "fused_chain": _fused_chain,
    "balanced": products.balanced,
}
WRITTEN: Mapping[str, Callable[[], Form]] = {
    "gelu": lambda: _written("float32 a, float32 b, float32 c", "float32 y", _GELU),
    "affine": lambda: _written("float32 a, float32 b", "float32 y", "y = fmaxf(a + b, 0.0f) * 1.5f"),
    "total": lambda: cupy.ReductionKernel("T x", "T y", "abs(x)", "a + b", "y = a", "0", "magnitudes"),
}
"""What CuPy's users would write in CUDA."""
FUSED: Mapping[str, Callable[[], Form]] = {
    "gelu": lambda: cupy.fuse()(_gelu),
    "affine": lambda: cupy.fuse()(_affine),
    "total": lambda: cupy.fuse()(lambda x: cupy.sum(cupy.absolute(x))),
    "fused_chain": lambda: cupy.fuse()(_fused_chain),
}


def forms(kernel: str) -> Mapping[str, Form]:
    """What a kernel is in CuPy, by the names under which the ways to write it are reported."""
    found = {"cupy": OWN[kernel]}
    if kernel in WRITTEN:
        found["cupy kernel"] = WRITTEN[kernel]()
    if kernel in FUSED:
        found["cupy.fuse"] = FUSED[kernel]()
    return found
