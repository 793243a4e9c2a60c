"""Functions whose results show in which order they were computed, and arguments for them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import flowc

Function = Callable[..., Any]


def numbers(*shape: int, dtype: Any = np.float32) -> Any:
    """Numbers of which no sum is exact."""
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def sums(x: Any) -> Any:
    return (
        np.sum(x),
        np.sum(x, axis=0),
        np.sum(x, axis=1),
        np.mean(x),
        np.mean(x, axis=0),
        np.mean(x * x, axis=1),
    )


def reductions(x: Any) -> Any:
    return np.prod(x[:, :50], axis=1), np.max(x, axis=1), np.argmax(x, axis=1), np.var(x, axis=1), np.std(x)


def written(x: Any) -> Any:
    return x * x + x * 0.3, x / 3.0 - x * x, x**3, x**4 - x, 1.0 / x, x - np.floor(x) * 0.7


def softmax(x: Any) -> Any:
    power = np.exp(x - np.max(x, axis=1, keepdims=True))
    return power / np.sum(power, axis=1, keepdims=True)


def layernorm(x: Any) -> Any:
    centred = x - np.mean(x, axis=1, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + 1e-5) * x[0] + x[1]


def logsumexp(x: Any) -> Any:
    top = np.max(x, axis=1)
    return np.log(np.sum(np.exp(x - top[:, None]), axis=1)) + top


def exponentials(x: Any) -> Any:
    return (
        np.exp(x * 9),
        np.exp2(x),
        np.expm1(x),
        np.tanh(x),
        np.sinh(x),
        np.cosh(x),
        flowc.sigmoid(x),
        flowc.erf(x),
    )


def logarithms(x: Any) -> Any:
    size = np.abs(x) + 1e-6
    return (
        np.log(size),
        np.log2(size),
        np.log10(size),
        np.log1p(size),
        np.arcsinh(x),
        np.power(size, x),
        np.cbrt(x),
    )


def angles(x: Any) -> Any:
    unit = x / (np.abs(x) + 1)
    return (
        np.sin(x * 99),
        np.cos(x * 99),
        np.tan(x),
        np.arctan(x),
        np.arctan2(x, x[0]),
        np.arcsin(unit),
        np.arccos(unit),
    )


def matmul(x: Any) -> Any:
    return x @ x.T, x.T @ x, x @ x[0], x[:, 0] @ x, x[:3] @ x.T, x[:, :5].T @ x[:, 5:7], np.dot(x[0], x[1])


def deep(x: Any) -> Any:
    return x.T @ x, x[:, :3].T @ x[:, 3:], x[:, 2:3].T @ x, x.T @ x[:, 0]


def layer(x: Any) -> Any:
    return np.maximum(x @ x.T + x[:, 0], 0), np.sum((x @ x.T) ** 2, axis=1), np.argmin(x @ x.T, axis=1)


def cosine(x: Any) -> Any:
    return (x / np.sqrt(np.sum(x * x, axis=1, keepdims=True))) @ (x[0] / np.sqrt(np.sum(x[0] * x[0])))


def nearest(x: Any) -> Any:
    return flowc.topk(x @ x[1], 5), np.sqrt(np.sum((x[:40, None] - x[None, :30]) ** 2, axis=2))


def scans(x: Any) -> Any:
    return (
        np.cumsum(x[0]),
        np.cumsum(x.ravel()),
        np.cumsum(x, axis=1),
        np.cumsum(x, axis=0),
        np.cumprod(x[:, :40], axis=1),
    )


def tables(x: Any, keys: Any) -> Any:
    return (
        np.histogram(x, bins=20)[0],
        flowc.segment_sum(x[:, 0], keys, 10),
        flowc.segment_mean(x[:, 1], keys, 10),
    )


def attention(x: Any) -> Any:
    return flowc.attention(x[:, :64], x[:, 64:128], x[:, 128:192])


def stencil(x: Any) -> Any:
    return 0.2 * (x[1:-1, 1:-1] + x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:])


def loops(x: Any) -> Any:
    y = x.copy()
    for i in range(1, x.shape[0]):
        y[i] = y[i - 1] * 0.5 + x[i] * 0.3
    return y


_keys = np.random.default_rng(1).integers(0, 10, 301)
_wide, _tall = numbers(301, 277), numbers(1500, 129, dtype=np.float64)
_plain: tuple[Function, ...] = (
    sums, reductions, written, softmax, layernorm, logsumexp, exponentials, logarithms, angles, matmul, layer,
    cosine, nearest, scans, attention, stencil, loops,
)  # fmt: skip
FUNCTIONS: Mapping[str, tuple[Function, tuple[Any, ...]]] = {
    **{each.__name__: (each, (_wide,)) for each in _plain},
    "deep": (deep, (numbers(9001, 7),)),
    "tables": (tables, (_wide, _keys)),
    "sums of f64": (sums, (_tall,)),
    "reductions of f64": (reductions, (_tall,)),
    "exponentials of f64": (exponentials, (_tall[:50],)),
    "logarithms of f64": (logarithms, (_tall[:50],)),
    "angles of f64": (angles, (_tall[:50],)),
    "matmul of f64": (matmul, (_tall[:200],)),
    "sums of f16": (sums, (_wide.astype(np.float16),)),
    "layernorm of f16": (layernorm, (_wide.astype(np.float16),)),
    "sums of columns": (sums, (_wide.T,)),
}
"""Every function with arguments, by name."""

ALMOST_ALL = [name for name in FUNCTIONS if name not in ("matmul of f64", "reductions of f64", "stencil")]
"""Those of which each shows something of its own between processors."""

THREADED = [
    "sums",
    "reductions",
    "softmax",
    "matmul",
    "deep",
    "layer",
    "nearest",
    "scans",
    "tables",
    "attention",
]
"""Those whose loops are cut into chunks in ways of their own."""
