"""Forests of regression trees, frozen into arrays and walked by native code of our own.

Four hundred trees of up to 63 leaves take some 10 microseconds, whatever the row; a call of the library that
fitted them, for one row, 500.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from flowc.runtime.native.library import library

MOST_TREES = 2000
MOST_NODES = 1 << 18

_NODE = np.dtype([("threshold", np.float64), ("feature", np.int32), ("children", np.int32, 2)], align=True)
_COLUMNS = ("thresholds", "features", "left", "right", "leaves", "roots", "ends")


class ForestError(ValueError):
    """Data that is no forest; the message says why."""


@frozen(eq=False)
class Forest:
    """Trees of several functions of the same row; those of each end before the tree in `ends`.

    A row goes left at a node where its feature is at most the threshold. `roots` and the children of `nodes`
    that are below zero are leaves: the complement of their number. Children come behind their parents. The
    value of a function is the sum of its trees. A row has `width` features at least.
    """

    nodes: NDArray[Any]
    leaves: NDArray[np.float64]
    roots: NDArray[np.int64]
    ends: NDArray[np.int64]
    width: int = field(init=False)
    places: tuple[int, int, int, int] = field(init=False, repr=False)

    @width.default
    def _asked(self) -> int:
        return int(self.nodes["feature"].max(initial=-1)) + 1

    @places.default
    def _found(self) -> tuple[int, int, int, int]:
        nodes, leaves, roots, ends = self.nodes, self.leaves, self.roots, self.ends
        return _address(nodes), _address(leaves), _address(roots), _address(ends)


def _address(array: NDArray[Any]) -> int:
    """Where an array begins; `array.ctypes.data` takes three times as long."""
    place: int = array.__array_interface__["data"][0]
    return place


def evaluate(forest: Forest, row: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of each function for a row of features, none of which is NaN."""
    row = np.ascontiguousarray(row, np.float64)
    if len(row) < forest.width:
        raise ValueError(f"{len(row)} features, where {forest.width} are asked for")
    found = np.empty(len(forest.ends))
    nodes, leaves, roots, ends = forest.places
    _walk()(_address(row), nodes, leaves, roots, ends, len(forest.ends), _address(found))
    return found


@cache
def _walk() -> Callable[[int, int, int, int, int, int, int], None]:
    return library().forest


def forest_of(functions: Sequence[Sequence[Mapping[str, Any]]]) -> Forest:
    """The forest of some functions, each given as its trees.

    A tree has its nodes in preorder: `features` names the feature of each, -1 for a leaf, and `numbers` its
    threshold, or the value of the leaf.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for function in functions:
        for tree in function:
            above: list[list[int]] = []  # children of the nodes that lack some, the innermost last
            for feature, number in zip(tree["features"], tree["numbers"], strict=True):
                place = len(columns["features"]) if feature >= 0 else ~len(columns["leaves"])
                (above[-1] if above else columns["roots"]).append(place)
                if feature < 0:
                    columns["leaves"].append(number)
                else:
                    for name, value in (("thresholds", number), ("features", feature)):
                        columns[name].append(value)
                    above.append([])
                    columns["left"].append(above[-1])
                while above and len(above[-1]) == 2:
                    above.pop()
        columns["ends"].append(len(columns["roots"]))
    pairs = columns["left"]
    columns["left"], columns["right"] = [left for left, _ in pairs], [right for _, right in pairs]
    return from_data(columns)


def as_data(forest: Forest) -> dict[str, list[Any]]:
    """The forest as lists of numbers."""
    nodes, rest = forest.nodes, (forest.leaves, forest.roots, forest.ends)
    arrays = (nodes["threshold"], nodes["feature"], *nodes["children"].T, *rest)
    return {name: array.tolist() for name, array in zip(_COLUMNS, arrays, strict=True)}


def from_data(data: object) -> Forest:
    """The forest in lists of numbers, as `as_data` gives them; raises ForestError where they are none."""
    if not isinstance(data, Mapping):
        raise ForestError("a forest is an object")
    thresholds, leaves = (_array(data, name, np.float64) for name in ("thresholds", "leaves"))
    features, left, right, roots, ends = (
        _array(data, name, np.int64) for name in ("features", "left", "right", "roots", "ends")
    )
    count = len(thresholds)
    if not len(features) == len(left) == len(right) == count:
        raise ForestError("the nodes of a forest lack something")
    children, parents = np.concatenate([left, right]), np.tile(np.arange(count), 2)
    leads = ((children > parents) | (children < 0)) & (children < count) & (children >= -len(leaves))
    starts = (roots < count) & (roots >= -len(leaves))
    named = np.concatenate([roots, children])
    if np.bincount(named[(named >= 0) & (named < count)], minlength=1).max() > 1:
        raise ForestError("two trees share a node")
    if not (leads.all() and starts.all() and (features >= 0).all() and (features < MOST_NODES).all()):
        raise ForestError("a tree leads nowhere")
    if not len(ends) or ends[-1] != len(roots) or (np.diff(ends, prepend=0) <= 0).any():
        raise ForestError("a function has no trees")
    nodes = np.empty(count, _NODE)
    nodes["threshold"], nodes["feature"] = thresholds, features
    nodes["children"] = np.stack([left, right], axis=1)
    return Forest(nodes, leaves, roots, ends)


def _array(data: Mapping[str, Any], name: str, dtype: type[np.float64] | type[np.int64]) -> NDArray[Any]:
    """A list of numbers, none of them too many, infinite or NaN, as an array."""
    most = MOST_TREES if name in ("roots", "ends") else MOST_NODES
    values = data.get(name)
    if not isinstance(values, list) or len(values) > most:
        raise ForestError(f"`{name}` of a forest is a list of at most {most:,} numbers")
    try:
        found = np.array(values) if values else np.empty(0, dtype)
    except (ValueError, OverflowError) as error:
        raise ForestError(f"`{name}` of a forest has something that is no number") from error
    if found.ndim != 1 or found.dtype.kind not in ("if" if dtype is np.float64 else "i"):
        raise ForestError(f"`{name}` of a forest has something that is no number")
    if not np.isfinite(found).all():
        raise ForestError(f"`{name}` of a forest has something that is not finite")
    return found.astype(dtype)
