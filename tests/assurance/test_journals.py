"""Journals are drawn as runs write them, and readers that believe too much are found."""

from random import Random

import pytest

from flowc.runtime.journal import frames
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.store import Segment
from flowc.testing.strategies.choices import from_random
from flowc.testing.strategies.journals import History, drawn_history, rewritten, write_to
from tests.assurance.campaign import Tally, Wrong
from tests.assurance.campaigns import journals


def drawn(least: int) -> History:
    """A history with so many commits."""
    histories = (drawn_history(from_random(Random(seed))) for seed in range(1000))
    return next(each for each in histories if len(each.commits) >= least)


def stored(history: History) -> tuple[str, list[Segment], tuple[bytes, ...]]:
    """The segments and the records of the longest run of a history."""
    store = MemoryStore()
    write_to(store, history)
    run = max(history.records, key=lambda name: len(history.records[name]))
    return run, list(store.segments(run)), history.records[run]


def test_journals_are_read_as_they_were_written_or_refused() -> None:
    tally = Tally()
    journals.case(Random(1), tally, 6, 10)
    assert tally.tried["journals"] == 6
    assert tally.tried["inputs"] >= 60


def test_damage_is_refused_and_what_changes_nothing_is_not() -> None:
    run, segments, written = stored(drawn(4))
    assert journals.reread(run, segments, written) is None
    assert journals.reread(run, segments[:-1], written) == "E0910"
    assert journals.reread(run, [*segments, segments[-1]], written) == "E0910"


def test_a_reader_that_checks_no_sums_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run, segments, written = stored(drawn(4))
    body = segments[0].body
    broken = Segment(run, 0, segments[0].count, body[:8] + bytes([body[8] ^ 1]) + body[9:])
    assert journals.reread(run, [broken, *segments[1:]], written) == "E0910"

    def credulous(segment: Segment, _: int | None, found: list[bytes]) -> int:
        place = 4
        while place < len(segment.body):
            length = int.from_bytes(segment.body[place : place + 4], "little")
            found.append(segment.body[place + 4 : place + 4 + length])
            place += 8 + length
        return 0

    monkeypatch.setattr(frames, "_unframe", credulous)
    with pytest.raises(Wrong, match="are read as"):
        journals.reread(run, [broken, *segments[1:]], written)


def test_a_store_that_loses_what_it_acknowledged_is_found() -> None:
    history = next(each for each in map(drawn, range(2, 9)) if any(journals.acknowledged(each).values()))
    with pytest.raises(Wrong, match="acknowledged"):
        journals.kept(MemoryStore(), history, journals.acknowledged(history))


def test_what_no_run_says_is_understood_or_refused() -> None:
    history, choices = drawn(4), from_random(Random(7))
    codes = {journals.understood(rewritten(choices, history)) for _ in range(60)}
    assert {None, "E0910"} == codes


def test_a_reader_that_breaks_on_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "past_of", lambda *_: {}["nothing"])
    with pytest.raises(Wrong, match="KeyError"):
        journals.understood(drawn(2))
