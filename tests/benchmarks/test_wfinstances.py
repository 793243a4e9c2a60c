"""The figures of recorded workflows are counted without a clock, so they can be held; FLOWC_DATA has them."""

import itertools
import math
import os
from pathlib import Path

import pytest

from benchmarks.rounds import Options
from benchmarks.wfinstances import data, schedules, times

QUICK = Options(quick=True)
NO_DATA = not Path(os.environ.get("FLOWC_DATA", ""), "wfinstances").is_dir()


@pytest.mark.skipif(NO_DATA, reason="FLOWC_DATA names no folder of data sets")
def test_learned_orders_are_between_first_come_and_the_oracle() -> None:
    rows = {str(row["policy"]): row for row in schedules.run(QUICK).rows}
    oracle, learned = rows["oracle (true times)"], rows[schedules.LEARNED]
    for workers in data.WORKERS:
        assert 1.0 <= float(str(oracle[f"{workers} workers"])) <= float(str(learned[f"{workers} workers"]))
    assert float(str(learned["4 workers"])) < float(str(rows["first come, first served"]["4 workers"]))
    assert float(str(oracle["worst"])) <= 1.0
    assert float(str(learned["worst"])) <= 1.05


@pytest.mark.skipif(NO_DATA, reason="FLOWC_DATA names no folder of data sets")
def test_forecasts_get_better_while_a_run_goes_on() -> None:
    rows = {str(row["forecast"]): row for row in times.run(QUICK).rows}
    before = float(str(rows["similar tasks, before the run"]["all tasks"]).rstrip("%"))
    begun = float(str(rows["similar tasks, when it begins, 4 workers"]["all tasks"]).rstrip("%"))
    assert begun < before
    assert rows["gradient-boosted trees (LightGBM)"]["all tasks"] == "not run"


def test_equal_values_have_the_mean_of_their_ranks_in_whatever_order_they_stand() -> None:
    pairs = [(1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (2.0, 4.0), (3.0, 5.0)]
    for order in itertools.permutations(pairs):
        assert times.spearman(order) == pytest.approx(math.sqrt(0.8))
    assert times.spearman([(place, place**3) for place in range(9)]) == pytest.approx(1.0)


def test_without_data_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWC_DATA", raising=False)
    data.recorded.cache_clear()
    assert schedules.run(QUICK).rows == times.run(QUICK).rows == ()
    data.recorded.cache_clear()
