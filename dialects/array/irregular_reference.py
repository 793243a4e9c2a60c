"""Reference semantics of the irregular operators by NumPy, one short function each.

They take and give arrays in the form in which values are held (see `reference`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xdsl.ir import Operation

from flowc.dialects.array import irregular
from flowc.dialects.array.faults import KernelFault, extent_of
from flowc.dialects.array.types import dtype_of, integer_range, is_float, shape_of

NumpyArray = np.ndarray[Any, np.dtype[Any]]

_ufuncs: dict[str, np.ufunc] = {
    "sum": np.add,
    "prod": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


def _sort(op: irregular.SortOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    return np.sort(inputs[0], axis=op.axis.value.data, kind="stable")


def _argsort(op: irregular.ArgsortOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    return np.argsort(inputs[0], axis=op.axis.value.data, kind="stable")


def _order_statistics(op: irregular.OrderStatisticsOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    source, first = inputs
    lines, count = source.shape[:-1], op.count.value.data
    if source.shape[-1] == 0:
        return np.zeros((*lines, count), source.dtype)
    if first.ndim and first.shape != lines:
        raise KernelFault(f"{first.shape} positions for lines {lines}")
    places = np.broadcast_to(first, lines)[..., None] + np.arange(count)
    ordered = np.sort(source, axis=-1, kind="stable")
    return np.take_along_axis(ordered, np.clip(places, 0, source.shape[-1] - 1), axis=-1)


def _true_positions(op: irregular.TruePositionsOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    found = np.zeros(inputs[0].shape, np.int64)
    places = np.flatnonzero(inputs[0])
    found[: len(places)] = places
    return found


def _picked(op: irregular.PickOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    source, mask = inputs
    if source.shape != mask.shape:
        raise KernelFault(f"a mask of {mask.shape} bools for {source.shape} elements")
    found = np.zeros_like(source)
    places = np.flatnonzero(mask)
    found[: len(places)] = source[places]
    return found


def _accumulated(array: NumpyArray, dtype: str) -> NumpyArray:
    """Sums and products of floats are taken in f64, those of integers in i64."""
    return array.astype(np.float64 if is_float(dtype) else np.int64)


def _scan(op: irregular.ScanOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    kind, source = op.kind.data, inputs[0]
    if kind in ("sum", "prod"):
        source = _accumulated(source, dtype_of(op.result.type))
    result: NumpyArray = _ufuncs[kind].accumulate(source, axis=op.axis.value.data)
    return result


def _searchsorted(op: irregular.SearchSortedOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    side: Any = op.side.data
    return np.asarray(np.searchsorted(inputs[0], inputs[1], side=side))


def _take_along(op: irregular.TakeAlongOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    axis = op.axis.value.data
    source, positions = inputs
    others = [k for k in range(source.ndim) if k != axis]
    if any(source.shape[k] != positions.shape[k] for k in others):
        raise KernelFault(f"extents of {source.shape} and {positions.shape} differ")
    return np.take_along_axis(source, _inside(positions, source.shape[axis]), axis=axis)


def _inside(positions: NumpyArray, extent: int) -> NumpyArray:
    wide = positions.astype(np.int64)
    if np.any((wide < -extent) | (wide >= extent)):
        raise KernelFault(f"a position outside an axis of {extent}")
    return np.where(wide < 0, wide + extent, wide)


def _scatter(op: irregular.ScatterOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    base, indices, values = inputs
    result = base.copy()
    rows = indices.shape + base.shape[1:]
    _require_stretch(shape_of(op.values.type), values.shape, rows)
    filled = np.broadcast_to(values, rows).astype(base.dtype)
    places = _inside(indices, base.shape[0])
    if op.kind.data == "set":
        for place in np.ndindex(indices.shape):
            result[places[place]] = filled[place]
    else:
        _ufuncs[op.kind.data].at(result, places, filled)
    return result


def _require_stretch(declared: Sequence[object], have: Sequence[int], want: Sequence[int]) -> None:
    """Only an extent written as 1 stretches."""
    for said, own, whole in zip(reversed(declared), reversed(have), reversed(want), strict=False):
        if said != 1 and own != whole:
            raise KernelFault(f"extents {own} and {whole} differ")


def neutral(kind: str, dtype: str) -> float | int:
    """What a group without members gives."""
    if kind in ("sum", "prod", "count"):
        return int(kind == "prod")
    if is_float(dtype):
        return float("inf") if kind == "min" else float("-inf")
    return integer_range(dtype)[kind == "min"]


def _segment(op: irregular.SegmentOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    keys, count = inputs[0].astype(np.int64), extent_of(inputs[1])
    if np.any((keys < 0) | (keys >= count)):
        raise KernelFault(f"a key outside {count} groups")
    kind, dtype = op.kind.data, dtype_of(op.result.type)
    if kind == "count":
        return np.bincount(keys, minlength=count)
    values = inputs[2]
    if len(values) != len(keys):
        raise KernelFault(f"{len(keys)} keys for {len(values)} values")
    if kind in ("sum", "prod"):
        values = _accumulated(values, dtype)
    result = np.full((count, *values.shape[1:]), neutral(kind, dtype), values.dtype)
    _ufuncs[kind].at(result, keys, values)
    return result


def _histogram(op: irregular.HistogramOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    edges = inputs[1]
    source = inputs[0].astype(edges.dtype)
    if len(edges) < 1 or not edges[0] <= edges[-1]:
        raise KernelFault("the edges of a histogram rise")
    bins = len(edges) - 1
    if bins == 0:
        return np.zeros(0)
    place = np.searchsorted(edges, source, side="right") - 1
    place = np.where(source == edges[-1], bins - 1, place)
    kept = (source >= edges[0]) & (source <= edges[-1])
    if op.weights is None:
        return np.bincount(place[kept], minlength=bins)
    weights = inputs[2]
    if weights.shape != source.shape:
        raise KernelFault(f"extents of {weights.shape} and {source.shape} differ")
    result = np.zeros(bins, np.float64 if is_float(dtype_of(op.result.type)) else np.int64)
    np.add.at(result, place[kept], weights[kept].astype(result.dtype))
    return result


def _linspace(op: irregular.LinspaceOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    low, high, count = inputs
    return np.linspace(float(low), float(high), extent_of(count))


_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)


def philox(seed: int, positions: NumpyArray) -> tuple[NumpyArray, ...]:
    """The four 32-bit words of Philox4x32-10 for each counter, as uint64."""
    counter = positions.astype(np.uint64)
    words = (counter & _LOW, counter >> _WORD, np.zeros_like(counter), np.zeros_like(counter))
    keys = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF]
    for _ in range(10):
        first, second = words[0] * _MULTIPLIERS[0], words[2] * _MULTIPLIERS[1]
        words = (
            second >> _WORD ^ words[1] ^ np.uint64(keys[0]),
            second & _LOW,
            first >> _WORD ^ words[3] ^ np.uint64(keys[1]),
            first & _LOW,
        )
        keys = [(key + step) & 0xFFFFFFFF for key, step in zip(keys, _WEYL, strict=True)]
    return words


def _random(op: irregular.RandomOp, inputs: Sequence[NumpyArray]) -> NumpyArray:
    shape = [extent_of(extent) for extent in inputs[1:]]
    return random_numbers(op.kind.data, dtype_of(op.result.type), int(inputs[0]), shape)


def random_numbers(kind: str, dtype: str, seed: int, shape: Sequence[int]) -> NumpyArray:
    """Random numbers of a kind, as `irregular.RandomOp` says, in f32 or wider."""
    positions = np.arange(int(np.prod(shape)), dtype=np.uint64).reshape(shape)
    words = philox(seed, positions)
    if kind == "bits":
        return (words[1] << _WORD | words[0]).view(np.int64)
    single = dtype == "f32"
    if kind == "uniform":
        return _fraction(words[0], words[1], single)
    radius = np.sqrt(-2 * np.log(1 - _fraction(words[0], words[1], single).astype(np.float64)))
    angle = 2 * np.pi * _fraction(words[2], words[3], single).astype(np.float64)
    return np.asarray(radius * np.cos(angle))


def _fraction(low: NumpyArray, high: NumpyArray, single: bool) -> NumpyArray:
    """24 or 53 of the bits as a number in [0, 1)."""
    if single:
        return (low >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    return ((high << _WORD | low) >> np.uint64(11)).astype(np.float64) * 2.0**-53


evaluators: dict[type[Operation], Callable[[Any, Sequence[NumpyArray]], NumpyArray]] = {
    irregular.SortOp: _sort,
    irregular.ArgsortOp: _argsort,
    irregular.OrderStatisticsOp: _order_statistics,
    irregular.TruePositionsOp: _true_positions,
    irregular.PickOp: _picked,
    irregular.ScanOp: _scan,
    irregular.SearchSortedOp: _searchsorted,
    irregular.TakeAlongOp: _take_along,
    irregular.ScatterOp: _scatter,
    irregular.SegmentOp: _segment,
    irregular.HistogramOp: _histogram,
    irregular.LinspaceOp: _linspace,
    irregular.RandomOp: _random,
}
"""The meaning of each operator, from inputs to its one result."""
