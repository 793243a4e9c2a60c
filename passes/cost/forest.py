"""Forests of regression trees, frozen into arrays, evaluated without the library that fitted them.

All nodes of all trees are compared at once, and each comparison that fails crosses out the leaves on its
left; what stands first among the rest is the leaf that a walk from the root would reach. Lucchese et al.,
"QuickScorer: A Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees" (SIGIR 2015).
300 trees of 31 leaves take some 20 microseconds; a walk in Python takes ten times that.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

MOST_TREES = 2000
MOST_LEAVES = 64
"""Leaves of a tree: one bit each."""
MOST_FEATURES = 1000


class ForestError(ValueError):
    """Data that is no forest; the message says why."""


@frozen(eq=False)
class Forest:
    """Trees padded to one size, of several functions of the same row, which begin at the trees in `starts`.

    `features`, `thresholds` and `left_leaves` (a bit for each leaf to the left of a node) are trees x nodes,
    `leaves` trees x leaves. The value of a function is the sum of its trees.
    """

    starts: NDArray[np.intp]
    features: NDArray[np.intp]
    thresholds: NDArray[np.float64]
    left_leaves: NDArray[np.uint64]
    leaves: NDArray[np.float64]


def evaluate(forest: Forest, row: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of each function for a row of features, none of which is NaN."""
    failed = row[forest.features] > forest.thresholds
    rest = ~np.bitwise_or.reduce(forest.left_leaves * failed, axis=1)
    _, place = np.frexp(rest & (~rest + np.uint64(1)))  # of the lowest bit: exact, for it is a power of two
    values = np.take_along_axis(forest.leaves, place[:, None] - 1, axis=1)[:, 0]
    return np.add.reduceat(values, forest.starts)


def forest_of(functions: Sequence[Sequence[Mapping[str, Any]]]) -> Forest:
    """The forest of some functions, each given as its trees.

    A tree has its nodes in preorder: `features` names the feature of each, -1 for a leaf, and `numbers` its
    threshold, or the value of the leaf. A row goes left where its feature is at most the threshold. Raises
    ForestError where something is malformed or too large.
    """
    trees = [_tree(tree) for function in functions for tree in function]
    if not all(functions) or not 0 < len(trees) <= MOST_TREES:
        raise ForestError(
            f"functions of {[len(function) for function in functions]} trees, at most {MOST_TREES}"
        )
    nodes = max(max(len(nodes) for nodes, _ in trees), 1)
    shape = len(trees), nodes
    features, left = np.zeros(shape, np.intp), np.zeros(shape, np.uint64)
    thresholds = np.full(shape, np.inf)
    leaves = np.zeros((len(trees), max(len(values) for _, values in trees)))
    for number, (found, values) in enumerate(trees):
        for place, (feature, threshold, bits) in enumerate(found):
            features[number, place], thresholds[number, place], left[number, place] = feature, threshold, bits
        leaves[number, : len(values)] = values
    starts = np.cumsum([0, *map(len, functions)])[:-1]
    return Forest(starts, features, thresholds, left, leaves)


def _tree(tree: object) -> tuple[list[tuple[int, float, int]], list[float]]:
    """Nodes as (feature, threshold, bits of the leaves to the left), and the leaves from left to right."""
    if not isinstance(tree, Mapping):
        raise ForestError("a tree is an object with `features` and `numbers`")
    nodes: list[tuple[int, float, int]] = []
    leaves: list[float] = []
    waiting: list[tuple[int, float, int]] = []  # nodes whose left side is read, with their leaves before it
    pending = 1  # subtrees still to come
    for feature, number in _entries(tree):
        if not pending:
            raise ForestError("a tree goes on behind its last leaf")
        if feature >= 0:
            waiting.append((feature, number, len(leaves)))
            pending += 1
            continue
        leaves.append(number)
        pending -= 1
        if waiting and pending:
            feature, threshold, first = waiting.pop()
            nodes.append((feature, threshold, (1 << len(leaves)) - (1 << first)))
    if pending or len(leaves) > MOST_LEAVES:
        raise ForestError(f"a tree ends too early, or has more than {MOST_LEAVES} leaves")
    return nodes, leaves


def _entries(tree: Mapping[str, Any]) -> Iterable[tuple[int, float]]:
    features, numbers = tree.get("features"), tree.get("numbers")
    if not isinstance(features, list) or not isinstance(numbers, list) or len(features) != len(numbers):
        raise ForestError("`features` and `numbers` of a tree are lists of one length")
    for feature, number in zip(features, numbers, strict=True):
        if type(feature) is not int or not -1 <= feature < MOST_FEATURES:
            raise ForestError(f"no feature: {str(feature)[:40]}")
        if type(number) not in (int, float) or not np.isfinite(number):
            raise ForestError(f"no finite number: {str(number)[:40]}")
        yield feature, float(number)
