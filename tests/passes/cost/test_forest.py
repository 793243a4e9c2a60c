"""A frozen forest says what a walk through its trees says, and nothing malformed becomes one."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.forest import ForestError, as_data, evaluate, forest_of, from_data

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
    max_leaves=32,
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


@given(st.lists(st.lists(trees, min_size=1, max_size=20), min_size=1, max_size=3), st.data())
def test_a_forest_gives_the_sums_of_what_walks_through_its_trees_give(
    functions: list[list[Mapping[str, Any]]], data: st.DataObject
) -> None:
    row = data.draw(st.lists(numbers, min_size=WIDTH, max_size=WIDTH))
    found = evaluate(forest_of(functions), np.array(row))
    assert found.tolist() == [sum(_walk(tree, row) for tree in function) for function in functions]


def test_a_row_that_is_too_short_is_refused() -> None:
    forest = forest_of([[{"features": [WIDTH, -1, -1], "numbers": [0.0, 1.0, 2.0]}]])
    assert evaluate(forest, np.ones(WIDTH + 1)).tolist() == [2.0]
    with pytest.raises(ValueError, match="are asked for"):
        evaluate(forest, np.ones(WIDTH))


@given(st.lists(st.lists(trees, min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_a_forest_comes_back_from_its_data(
    functions: list[list[Mapping[str, Any]]], data: st.DataObject
) -> None:
    forest = forest_of(functions)
    again = from_data(json.loads(json.dumps(as_data(forest))))
    row = np.array(data.draw(st.lists(numbers, min_size=WIDTH, max_size=WIDTH)))
    assert evaluate(again, row).tolist() == evaluate(forest, row).tolist()


_WHOLE = as_data(forest_of([[{"features": [0, -1, 1, -1, -1], "numbers": [0.5, 1.0, 2.0, 3.0, 4.0]}]]))


@given(st.sampled_from(sorted(_WHOLE)), st.data())
def test_what_is_read_back_ends_at_leaves_whatever_number_is_changed(name: str, data: st.DataObject) -> None:
    values = list(_WHOLE[name])
    place = data.draw(st.integers(0, len(values) - 1))
    values[place] = data.draw(st.integers(-5, 5) | st.integers() | st.floats() | st.none() | st.text())
    try:
        forest = from_data(_WHOLE | {name: values})
    except ForestError:
        return
    found = evaluate(forest, np.zeros(max(forest.width, 1)))
    assert set(found) <= {0.0, *forest.leaves}


@pytest.mark.parametrize(
    "changes",
    [
        {"left": [1, 0]},  # a circle
        {"roots": [0, 0], "ends": [2]},  # two trees in one
        {"right": [0, -3]},
        {"left": [-4, -2]},
        {"left": [2, -2]},
        {"left": [-1]},
        {"features": [0, -1]},
        {"features": [0.5, 1]},
        {"features": [True, False]},
        {"thresholds": [0.5, float("nan")]},
        {"thresholds": [0.5, float("inf")]},
        {"thresholds": [0.5, "1"]},
        {"thresholds": [0.5, [1]]},
        {"thresholds": None},
        {"leaves": []},
        {"leaves": [10**400, 1.0, 2.0]},
        {"roots": []},
        {"roots": [2]},
        {"roots": [-4]},
        {"ends": []},
        {"ends": [0]},
        {"ends": [2]},
        {"ends": [1, 1]},
        {"roots": [0] * 3000, "ends": [3000]},
    ],
)
def test_what_is_no_forest_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ForestError):
        from_data(_WHOLE | changes)


@pytest.mark.parametrize("data", [None, [], {}, 3, "forest"])
def test_what_is_no_object_of_lists_is_refused(data: object) -> None:
    with pytest.raises(ForestError):
        from_data(data)
