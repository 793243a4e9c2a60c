"""Ways of kernels: measured beside one another, learned from, and left alone where there is too little."""

from collections.abc import Iterator

import numpy as np
import pytest

from flowc.compiler.tuning import ways
from flowc.compiler.tuning.measure import Arrays
from flowc.compiler.tuning.programs import Trial
from flowc.compiler.tuning.ways import WaySample, fit_ways, measure_ways, tune_ways
from flowc.passes.cost.variant_features import FEATURES
from flowc.passes.cost.variant_model import as_json, change, from_json
from flowc.runtime.native import threads

TEXT = """
kernel k(a: f32[n, m]) -> f32[n, m]:
    t = tanh(a)
    u = mean(t, axis=0, keepdims=true)
    return (t - u) * 0.5 + u
"""


def sample(number: int, seconds: float = 0.0, usual: float = 1e-4) -> WaySample:
    """Of a way that takes twice as long where its first feature is above 10, else half as long."""
    first = float(number % 20)
    features = (first, *[0.0] * (len(FEATURES) - 1))
    taken = seconds or usual * (2.0 if first > 10 else 0.5)
    return WaySample("text", number, {}, "near", "pack always", features, taken, usual)


def test_all_ways_of_a_call_are_measured_on_one_thread_beside_the_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ways, "SECONDS", 0.0)
    before = threads()
    trial = Trial("passes", TEXT, ({"n": 20, "m": 30}, {"n": 200, "m": 9}), {})
    found = list(measure_ways(trial, Arrays()))
    assert threads() == before
    assert {each.choice for each in found} == {"recompute", "strip"}
    for call in (0, 1):
        own = [each for each in found if each.call == call]
        assert len({each.usual for each in own}) == 1
        assert len({(each.choice, each.name) for each in own}) == len(own)
        assert all(each.seconds > 0 and np.isfinite(each.features).all() for each in own)


def test_a_model_learns_what_samples_say_and_is_the_same_after_storing_it() -> None:
    pytest.importorskip("lightgbm")
    model = fit_ways([sample(number) for number in range(400)])
    again = from_json(as_json(model))
    for each in (model, again):
        slower, faster = (change(each, (first, *[0.0] * (len(FEATURES) - 1))) for first in (15.0, 5.0))
        assert slower.middle == pytest.approx(1.0, abs=0.1)
        assert faster.middle == pytest.approx(-1.0, abs=0.1)
    assert again.samples == 400


@pytest.mark.parametrize("bad", [{"seconds": 1e-12}, {"seconds": 1e6}, {"usual": 1e-9}])
def test_times_that_are_none_teach_nothing(bad: dict[str, float]) -> None:
    pytest.importorskip("lightgbm")
    model = fit_ways([*(sample(number) for number in range(400)), *(sample(n, **bad) for n in range(50))])
    assert model.samples == 400


def test_too_few_samples_give_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(trial: Trial, arrays: Arrays) -> Iterator[WaySample]:
        yield sample(1)

    monkeypatch.setattr(ways, "measure_ways", few)
    heard: list[float] = []
    assert tune_ways(1e-9, lambda over, samples: heard.append(over)) is None
    assert heard == [1.0]
