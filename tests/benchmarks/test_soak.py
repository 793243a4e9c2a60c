"""A soak: nothing grows while programs of all kinds run and fail; and what grows is seen."""

import asyncio
import os
from collections import Counter

import pytest

from benchmarks.in_flight.suite import run as run_in_flight
from benchmarks.rounds import Options
from benchmarks.soak.suite import BARS, Sample, Soaked, growth, soak
from flowc.runtime.scheduler.descendants import SUPPORTED

LONG = os.environ.get("FLOWC_HYPOTHESIS") == "long"
"""In seconds the figures go up and down more than a leak would move them: what is left is exact."""


@pytest.mark.skipif(not SUPPORTED, reason="only Linux says what a process has")
def test_nothing_grows_in_a_soak() -> None:
    soaked = asyncio.run(soak(600 if LONG else 4, seed=2))
    assert min(soaked.endings[each] for each in ("ok", "failed", "cancelled")) > 0
    assert (soaked.behind.tasks, soaked.behind.processes) == (soaked.before.tasks, soaked.before.processes)
    assert (
        not LONG
        or {name: soaked.growth(name) for name, bar in BARS.items() if soaked.growth(name) > bar} == {}
    )


def test_what_grows_slowly_is_seen_through_the_noise() -> None:
    steady = [(at, 100.0 + at * 7919 % 5) for at in range(100)]
    assert abs(growth([(float(at), seen) for at, seen in steady])) < 1
    rising = [(float(at), seen + at / 10) for at, seen in steady]
    assert growth(rising) == pytest.approx(9.9, abs=1)
    samples = tuple(Sample(at, seen, 9, 9, 9, 0) for at, seen in rising)
    soaked = Soaked(Counter(), samples, samples[0], samples[-1])
    assert soaked.growth("memory_MB") > 4
    assert soaked.growth("threads") == 0


def test_calls_in_flight_are_measured_in_a_process_of_their_own() -> None:
    row, bar = run_in_flight(Options(quick=True)).rows
    assert (row["calls"], row["left"]) == ("500", 0)
    assert float(str(row["memory_MB"])) < float(str(bar["memory_MB"])) / 10
