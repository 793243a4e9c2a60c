"""A kernel that was measured is foretold as it was, the more surely the more often, at other sizes too."""

import math

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.forest import forest_of
from flowc.passes.cost.kernel_amounts import KernelCounts, kernel_counts
from flowc.passes.cost.kernel_correction import (
    Correction,
    called_with,
    corrected,
    correction,
    kernel_expectation,
)
from flowc.passes.cost.kernel_features import COMBINATIONS, FEATURES
from flowc.passes.cost.kernel_model import KernelModel, Prediction, predict
from flowc.passes.cost.kernel_roofline import Machine
from flowc.passes.cost.kernel_work import KernelWork, LoopWork, Product
from flowc.runtime.expectations import KernelExpectation
from flowc.runtime.history.kernel_samples import KernelSample
from flowc.runtime.machine import this_machine

MACHINE = Machine("some", 1, np.array([10.0, 20.0]), np.array([4e9, 1e9]), 1e10, 1e11, 1e-6, 1e-8, 64)


def model(spread: float = 1.0) -> KernelModel:
    """One that says the roofline, and is so unsure of it, in doublings."""
    trees = [[{"features": [-1], "numbers": [value]}] for value in (-spread, 0.0, spread)]
    most = np.full(len(FEATURES), 100.0)
    return KernelModel({1: MACHINE}, forest_of(trees), -most, most, np.ones(len(COMBINATIONS), np.bool_), 9)


def added() -> KernelCounts:
    """A kernel that adds two vectors."""
    whole, moved = Product(1, (("dim", 0, 0),)), Product(4, (("dim", 0, 0),))
    reads = (("plain", moved), ("plain", moved))
    loop = LoopWork((("add", whole),), reads, (moved,), (), whole, whole, 4, False, False)
    return kernel_counts(KernelWork((loop,), (moved, moved, moved)))


COUNTS = added()


def said(count: int, by: KernelModel | None = None) -> Prediction:
    return predict(by or model(), COUNTS, 1, called_with(f"{count},{count}"))


def seen(times: float, *sizes: int, each: int = 3, by: KernelModel | None = None) -> KernelExpectation:
    """Calls that took so many times longer than the model says."""
    samples = [
        KernelSample("k", this_machine(), f"{size},{size}", 1, times * said(size, by).seconds)
        for size in sizes
        for _ in range(each)
    ]
    return kernel_expectation(samples)


def known(expectation: KernelExpectation, by: KernelModel | None = None) -> Correction:
    found = correction(by or model(), COUNTS, expectation)
    assert found is not None
    return found


def foretold(size: int, expectation: KernelExpectation, by: KernelModel | None = None) -> Prediction:
    using = by or model()
    return corrected(using, COUNTS, 1, called_with(f"{size},{size}"), known(expectation, using))


def test_a_kernel_that_took_four_times_as_long_is_expected_to() -> None:
    found = foretold(20_000, seen(4.0, 10_000, 40_000))
    assert found.factor == pytest.approx(4.0, rel=0.1)
    assert found.seconds == pytest.approx(found.factor * said(20_000).seconds)
    assert found.low < found.seconds < found.high
    assert found.high / found.low < said(20_000).high / said(20_000).low
    assert found.samples == 6


def test_the_fewer_calls_and_the_farther_off_the_less_they_count() -> None:
    near = foretold(10_000, seen(4.0, 10_000, each=4)).factor
    once = foretold(10_000, seen(4.0, 10_000, each=1)).factor
    far = foretold(100_000_000, seen(4.0, 10_000, each=4)).factor
    assert 4.0 > near > once > far > 1.0


def test_a_model_that_is_sure_of_itself_is_corrected_less() -> None:
    sure, unsure = (
        foretold(10_000, seen(4.0, 10_000, each=1, by=by), by).factor for by in (model(0.1), model(2.0))
    )
    assert 1.0 < sure < unsure < 4.0


def test_calls_that_disagree_by_size_count_where_they_are() -> None:
    calls = [*seen(2.0, 1_000).calls, *seen(8.0, 1_000_000).calls]
    expectation = KernelExpectation(this_machine(), tuple(calls))
    small, large = (foretold(size, expectation).factor for size in (1_000, 1_000_000))
    assert small < 4.0 < large


def test_a_call_that_hung_among_others_bends_nothing() -> None:
    taken = [said(10_000).seconds * times for times in (2.0, 2.0, 2.0, 2.0, 90.0)]
    samples = [KernelSample("k", this_machine(), "10000,10000", 1, seconds) for seconds in taken]
    assert foretold(10_000, kernel_expectation(samples)).factor == pytest.approx(2.0, rel=0.2)


def test_what_another_machine_took_or_cannot_be_corrects_nothing() -> None:
    usual = seen(4.0, 10_000)
    assert correction(model(), COUNTS, evolve(usual, machine="other x 9")) is None
    assert correction(model(), COUNTS, seen(1e4, 10_000)) is None
    for sizes in ("", "a", "=3,=3", ",", "8x"):
        calls = tuple(evolve(each, sizes=sizes) for each in usual.calls)
        assert correction(model(), COUNTS, evolve(usual, calls=calls)) is None


def test_without_samples_a_prediction_is_the_model_alone() -> None:
    sizes = called_with("500,500")
    assert corrected(model(), COUNTS, 1, sizes, None) == predict(model(), COUNTS, 1, sizes)
    assert (said(500).factor, said(500).samples) == (1.0, 0)


@given(
    st.lists(
        st.tuples(st.integers(1, 1 << 30), st.floats(1e-8, 1e5), st.integers(1, 64)), min_size=1, max_size=6
    ),
    st.integers(1, 1 << 30),
)
def test_whatever_was_measured_a_prediction_is_a_time_within_its_interval(
    calls: list[tuple[int, float, int]], size: int
) -> None:
    samples = [KernelSample("k", this_machine(), f"{n},{n}", width, taken) for n, taken, width in calls]
    found = correction(model(), COUNTS, kernel_expectation(samples))
    made = corrected(model(), COUNTS, 1, called_with(f"{size},{size}"), found)
    assert 0.0 < made.low <= made.seconds <= made.high < math.inf
