"""Runs on stand-ins, and the alarm that ends them."""

from types import SimpleNamespace
from typing import Any, cast

from flowc.passes.search.trials import STOPPED, _Alarm


class _Engine:
    """An engine whose loop does at once what it is told."""

    def __init__(self) -> None:
        self.ended: list[object] = []
        self.loop = SimpleNamespace(call_soon_threadsafe=lambda work, problem: work(problem))

    def cancel(self, problem: object) -> None:
        """Ends the run."""
        self.ended.append(problem)


def test_a_run_whose_arguments_took_all_the_time_ends_as_it_begins() -> None:
    engine = _Engine()
    with _Alarm(0.0) as alarm:
        alarm.timer.join()
        assert not engine.ended
        alarm.watch(cast(Any, engine))
    assert engine.ended == [STOPPED]


def test_a_run_that_goes_on_when_time_is_up_is_ended() -> None:
    engine = _Engine()
    alarm = _Alarm(0.0)
    alarm.watch(cast(Any, engine))
    assert not engine.ended
    with alarm:
        alarm.timer.join()
    assert engine.ended == [STOPPED]
