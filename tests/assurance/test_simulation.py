"""Stories of runs that go wrong end well; and a journal that loses what it has acknowledged does not pass."""

from random import Random

import pytest

from flowc.runtime.journal.memory import NONE, Faults, MemoryStore
from tests.assurance.campaign import Tally, examples
from tests.assurance.campaigns.simulation import Story, check, stories
from tests.durable.programs import PROGRAMS

CHAIN = next(program for program in PROGRAMS if program.name == "chain")


def test_some_stories_end_well() -> None:
    tally = Tally()
    examples(stories(), check, 6)(Random(8), tally)
    assert tally.tried["runs"] >= 12


@pytest.mark.parametrize("append", range(1, 8))
@pytest.mark.parametrize("after", [False, True])
def test_a_disk_that_refuses_is_one_that_the_run_outlives(append: int, after: bool) -> None:
    check(Story(CHAIN, disk=Faults(append, after)), Tally())


def test_a_disk_that_loses_what_it_has_acknowledged_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: MemoryStore, *, faults: Faults = NONE) -> MemoryStore:
        return self._replayed(len(self._changes) - 2, faults)

    monkeypatch.setattr(MemoryStore, "crashed", forgetful)
    caught = 0
    for place in range(1, 9):
        try:
            check(Story(CHAIN, ((place, True),)), Tally())
        except AssertionError:
            caught += 1
    assert caught


def test_another_journal_for_the_same_story_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(1000))
    monkeypatch.setattr("tests.assurance.campaigns.simulation.records", lambda machine: next(numbers))
    with pytest.raises(AssertionError, match="another journal"):
        check(Story(CHAIN), Tally())
