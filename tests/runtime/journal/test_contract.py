"""What every journal promises, whether it is kept in SQLite, in PostgreSQL or in memory."""

import os
import time
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowc.runtime.errors import FlowError
from flowc.runtime.journal.frames import Framer, after, start, unframe
from flowc.runtime.journal.store import Row, Segment, Store, address
from tests.runtime.journal.conftest import Opening

A_FEW = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=max(10, settings().max_examples // 4),  # each syncs its files
)
GROUPS = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from(["one", "two", "three"]),
            st.tuples(
                st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.sampled_from(["", "x", "ö"])
            ),
            min_size=1,
        ),
        st.lists(st.binary(max_size=20), max_size=2),
        st.booleans(),
    ),
    max_size=6,
)


def code(error: pytest.ExceptionInfo[FlowError]) -> str:
    return error.value.problem.code


def wholly(store: Store, run: str) -> list[bytes]:
    return [payload for _, payload in unframe(store.segments(run))]


def refused(store: Store, segments: list[Segment]) -> str:
    """The code with which segments are refused: as they are written, as in memory, or as they are read."""
    with pytest.raises(FlowError) as error:  # noqa: PT012
        for each in segments:
            store.append([each], {}, sync=True)
        list(store.segments("run"))
    return code(error)


def test_a_journal_that_was_just_made_is_empty(again: Opening) -> None:
    store = again()
    assert store.rows() == []
    assert store.find("") == []
    assert list(store.segments("unknown")) == []


@A_FEW
@given(groups=GROUPS)
def test_what_was_appended_is_read_again(again: Opening, groups: list[Any]) -> None:
    store = again()
    number = len(store.rows())
    names = {name: f"{name}-{number}" for name in ("one", "two", "three")}
    framers = {name: Framer(run, 0, start(run)) for name, run in names.items()}
    expected: dict[str, list[bytes]] = {name: [] for name in names}
    statuses = dict.fromkeys(names, "")
    kept: list[bytes] = []
    for run in names.values():
        store.begin(run, run.encode())
    for records, blobs, sync in groups:
        segments = []
        for name, (payloads, status) in records.items():
            segments.append(framers[name].frame(payloads, status))
            expected[name] += payloads
            statuses[name] = status or statuses[name]
        store.append(segments, {address(blob): blob for blob in blobs}, sync=sync)
        kept += blobs
    for reopened in (False, True):
        read = again() if reopened else store
        assert {name: wholly(read, run) for name, run in names.items()} == expected
        assert [read.blob(address(blob)) for blob in kept] == kept
        rows = read.rows(3)
        assert [(row.run, row.head, row.status) for row in reversed(rows)] == [
            (run, run.encode(), statuses[name]) for name, run in names.items()
        ]
        assert all((row.changed is None) == (row.status == "") for row in rows)


def test_rows_come_newest_first_with_their_last_status_and_its_time(again: Opening) -> None:
    store = again()
    before = time.time()
    for run in ("a", "b", "c"):
        store.begin(run, b"head of " + run.encode())
    store.append([Segment("b", 0, 1, b"...", "waiting")], {}, sync=False)
    store.append([Segment("b", 1, 1, b"...", "ok"), Segment("a", 0, 1, b"...")], {}, sync=False)
    store.append([Segment("b", 2, 1, b"...")], {}, sync=True)
    rows = again().rows()
    assert [(row.run, row.head, row.status) for row in rows] == [
        ("c", b"head of c", ""),
        ("b", b"head of b", "ok"),
        ("a", b"head of a", ""),
    ]
    assert rows[0].number > rows[1].number > rows[2].number
    changed = rows[1].changed
    assert changed is not None
    assert before <= changed <= time.time()
    store = again()
    assert store.rows(2) == rows[:2]
    assert [store.row(each.run) for each in rows] == rows
    assert store.row("d") is None


def test_runs_are_found_by_how_their_names_begin(again: Opening) -> None:
    store = again()
    for run in ("3fa", "3fb", "30c", "%", "x"):
        store.begin(run, b"")
    assert store.find("3f") == ["3fb", "3fa"]
    assert store.find("3fa") == ["3fa"]
    assert store.find("%") == ["%"]
    assert store.find("4") == []
    assert store.find("") == ["x", "%", "30c", "3fb", "3fa"]


def test_a_run_begins_once(again: Opening) -> None:
    again().begin("run", b"first")
    store = again()
    with pytest.raises(FlowError) as error:
        store.begin("run", b"second")
    assert code(error) == "E0915"
    assert again().rows() == [Row("run", 1, b"first")]


def test_a_run_that_is_not_there_is_neither_continued_nor_taken(again: Opening) -> None:
    store = again()
    for asked in (
        lambda: store.append([Segment("gone", 0, 1, b"...")], {}, sync=True),
        lambda: store.take("gone"),
        lambda: store.taken("gone"),
    ):
        with pytest.raises(FlowError) as error:
            asked()
        assert code(error) == "E0914"
    store.release("gone")


def test_two_that_continue_one_run_cannot_both_go_on(again: Opening) -> None:
    store = again()
    store.begin("run", b"")
    framer = Framer("run", 0, start("run"))
    store.append([framer.frame([b"one", b"two"])], {}, sync=True)
    other = evolve(framer)
    store.append([framer.frame([b"three"])], {}, sync=True)
    with pytest.raises(FlowError) as error:
        store.append([other.frame([b"another three", b"four"])], {address(b"x"): b"x"}, sync=True)
    assert code(error) == "E0914"
    assert "run" in error.value.problem.message
    store.append([framer.frame([b"four"])], {}, sync=True)
    store = again()
    assert wholly(store, "run") == [b"one", b"two", b"three", b"four"]
    with pytest.raises(FlowError):
        store.blob(address(b"x"))  # it came with what was refused


def test_an_append_is_made_wholly_or_not_at_all(again: Opening) -> None:
    store = again()
    store.begin("a", b"")
    store.begin("b", b"")
    first = Segment("a", 0, 1, b"...", "ok")
    store.append([first], {}, sync=True)
    with pytest.raises(FlowError):
        store.append([Segment("b", 0, 1, b"...", "ok"), evolve(first, status="failed")], {}, sync=True)
    store = again()
    assert [row.status for row in store.rows()] == ["", "ok"]
    assert list(store.segments("b")) == []


def test_segments_may_be_read_from_where_one_begins(again: Opening) -> None:
    store = again()
    store.begin("run", b"")
    framer = Framer("run", 0, start("run"))
    segments = [framer.frame([bytes([number])] * (1 + number % 3)) for number in range(40)]
    for each in segments:
        store.append([each], {}, sync=False)
    assert list(store.segments("run")) == segments
    assert list(store.segments("run", segments[7].first)) == segments[7:]
    numbers = [number for number, _ in unframe(store.segments("run", segments[7].first))]
    assert numbers == list(range(segments[7].first, after(segments[-1])[0]))
    assert list(store.segments("run", after(segments[-1])[0])) == []


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_gap_is_damage(again: Opening, lacking: int) -> None:
    store = again()
    store.begin("run", b"")
    framer = Framer("run", 0, start("run"))
    segments = [framer.frame([b"x", b"y"]) for _ in range(3)]
    del segments[lacking]
    assert refused(store, segments) in ("E0910", "E0914")


def test_two_segments_that_begin_alike_are_refused_together(again: Opening) -> None:
    store = again()
    store.begin("run", b"")
    with pytest.raises(FlowError) as error:
        store.append([Segment("run", 0, 1, b"one"), Segment("run", 0, 1, b"other")], {}, sync=True)
    assert code(error) == "E0914"
    assert list(again().segments("run")) == []


def test_an_overlap_is_damage(again: Opening) -> None:
    store = again()
    store.begin("run", b"")
    overlapping = [Segment("run", 0, 3, b"..."), Segment("run", 2, 1, b"...")]
    assert refused(store, overlapping) in ("E0910", "E0914")


def test_a_blob_is_what_its_address_says_or_an_error(again: Opening) -> None:
    store = again()
    right, wrong = address(b"right"), address(b"wrong")
    store.append([], {right: b"right", wrong: b"something else"}, sync=True)
    store.append([], {right: b"right"}, sync=False)  # what is there may come again
    store.append([], {}, sync=True)
    store.append([], {}, sync=False)
    assert store.blob(right) == b"right"
    for digest, why in ((wrong, "not what was written"), (address(b"missing"), "missing")):
        with pytest.raises(FlowError) as error:
            store.blob(digest)
        assert code(error) == "E0910"
        assert error.value.problem.why.endswith(why)


def test_a_large_segment_and_a_large_blob_come_back(again: Opening) -> None:
    store = again()
    store.begin("run", b"")
    body = os.urandom(3 << 20)
    store.append([Framer("run", 0, start("run")).frame([body])], {address(body): body}, sync=False)
    store = again()
    assert wholly(store, "run") == [body]
    assert store.blob(address(body)) == body


def test_a_run_is_taken_by_one_and_free_when_released_or_closed(again: Opening) -> None:
    store = again()
    store.begin("run", b"")
    store.begin("other", b"")
    assert not store.taken("run")
    assert store.take("run")
    assert store.taken("run")
    assert not store.take("run")
    assert not store.taken("other")
    store.release("run")
    store.release("run")
    assert not store.taken("run")
    assert store.take("run")
    store = again()
    assert not store.taken("run")
    assert store.take("run")


def test_what_another_store_has_is_not_taken(shared: Opening) -> None:
    one, other = shared(), shared()
    one.begin("run", b"")
    one.begin("second", b"")
    assert one.take("run")
    assert other.take("second")
    assert other.taken("run")
    assert one.taken("second")
    assert not other.take("run")
    other.release("run")  # it has nothing to release
    assert not shared().take("run")
    one.release("run")
    assert not other.taken("run")
    assert other.take("run")
    one.close()
    assert other.taken("run")


def test_stores_see_what_others_write(shared: Opening) -> None:
    one, other = shared(), shared()
    one.begin("run", b"")
    framer = Framer("run", 0, start("run"))
    for number in range(20):
        writing, reading = (one, other) if number % 2 else (other, one)
        writing.append([framer.frame([bytes([number])], f"at {number}")], {}, sync=False)
        assert wholly(reading, "run") == [bytes([each]) for each in range(number + 1)]
        assert reading.rows()[0].status == f"at {number}"
