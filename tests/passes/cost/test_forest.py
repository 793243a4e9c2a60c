"""A frozen forest says what a walk through its trees says, and nothing malformed becomes one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.forest import MOST_LEAVES, ForestError, evaluate, forest_of

WIDTH = 4
numbers = st.integers(-8, 8).map(lambda number: number / 4)
leaves = st.builds(lambda number: {"features": [-1], "numbers": [number]}, numbers)


def _node(
    feature: int, threshold: float, left: Mapping[str, Any], right: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "features": [feature, *left["features"], *right["features"]],
        "numbers": [threshold, *left["numbers"], *right["numbers"]],
    }


trees = st.recursive(
    leaves,
    lambda inner: st.builds(_node, st.integers(0, WIDTH - 1), numbers, inner, inner),
    max_leaves=MOST_LEAVES // 2,
)


def _walk(tree: Mapping[str, Any], row: list[float]) -> float:
    """The leaf that comparisons lead to, from the root on."""

    def skip(place: int) -> int:
        return place + 1 if tree["features"][place] < 0 else skip(skip(place + 1))

    place = 0
    while (feature := tree["features"][place]) >= 0:
        place = place + 1 if row[feature] <= tree["numbers"][place] else skip(place + 1)
    number: float = tree["numbers"][place]
    return number


@given(st.lists(st.lists(trees, min_size=1, max_size=5), min_size=1, max_size=3), st.data())
def test_a_forest_gives_the_sums_of_what_walks_through_its_trees_give(
    functions: list[list[Mapping[str, Any]]], data: st.DataObject
) -> None:
    row = data.draw(st.lists(numbers, min_size=WIDTH, max_size=WIDTH))
    found = evaluate(forest_of(functions), np.array(row))
    assert found.tolist() == [sum(_walk(tree, row) for tree in function) for function in functions]


def test_a_tree_may_have_as_many_leaves_as_there_are_bits() -> None:
    chain: Mapping[str, Any] = {"features": [-1], "numbers": [0.0]}
    for number in range(1, MOST_LEAVES):
        chain = _node(0, -number / 2, {"features": [-1], "numbers": [float(number)]}, chain)
    for value in (-40.0, -10.2, -0.7, 0.0, 3.0):
        row = [value] * WIDTH
        assert evaluate(forest_of([[chain]]), np.array(row)).tolist() == [_walk(chain, row)]
    with pytest.raises(ForestError):
        forest_of([[_node(0, 0.0, chain, chain)]])


@pytest.mark.parametrize(
    "tree",
    [
        {},
        [],
        {"features": [], "numbers": []},
        {"features": [0], "numbers": [1.0]},
        {"features": [0, -1], "numbers": [1.0, 2.0]},
        {"features": [-1, -1], "numbers": [1.0, 2.0]},
        {"features": [-1], "numbers": [1.0, 2.0]},
        {"features": [-2], "numbers": [1.0]},
        {"features": [10**6, -1, -1], "numbers": [1.0, 1.0, 1.0]},
        {"features": [True, -1, -1], "numbers": [1.0, 1.0, 1.0]},
        {"features": [-1], "numbers": [float("nan")]},
        {"features": [-1], "numbers": [float("inf")]},
        {"features": [-1], "numbers": ["1"]},
    ],
)
def test_what_is_no_tree_is_refused(tree: Any) -> None:
    with pytest.raises(ForestError):
        forest_of([[tree]])


def test_a_forest_has_trees_for_each_function_and_not_too_many() -> None:
    leaf = {"features": [-1], "numbers": [1.0]}
    for functions in ([], [[]], [[leaf], []], [[leaf] * 3000]):
        with pytest.raises(ForestError):
            forest_of(functions)
