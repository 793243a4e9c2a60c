"""Forecasts of task times: from similar tasks of other configurations, corrected by the run itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.running_times import RunningTimes
from flowc.passes.cost.task_model import MOST_SAMPLES, forecasts, learn
from flowc.passes.cost.task_neighbours import Neighbours, best_setting, neighbours, scaled
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
    assert forecasts(learn([]), [SMALL]) == [None]
    assert median(samples(("asked-002", SMALL, 2.0)), Traits("other")) is None


def test_a_category_that_was_never_seen_is_told_by_others_and_surely_not_task_by_task() -> None:
    known = samples(*[("one", SMALL, 2.0)] * 6, *[("two", LARGE, 200.0)] * 6)
    asked = [Traits("other", 10**3, 10**3), Traits("other", 10**3, 10**3), Traits("other", 10**9, 10**9)]
    found = [each for each in forecasts(learn(known), asked) if each is not None]
    assert found[0] == found[1] == found[2]
    assert found[0].likely == pytest.approx(2.0)
    assert found[0].uncertain


def test_a_category_that_was_never_seen_is_most_like_those_of_the_same_tool() -> None:
    known = samples(("one", Traits("sam_sort", 9, 9), 3.0), *[("one", Traits(c, 9, 9), 70.0) for c in "abc"])
    assert likely(known, Traits("sam_view", 9, 9)) == pytest.approx(3.0)
    assert likely(known, Traits("bam_view", 9, 9)) == pytest.approx(70.0)


def test_tasks_that_read_as_much_tell_more() -> None:
    known = samples(*[("one", SMALL, 2.0)] * 6, *[("two", LARGE, 200.0)] * 6)
    assert median(known, Traits("align", 1_100, 1_100)) == pytest.approx(2.0, rel=0.05)
    assert median(known, Traits("align", 10**9 // 2, 10**9 // 2)) == pytest.approx(160.0, rel=0.05)


def test_times_grow_with_sizes_as_they_did_and_where_nobody_knows_as_the_root() -> None:
    known = samples(*[(f"r{size}", Traits("c", size, size), size / 100) for size in (10**3, 10**4, 10**5)])
    assert 7_000 < (likely(known, Traits("c", 10**6, 10**6)) or 0.0) <= 10_000
    assert likely(known[:1], Traits("c", 10**5, 10**5)) == pytest.approx(100.0, rel=0.01)
    assert likely(known[:1], Traits("c", 0, 0)) == pytest.approx(10.0)


def test_the_likely_time_is_where_times_are_densest() -> None:
    known = samples(
        *[("one", SMALL, seconds) for seconds in (1.0, 1.1, 1.2, 1.3, 7.0, 20.0, 60.0, 180.0, 600.0)]
    )
    assert likely(known, SMALL) in (pytest.approx(1.1), pytest.approx(1.2))
    assert (median(known, SMALL) or 0.0) > 5


def test_the_same_files_count_no_more_where_other_configurations_do_not_bear_it_out() -> None:
    """Within a configuration they do, but what is told must hold for another."""

    def told(swapped: str) -> Neighbours:
        quick = [("x", name not in swapped) for name in "AABBCCDD"]
        cases = [
            (files, 2.0 if is_quick else 60.0) for x, q in quick for files, is_quick in ((x, q), ("y", not q))
        ]
        features, runs = scaled([(7.0, 7.0, 1.0)] * len(cases)), np.arange(len(cases)) // 2
        seconds, inputs = np.log([each for _, each in cases]), np.array([files for files, _ in cases])
        return neighbours(features, seconds, inputs, runs)

    configurations = np.arange(8) // 2
    assert best_setting(told("BD"), configurations).same == 1.0
    assert best_setting(told(""), configurations).same > 1.0


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


def likely(model_of: list[Sample], traits: Traits) -> float | None:
    (found,) = forecasts(learn(model_of), [traits], Origin("asked-001"))
    return None if found is None else found.likely


times = st.floats(1e-3, 1e6)


@given(st.lists(st.tuples(st.integers(0, 10**12), times), min_size=1, max_size=30), st.integers(0, 10**12))
def test_quantiles_are_in_order_and_at_one_size_among_the_recorded_times(
    runs: list[tuple[int, float]], asked: int
) -> None:
    known = [Sample(Traits("c", size, size), seconds, Origin(f"r{size}")) for size, seconds in runs]
    (found,) = forecasts(learn(known), [Traits("c", asked, asked)])
    assert found is not None
    assert found.low <= found.median <= found.high
    level = [Sample(Traits("c", asked, asked), seconds, Origin(f"r{size}")) for size, seconds in runs]
    (found,) = forecasts(learn(level), [Traits("c", asked, asked)])
    assert found is not None
    recorded = [seconds for _, seconds in runs]
    for seconds in (found.low, found.median, found.high, found.likely):
        assert min(recorded) * (1 - 1e-9) <= seconds <= max(recorded) * (1 + 1e-9)


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
