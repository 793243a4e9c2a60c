"""Forecasts of task times: from similar tasks of other configurations, corrected by the run itself."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.running_times import RunningTimes
from flowc.passes.cost.task_model import MOST_SAMPLES, forecasts, learn
from flowc.passes.cost.task_samples import Origin, Sample, Traits, category

SMALL, LARGE = Traits("align", 10**3, 10**3, "a"), Traits("align", 10**9, 10**9, "b")


def samples(*runs: tuple[str, Traits, float]) -> list[Sample]:
    return [Sample(traits, seconds, Origin(name)) for name, traits, seconds in runs]


def median(model_of: list[Sample], traits: Traits, origin: str = "asked-001") -> float | None:
    (found,) = forecasts(learn(model_of), [traits], Origin(origin))
    return None if found is None else found.median


def test_a_program_is_its_own_category_whatever_its_tasks_are_called() -> None:
    assert category("blastall_ID000004") == category("blastall_ID000123") == "blastall"
    assert category("anything", "bowtie2-build") == "bowtie2-build"
    assert category("NFCORE.ATACSEQ.FASTQC_6", "printf '%s' a.gz | fastqc") == "FASTQC"
    assert category("007") == "007"
    assert category("split_2_07") == "split_2"
    assert category("run12-ID3") == "run12"
    assert category("7" * 30_000 + "x") == "7" * 30_000 + "x"


def test_a_category_that_was_never_seen_has_no_forecast() -> None:
    assert median(samples(("one", SMALL, 2.0)), Traits("other")) is None
    assert forecasts(learn([]), [SMALL]) == [None]


def test_tasks_that_read_as_much_tell_more() -> None:
    known = samples(*[("one", SMALL, 2.0)] * 6, *[("two", LARGE, 200.0)] * 6)
    assert median(known, Traits("align", 1_100, 1_100)) == pytest.approx(2.0)
    assert median(known, Traits("align", 10**9 // 2, 10**9 // 2)) == pytest.approx(200.0)


def test_tasks_that_read_the_same_files_tell_most() -> None:
    known = samples(*[("one", Traits("align", 1_000, 1_000, "x"), 2.0)] * 8)
    known += samples(("two", Traits("align", 1_000, 1_000, "y"), 50.0))
    assert median(known, Traits("align", 1_000, 1_000, "z")) == pytest.approx(2.0)
    assert median(known, Traits("align", 1_000, 1_000, "y")) == pytest.approx(50.0)


def test_repeats_of_the_asked_configuration_teach_nothing() -> None:
    known = samples(("big-001", SMALL, 7.0), ("small-001", SMALL, 3.0))
    assert median(known, SMALL, "big-002") == pytest.approx(3.0)
    assert median(known, SMALL, "small-004") == pytest.approx(7.0)
    assert median(samples(("big-001", SMALL, 7.0)), SMALL, "big-002") is None


def test_a_copy_under_another_name_teaches_nothing() -> None:
    copied = [Sample(SMALL, 7.0, Origin("copy", content="same"))]
    assert forecasts(learn(copied), [SMALL], Origin("original", content="same")) == [None]
    assert forecasts(learn(copied), [SMALL], Origin("original", content="else"))[0] is not None


def test_few_samples_are_said_to_be_few() -> None:
    (few,) = forecasts(learn(samples(("one", SMALL, 2.0))), [SMALL])
    (many,) = forecasts(learn(samples(*[("one", SMALL, 2.0)] * 9)), [SMALL])
    assert few is not None
    assert many is not None
    assert (few.uncertain, many.uncertain) == (True, False)


times = st.floats(1e-3, 1e6)


@given(st.lists(st.tuples(st.integers(0, 10**12), times), min_size=1, max_size=30), st.integers(0, 10**12))
def test_quantiles_are_in_order_and_among_the_recorded_times(
    runs: list[tuple[int, float]], asked: int
) -> None:
    known = [Sample(Traits("c", size, size), seconds, Origin(f"r{size}")) for size, seconds in runs]
    (found,) = forecasts(learn(known), [Traits("c", asked, asked)])
    assert found is not None
    assert found.low <= found.median <= found.high
    recorded = [seconds for _, seconds in runs]
    assert min(recorded) * (1 - 1e-9) <= found.low
    assert found.high <= max(recorded) * (1 + 1e-9)


def test_times_that_are_none_are_left_out() -> None:
    known = samples(("one", SMALL, 0.0), ("one", SMALL, -1.0), ("one", SMALL, math.nan), ("one", SMALL, 4.0))
    assert median(known, SMALL) == pytest.approx(4.0)


def test_a_category_keeps_a_bounded_number_of_samples_from_all_of_its_runs() -> None:
    known = samples(*[(f"run{place % 7}", SMALL, 1.0 + place) for place in range(3 * MOST_SAMPLES)])
    table = learn(known).categories["align"]
    assert len(table.logarithms) == MOST_SAMPLES
    assert len(set(table.origins.tolist())) == 7


def test_a_run_on_a_slower_machine_moves_what_is_forecast() -> None:
    running = RunningTimes(["c"] * 9, [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 8.0])
    assert running.estimate(8) == pytest.approx(8.0)
    for place in range(8):
        running.ended(place, 3 * (running.forecasts[place] or 0.0))
    assert running.estimate(8) == pytest.approx(24.0, rel=0.15)


def test_a_forecast_that_only_confuses_gives_way_to_the_times_of_the_run() -> None:
    running = RunningTimes(["c"] * 9, [1.0, 100.0] * 4 + [1.0])
    for place in range(8):
        running.ended(place, 5.0)
    assert running.estimate(8) == pytest.approx(5.0)


def test_a_category_without_a_forecast_is_known_after_its_first_tasks() -> None:
    running = RunningTimes(["known", "new", "new", "new", "new"], [4.0, None, None, None, None])
    assert [running.known(place) for place in range(5)] == [True, False, False, False, False]
    running.ended(0, 4.0)
    assert running.estimate(1) == pytest.approx(4.0)
    for place in (1, 2, 3):
        running.ended(place, 0.5)
    assert running.known(4)
    assert running.estimate(4) == pytest.approx(0.5)


def test_a_time_of_zero_teaches_nothing() -> None:
    running = RunningTimes(["c", "c"], [2.0, 2.0])
    assert running.ended(0, 0.0) == 0
    assert running.estimate(1) == pytest.approx(2.0)
