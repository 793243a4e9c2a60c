"""A task model as JSON: it comes back as it was, and what is none is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.task_model import forecasts, learn
from flowc.passes.cost.task_samples import Origin, Sample, Traits
from flowc.passes.cost.task_tables import as_json, from_json

traits = st.builds(
    Traits,
    st.sampled_from(["align", "größe", ""]),
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.text(max_size=4),
    st.integers(0, 9),
)
samples = st.builds(
    Sample, traits, st.floats(1e-6, 1e9), st.builds(Origin, st.text(max_size=6), st.text(max_size=3))
)


@given(st.lists(samples, max_size=12), st.lists(traits, max_size=4))
def test_a_model_that_was_stored_forecasts_the_same(known: list[Sample], asked: list[Traits]) -> None:
    model = learn(known)
    assert forecasts(from_json(as_json(model)), asked) == forecasts(model, asked)


def _cut(found: Any) -> None:
    del found["categories"]["align"]["inputs"]


def _longer(found: Any) -> None:
    found["categories"]["align"]["logarithms"].append(1.0)


def _infinite(found: Any) -> None:
    found["categories"]["align"]["logarithms"][0] = float("inf")


def _huge(found: Any) -> None:
    found["categories"]["align"]["features"][0][0] = 1e300


def _elsewhere(found: Any) -> None:
    found["categories"]["align"]["origins"][0] = 7


def _later(found: Any) -> None:
    found["format"] = 2


def _words(found: Any) -> None:
    found["categories"]["align"]["features"] = [["a", "b", "c"]]


@pytest.mark.parametrize("damage", [_cut, _longer, _infinite, _huge, _elsewhere, _later, _words])
def test_a_damaged_model_is_refused(damage: Callable[[Any], None]) -> None:
    found = json.loads(as_json(learn([Sample(Traits("align"), 2.0, Origin("one"))])))
    damage(found)
    with pytest.raises(ValueError, match=r"."):
        from_json(json.dumps(found))


@pytest.mark.parametrize("text", ["", "[]", "{", "7", '{"format": 1}', "[" * 100_000, '{"categories": {}}'])
def test_what_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)
