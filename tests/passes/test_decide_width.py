"""How many threads loops ask for: as many as calls are worth, and by fixed prices where that is unknown."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import frozen

from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.types import array_type
from flowc.passes import decide_width
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.array_to_loops.width import AS_IT_IS
from flowc.passes.cost.kernel_model import ModelError, Prediction
from flowc.passes.decide_width import LEAST, MOST, decided_work, width, width_decision
from flowc.passes.fuse_array import fuse_array
from flowc.passes.kernel_choices import Choices, choose
from flowc.passes.launches import launches
from flowc.passes.usual_sizes import Sizes, sizes_of
from flowc.testing.strategies.kernels import Add, as_module, make_kernel


def product(add: Add, a: Any, b: Any) -> Sequence[Any]:
    return [add(build.contract(a, b))]


@frozen
class Lowered:
    """A kernel, its loops, and the operators in them."""

    kernel: Any
    function: Any
    groups: Any


@pytest.fixture
def lowered() -> Lowered:
    kernel = make_kernel({"a": array_type("f32", ("n", "k")), "b": array_type("f32", ("k", "m"))}, product)
    fuse_array(as_module(kernel))
    function, checks = lower_kernel(kernel, "k", 512, ("contiguous",) * 2)
    return Lowered(kernel, function, checks.groups)


def work_of(function: Any, sizes: Sizes) -> float:
    return sum(each.work for each in launches(function, sizes)) / 1e9


def expecting(monkeypatch: pytest.MonkeyPatch, function: Any, times: float, spread: float = 1.1) -> None:
    """Calls take so many times as long as their loops say."""

    def predict(model: object, counts: object, threads: int, sizes: Sizes) -> Prediction:
        seconds = work_of(function, sizes) * times
        return Prediction(seconds, seconds / spread, seconds * spread, seconds, 0.5)

    @frozen
    class Found:
        model: object = None
        tuned: bool = True

    monkeypatch.setattr(decide_width, "predict", predict)
    monkeypatch.setattr(decide_width, "chosen", Found)


@pytest.mark.parametrize(
    ("times", "percent"),
    [
        (1.0, AS_IT_IS),
        (1.9, AS_IT_IS),
        (4.0, 400),
        (1 / 3, 33),
        (1e6, AS_IT_IS),
        (1e-6, AS_IT_IS),
        (16.0, MOST),
    ],
)
def test_loops_say_the_work_that_calls_are_expected_to_be(
    monkeypatch: pytest.MonkeyPatch, lowered: Lowered, times: float, percent: int
) -> None:
    expecting(monkeypatch, lowered.function, times)
    assert decided_work(lowered.kernel, lowered.function, lowered.groups) == pytest.approx(percent, abs=1)
    assert LEAST <= percent <= MOST


def test_what_is_unsure_changes_nothing(monkeypatch: pytest.MonkeyPatch, lowered: Lowered) -> None:
    expecting(monkeypatch, lowered.function, 4.0, spread=10.0)
    assert decided_work(lowered.kernel, lowered.function, lowered.groups) == AS_IT_IS


def test_without_a_model_the_prices_hold(monkeypatch: pytest.MonkeyPatch, lowered: Lowered) -> None:
    def broken() -> None:
        raise ModelError("none")

    monkeypatch.setattr(decide_width, "chosen", broken)
    assert decided_work(lowered.kernel, lowered.function, lowered.groups) == AS_IT_IS


def test_what_was_chosen_by_hand_stays(monkeypatch: pytest.MonkeyPatch, lowered: Lowered) -> None:
    expecting(monkeypatch, lowered.function, 4.0)
    choose(lowered.kernel, Choices(work=50))
    assert decided_work(lowered.kernel, lowered.function, lowered.groups) == AS_IT_IS


def test_the_record_says_how_many_threads_there_would_have_been(lowered: Lowered) -> None:
    calls = (sizes_of([(edge, edge), (edge, edge)]) for edge in range(16, 400))
    sizes = next(each for each in calls if width(lowered.function, each, AS_IT_IS, 2) == 2)
    assert width(lowered.function, sizes, LEAST, 2) == 1
    record = width_decision(lowered.kernel, lowered.function, lambda threads: 1e-3 * threads, sizes, LEAST, 2)
    assert record is not None
    assert (record.default.name, record.choice, record.gain) == ("2 threads", "1 thread", 1.0)
    usual = width_decision(lowered.kernel, lowered.function, lambda threads: 1e-3, sizes, AS_IT_IS, 2)
    assert usual is not None
    assert (usual.choice, usual.gain, usual.sure) == ("2 threads", 0.0, False)
    assert width_decision(lowered.kernel, lowered.function, lambda threads: 1e-3, sizes, LEAST, 1) is None


def test_more_percent_never_give_fewer_threads(lowered: Lowered) -> None:
    sizes = sizes_of([(300, 200), (200, 500)])
    found = [width(lowered.function, sizes, percent, 16) for percent in (0, 25, 100, 400, 10_000)]
    assert found == sorted(found)
    assert found[0] == 1 < found[-1] <= 16


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        (lambda add, x: [add(build.elementwise("exp", [x]))], False),
        (lambda add, x: [add(irregular_build.sort(x))], True),
    ],
)
def test_the_model_is_asked_about_operators_without_a_price_alone(
    monkeypatch: pytest.MonkeyPatch, body: Any, asks: bool
) -> None:
    asked: list[bool] = []

    def chosen() -> None:
        asked.append(True)
        raise ModelError("none")

    monkeypatch.setattr(decide_width, "chosen", chosen)
    kernel = make_kernel({"x": array_type("f32", ("n", "m"))}, body)
    function, checks = lower_kernel(kernel, "k", 512, ("contiguous",))
    assert decided_work(kernel, function, checks.groups) == AS_IT_IS
    assert bool(asked) == asks
