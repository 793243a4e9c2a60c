"""The benchmark of the simulated server compares what is equal."""

import pytest

from benchmarks import engine
from benchmarks.rounds import Options
from flowc.runtime.providers.simulated.behaviour import Serving
from flowc.runtime.providers.simulated.serving import Server


def test_the_server_and_the_loop_over_tokens_end_all_calls_at_the_same_times() -> None:
    calls = {name: calls for name, calls, _ in engine.workloads()}[engine.INVENTED]
    arrivals = engine.drawn(calls, Serving(), 300)
    server = Server(Serving())
    engine.drive(server, arrivals)
    assert [job.ended for _, job in arrivals] == pytest.approx(engine.step(Serving(), arrivals))
    assert server.statistics.peak_batch > 10


def test_a_row_says_how_many_calls_a_second_were_simulated() -> None:
    (row,) = engine.run(Options(quick=True, only=(engine.INVENTED,))).rows
    assert row["calls"] == 2_000
    assert int(str(row["calls/s"])) > 0
