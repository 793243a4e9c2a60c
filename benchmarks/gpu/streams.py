"""Kernels that memory limits: chains of arithmetic, normalised rows, sums and what is like them."""

from typing import Any

import numpy as np

from benchmarks.gpu.kernel import TWO_SIZES, Arrays, GpuKernel, extent, floats, streamed

WIDTH = 4096
"""Columns of what goes by rows."""
SEGMENTS, BINS, BEST = 1000, 256, 10


def gelu(a: Any, b: Any, c: Any) -> Any:
    """The activation in its tanh form, of a product and a sum."""
    x = a * b + c
    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def layer_norm(x: Any, gain: Any, shift: Any) -> Any:
    """Rows of mean zero and variance one, then scaled and shifted."""
    centred = x - np.mean(x, axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + shift


def rms_norm(x: Any, gain: Any) -> Any:
    """Rows of mean square one, then scaled."""
    return x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-5) * gain


def softmax(x: Any) -> Any:
    """Exponentials over their sum, row by row."""
    power = np.exp(x - np.max(x, axis=1, keepdims=True))
    return power / np.sum(power, axis=1, keepdims=True)


def cosine(corpus: Any, query: Any) -> Any:
    """Cosine of every row to a query."""
    lengths = np.sqrt(np.sum(corpus * corpus, axis=1)) * np.sqrt(np.sum(query * query))
    return (corpus @ query) / lengths


def _vectors(count: int, names: str) -> Any:
    return lambda rng, scale: {name: floats(rng, extent(count, scale, 1001)) for name in names}


def _rows(count: int, *others: str) -> Any:
    def inputs(rng: np.random.Generator, scale: float) -> Arrays:
        return {"x": floats(rng, extent(count, scale), WIDTH)} | {name: floats(rng, WIDTH) for name in others}

    return inputs


def _segments(rng: np.random.Generator, scale: float) -> Arrays:
    count = extent(1 << 27, scale, 5000)
    return {"keys": rng.integers(0, SEGMENTS, count, dtype=np.int32), "values": floats(rng, count)}


def _table(rng: np.random.Generator, scale: float) -> Arrays:
    count = extent(1 << 20, scale, 50)
    return {"table": floats(rng, count, 128), "rows": rng.integers(0, count, count, dtype=np.int32)}


def _corpus(rng: np.random.Generator, scale: float) -> Arrays:
    return {"corpus": floats(rng, extent(700_000, scale, 100), 384), "query": floats(rng, 384)}


def _best(arrays: Arrays) -> Any:
    return -np.sort(-cosine(*arrays.values()))[:BEST]


def _gathered(arrays: Arrays) -> float:
    return float(2 * arrays["rows"].size * arrays["table"].shape[1] * 4 + arrays["rows"].nbytes)


KERNELS = (
    GpuKernel(
        "gelu", "gelu(a*b+c)", _vectors(1 << 26, "abc"), lambda x: gelu(*x.values()),
        "bytes", streamed(results=1), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "affine", "relu(x+y) * 1.5", _vectors(89_000_000, "xy"),
        lambda x: np.maximum(x["x"] + x["y"], 0) * np.float32(1.5),
        "bytes", streamed(results=1), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "layer_norm", "layer norm", _rows(1 << 15, "gain", "shift"), lambda x: layer_norm(*x.values()),
        "bytes", streamed(results=1), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "rms_norm", "RMS norm", _rows(1 << 15, "gain"), lambda x: rms_norm(*x.values()),
        "bytes", streamed(results=1), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "softmax", "row softmax", _rows(1 << 15), lambda x: softmax(*x.values()),
        "bytes", streamed(results=1), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "total", "sum", _vectors(1 << 28, "x"),
        lambda x: np.sum(np.abs(x["x"]), dtype=np.float64).astype(np.float32),
        "bytes", streamed(), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "columns", "column sums", _rows(1 << 16), lambda x: np.sum(x["x"], axis=0, dtype=np.float64),
        "bytes", streamed(), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "argmax", "argmax", _vectors(1 << 28, "x"), lambda x: np.argmax(x["x"]),
        "bytes", streamed(), sizes=TWO_SIZES, indices=True,
    ),
    GpuKernel(
        "nearest", "cosine and top 10, 1 query", _corpus, _best, "bytes", streamed(), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "histogram", "histogram, 256 bins", _vectors(1 << 28, "x"),
        lambda x: np.histogram(x["x"], BINS, (-4.0, 4.0))[0],
        "bytes", streamed(), sizes=TWO_SIZES, tolerance=1e-3,
    ),
    GpuKernel(
        "segments", "sums of 1,000 segments", _segments,
        lambda x: np.bincount(x["keys"], x["values"], SEGMENTS),
        "bytes", streamed(), sizes=TWO_SIZES, tolerance=1e-3,
    ),
    GpuKernel(
        "scan", "running sums", _vectors(1 << 27, "x"), lambda x: np.cumsum(x["x"], dtype=np.float64),
        "bytes", streamed(results=1), sizes=TWO_SIZES,
    ),
    GpuKernel(
        "sort", "sort", _vectors(1 << 27, "x"), lambda x: np.sort(x["x"]),
        "bytes", streamed(results=1), sizes=TWO_SIZES, tolerance=0.0,
    ),
    GpuKernel(
        "gather", "rows of 512 bytes gathered", _table, lambda x: x["table"][x["rows"]],
        "bytes", _gathered, sizes=TWO_SIZES, tolerance=0.0,
    ),
)  # fmt: skip
