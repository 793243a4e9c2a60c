"""Reference semantics of attention and convolution by NumPy."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xdsl.ir import Operation

from flowc.dialects.array import products
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.types import shape_of

NumpyArray = np.ndarray[Any, np.dtype[Any]]

_STEPS: dict[str, Callable[..., NumpyArray]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "tanh": np.tanh,
    "abs": np.abs,
    "neg": np.negative,
}


def attention(
    query: NumpyArray,
    key: NumpyArray,
    value: NumpyArray,
    scale: float,
    mask: NumpyArray | None = None,
    causal: bool = False,
    window: int | None = None,
    hidden: float | None = None,
    changed: Callable[[NumpyArray], NumpyArray] = lambda scores: scores,
) -> NumpyArray:
    """Scores, their softmax and the weighted values, all of them in memory."""
    if query.ndim > 2 and key.shape[-3] != query.shape[-3]:
        group = query.shape[-3] // key.shape[-3]
        key, value = np.repeat(key, group, axis=-3), np.repeat(value, group, axis=-3)
    scores = (query.astype(np.float64) * scale) @ key.astype(np.float64).swapaxes(-1, -2)
    scores = changed(scores)
    if mask is not None:
        unseen = -np.inf if hidden is None else hidden
        scores = np.where(mask, scores, unseen) if mask.dtype == np.bool_ else scores + mask
    length, keys = query.shape[-2], key.shape[-2]
    apart = (np.arange(length)[:, None] + keys - length) - np.arange(keys)[None, :]
    seen = np.ones((length, keys), np.bool_)
    if causal:
        seen &= apart >= 0
    if window is not None:
        seen &= np.abs(apart) < window
    scores = np.where(seen, scores, -np.inf)
    top = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isneginf(top), 0, top))
    total = weights.sum(axis=-1, keepdims=True)
    share = np.where(total == 0, 1 if hidden is None else np.nan, total)
    return ((weights / share) @ value.astype(np.float64)).astype(query.dtype)


def convolve(
    source: NumpyArray, filters: NumpyArray, stride: Sequence[int], padding: Sequence[int]
) -> NumpyArray:
    """One product for each position in the filter."""
    above, below, left, right = padding
    padded = np.pad(source, ((0, 0), (above, below), (left, right), (0, 0)))
    height, width = filters.shape[:2]
    rows = max((padded.shape[1] - height) // stride[0] + 1, 0)
    columns = max((padded.shape[2] - width) // stride[1] + 1, 0)
    dtype = np.result_type(source, filters)
    wide = np.float64 if dtype.kind == "f" else dtype
    result = np.zeros((source.shape[0], rows, columns, filters.shape[3]), wide)
    for i in range(height):
        for j in range(width):
            part = padded[:, i:, j:, :][:, : rows * stride[0] : stride[0], : columns * stride[1] : stride[1]]
            result += part[:, :rows, :columns].astype(wide) @ filters[i, j].astype(wide)
    return result.astype(dtype)


def _attention(op: products.AttentionOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    query, key, value, scale = inputs[:4]
    fits = query.shape[-1] == key.shape[-1] and key.shape[:-1] == value.shape[:-1]
    if not fits or query.shape[:-3] != key.shape[:-3]:
        raise KernelFault("extents-differ")
    if query.ndim > 2 and (key.shape[-3] == 0 or query.shape[-3] % key.shape[-3] != 0):
        raise KernelFault("extents-differ")
    whole = (*query.shape[:-1], key.shape[-2])
    for declared, other in zip(op.others, inputs[4:], strict=True):
        given = zip(reversed(shape_of(declared.type)), reversed(other.shape), reversed(whole), strict=False)
        if any(said != 1 and own != wanted for said, own, wanted in given):
            raise KernelFault("extents-differ")
    window = op.window.value.data if op.window is not None else None
    hidden = op.hidden.value.data if op.hidden is not None else None
    unseen = -np.inf if hidden is None else hidden

    def changed(scores: NumpyArray) -> NumpyArray:
        others = iter(inputs[4:])
        for kind, other in op.changes():
            if kind == "where":
                scores = np.where(next(others), scores, unseen)
            else:
                scores = _STEPS[kind](scores, *([] if other is None else [next(others)]))
        return scores

    causal = op.causal is not None
    return attention(query, key, value, float(scale), None, causal, window, hidden, changed)


def _convolve(op: products.ConvolveOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    if inputs[0].shape[3] != inputs[1].shape[2]:
        raise KernelFault("extents-differ")
    return convolve(inputs[0], inputs[1], op.stride.get_values(), op.padding.get_values())


evaluators: dict[type[Operation], Callable[[Any, Sequence[NumpyArray]], NumpyArray]] = {
    products.AttentionOp: _attention,
    products.ConvolveOp: _convolve,
}
