"""Group commit: what is waited for is there, in few transactions, and a failure acknowledges nothing."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import writer as writing
from flowc.runtime.journal.frames import after, start, unframe
from flowc.runtime.journal.memory import Faults, MemoryStore
from flowc.runtime.journal.store import Segment, address
from flowc.runtime.journal.writer import Writer

SOON = 20.0
"""Seconds after which something that happens at once has not happened."""


class Watched(MemoryStore):
    """A store that tells of each append what it had and whether it was synced; `gate` holds appends up."""

    def __init__(self, faults: Faults = Faults()) -> None:  # noqa: B008
        super().__init__(faults=faults)
        self.appends: list[tuple[int, bool]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = 0
        self.interrupted = False

    def append(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], *, sync: bool) -> None:
        self.begun += 1
        assert self.gate.wait(SOON)
        if self.interrupted:
            raise KeyboardInterrupt
        super().append(segments, blobs, sync=sync)
        self.appends.append((sum(each.count for each in segments), sync))


def opened(store: MemoryStore, *runs: str, fast: bool = False) -> Writer:
    made = Writer(store, fast=fast)
    for run in runs or ("run",):
        store.begin(run, b"")
        made.open(run, 0, start(run))
    return made


def records(store: MemoryStore, run: str = "run") -> list[bytes]:
    return [payload for _, payload in unframe(store.segments(run))]


def until(what: object) -> Iterator[None]:
    """Goes round until something holds."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        yield
        time.sleep(0.001)
    raise AssertionError(f"{what} did not come")


def test_what_was_waited_for_is_there() -> None:
    store = Watched()
    made = opened(store)
    position = made.append("run", b"one")
    made.wait(position, sync=True)
    assert records(store) == [b"one"]
    assert store.appends == [(1, True)]
    made.wait(position, sync=True)
    made.wait(position, sync=False)
    assert store.appends == [(1, True)]
    made.close()


def test_positions_count_the_records_of_all_runs() -> None:
    store = Watched()
    made = opened(store, "a", "b")
    store.gate.clear()
    assert [made.append(run, b"") for run in "abba"] == [1, 2, 3, 4]
    store.gate.set()
    made.close()


def test_what_nobody_waits_for_is_written_soon_and_not_synced() -> None:
    store = Watched()
    made = opened(store)
    for _ in until("the record"):
        if not store.appends:
            made.append("run", b"x")
        elif len(records(store)) == made.append("run", b"x") - 1:
            break
    assert not any(sync for _, sync in store.appends)
    made.close()


def test_a_thread_that_went_to_sleep_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LINGER", 0.0001)
    monkeypatch.setattr(writing, "ROUNDS", 2)
    store = Watched()
    made = opened(store)
    for number in range(1, 4):
        made.append("run", b"x")
        for _ in until("the record"):
            if len(records(store)) == number:
                break
        for _ in until("sleep"):
            if made._asleep:
                break
    made.close()


def test_a_thread_that_is_woken_for_nothing_sleeps_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LINGER", 0.0001)
    monkeypatch.setattr(writing, "ROUNDS", 2)
    store = Watched()
    made = opened(store)
    for _ in range(5):
        made.wait(made.append("run", b"x"), sync=False)
        for _ in until("sleep"):
            if made._asleep:
                break
    made.close()


def test_a_completion_shares_the_sync_of_the_next_intent() -> None:
    store = Watched()
    made = opened(store)
    store.gate.clear()
    made.append("run", b"completed")
    position = made.append("run", b"intended")
    store.gate.set()
    made.wait(position, sync=True)
    assert [sync for _, sync in store.appends].count(True) == 1
    assert records(store) == [b"completed", b"intended"]
    made.close()


def test_what_is_written_but_not_synced_is_synced_when_somebody_asks() -> None:
    store = Watched()
    made = opened(store)
    position = made.append("run", b"x")
    made.wait(position, sync=False)
    made.wait(position, sync=True)
    assert store.without_power(0).find("") == ["run"]
    assert records(store.without_power(0)) == [b"x"]
    assert sum(count for count, _ in store.appends) == 1
    made.close()


def test_threads_that_wait_at_once_share_commits() -> None:
    store = Watched()
    runs = [f"run-{number}" for number in range(8)]
    made = opened(store, *runs)
    store.gate.clear()  # the first that waits holds the lock; the others gather behind it

    def work(run: str) -> None:
        for number in range(25):
            made.wait(made.append(run, f"{number}".encode()), sync=True)

    with ThreadPoolExecutor(len(runs)) as pool:
        done = [pool.submit(work, run) for run in runs]
        for _ in until("the threads"):
            if made._position >= len(runs):
                break
        store.gate.set()
        for each in done:
            each.result(SOON)
    for run in runs:
        assert records(store, run) == [f"{number}".encode() for number in range(25)]
    assert store.appends[0][0] + store.appends[1][0] >= len(runs)  # those that gathered
    assert len(store.appends) < 200
    made.close()


def test_a_segment_holds_all_records_of_a_run_and_its_last_status() -> None:
    store = Watched()
    made = opened(store, "a", "b")
    store.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(made.wait, made.append("a", b"0"), sync=False)
        for _ in until("the commit"):
            if made._leader and not made._records:
                break
        for run, status in (("a", "going"), ("b", ""), ("a", "waiting"), ("a", "")):
            position = made.append(run, b"x", status=status)
        store.gate.set()
        first.result(SOON)
    made.wait(position, sync=False)
    assert [(each.first, each.count, each.status) for each in store.segments("a")] == [
        (0, 1, ""),
        (1, 3, "waiting"),
    ]
    made.close()


def test_blobs_come_with_their_records() -> None:
    store = Watched()
    made = opened(store)
    bodies = [b"large" * 1000, b"larger" * 1000, b"other" * 1000]
    made.wait(made.append("run", b"x", blobs=[(address(body), body) for body in bodies]), sync=True)
    left = store.without_power(1)
    assert [left.blob(address(body)) for body in bodies] == bodies
    made.close()


def test_fast_syncs_statuses_alone() -> None:
    store = Watched()
    made = opened(store, fast=True)
    made.wait(made.append("run", b"x"), sync=True)
    made.wait(made.append("run", b"y", status="ok"), sync=True)
    made.wait(made.append("run", b"z", sync=True), sync=True)
    assert [sync for _, sync in store.appends] == [False, True, False]
    made.close()
    assert store.appends[-1] == (0, True)
    assert records(store.without_power(0)) == [b"x", b"y", b"z"]


def test_a_record_may_ask_to_be_synced_without_anybody_waiting() -> None:
    store = Watched()
    made = opened(store)
    made.append("run", b"x", sync=True)
    for _ in until("the record"):
        if store.appends:
            break
    assert store.appends == [(1, True)]
    made.close()


def test_much_at_once_is_written_before_the_linger_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LINGER", 1000.0)
    for size, many in ((0, writing.SOON_RECORDS), (writing.SOON_BYTES // 4, 4)):
        store = Watched()
        made = opened(store)
        store.gate.clear()
        for _ in range(many):
            made.append("run", b"x" * size)
        store.gate.set()
        for _ in until("all"):
            if len(records(store)) == many:
                break
        made.close()


@pytest.mark.parametrize("bound", ["MOST_RECORDS", "MOST_BYTES"])
def test_whoever_adds_too_much_waits(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(writing, bound, 100)
    store = Watched()
    made = opened(store)
    most = 0
    for _ in range(1000):
        made.append("run", b"x" * 10)
        most = max(most, made._records)
    assert most <= 100
    made.close()
    assert len(records(store)) == 1000


def test_a_run_goes_on_where_it_was() -> None:
    store = Watched()
    made = opened(store)
    made.append("run", b"one")
    made.close()
    later = Writer(store)
    later.open("run", *after(list(store.segments("run"))[-1]))
    later.append("run", b"two")
    later.close()
    assert records(store) == [b"one", b"two"]


def test_an_event_loop_waits_without_a_thread_each() -> None:
    async def main() -> list[bytes]:
        store = Watched()
        made = opened(store)
        store.gate.clear()
        futures = [made.durable(made.append("run", b"x"), sync=bool(number % 2)) for number in range(300)]
        futures[7].cancel()
        store.gate.set()
        await asyncio.gather(*futures[:7], *futures[8:])
        done = made.durable(1, sync=False)
        assert done.done()
        await done
        written = records(store)
        made.close()
        assert len(store.appends) < 20
        return written

    assert len(asyncio.run(main())) == 300


def test_who_waits_for_a_sync_is_not_told_of_a_write_without_one() -> None:
    class OneByOne(Watched):
        def append(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], *, sync: bool) -> None:
            super().append(segments, blobs, sync=sync)
            self.gate.clear()

    async def main() -> bool:
        store = OneByOne()
        made = opened(store)
        store.gate.clear()
        position = made.append("run", b"x")
        thread = threading.Thread(target=lambda: made.wait(position, sync=False))
        thread.start()
        for _ in until("the write"):
            if store.begun:
                break
        synced, written = (made.durable(position, sync=sync) for sync in (True, False))
        store.gate.set()
        await asyncio.wait_for(written, SOON)
        early = synced.done()
        store.gate.set()
        await asyncio.wait_for(synced, SOON)
        assert store.appends == [(1, False), (0, True)]
        thread.join()
        store.gate.set()
        made.close()
        return early

    assert not asyncio.run(main())


def test_what_a_loop_waits_for_is_not_lingered_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LINGER", 1000.0)

    async def main() -> None:
        made = opened(Watched())
        await asyncio.wait_for(made.durable(made.append("run", b"x"), sync=True), SOON)
        made.close()

    asyncio.run(main())


def test_a_loop_that_is_closed_is_no_failure() -> None:
    store = Watched()
    made = opened(store)
    store.gate.clear()

    async def leave() -> None:
        made.durable(made.append("run", b"x"), sync=True)

    asyncio.run(leave())
    store.gate.set()
    made.close()
    assert records(store) == [b"x"]


@pytest.mark.parametrize("after_it", [False, True])
def test_after_a_failure_nothing_is_acknowledged(monkeypatch: pytest.MonkeyPatch, after_it: bool) -> None:
    monkeypatch.setattr(writing, "LINGER", 1000.0)  # the appends are those that are waited for
    store = Watched(Faults(append=2, after=after_it))
    made = opened(store)
    made.wait(made.append("run", b"one"), sync=True)
    with pytest.raises(FlowError) as error:
        made.wait(made.append("run", b"two"), sync=True)
    for asked in (
        lambda: made.append("run", b"three"),
        lambda: made.wait(2, sync=False),
        made.close,
    ):
        with pytest.raises(FlowError) as again:
            asked()
        assert again.value.problem == error.value.problem
    assert error.value.problem.code == "E0912"
    made.wait(1, sync=True)  # that was acknowledged before
    assert records(store) == [b"one", b"two"][: 2 if after_it else 1]


def test_futures_get_the_failure() -> None:
    async def main() -> None:
        store = Watched(Faults(append=1))
        made = opened(store)
        store.gate.clear()
        futures = [made.durable(made.append("run", b"x"), sync=True) for _ in range(3)]
        store.gate.set()
        for each in await asyncio.gather(*futures, return_exceptions=True):
            assert isinstance(each, FlowError)
        with pytest.raises(FlowError):
            await made.durable(1, sync=True)
        with suppress(FlowError):
            made.close()

    asyncio.run(main())


@pytest.mark.parametrize("fails", range(1, 12))
def test_what_any_thread_was_told_is_there_whenever_the_store_fails(fails: int) -> None:
    store = Watched(Faults(append=fails, after=bool(fails % 2)))
    runs = [f"run-{number}" for number in range(6)]
    made = opened(store, *runs)
    told: dict[str, int] = dict.fromkeys(runs, 0)

    def work(run: str) -> None:
        with suppress(FlowError):
            for number in range(1000):
                position = made.append(run, b"%d" % number)
                if number % 3:
                    made.wait(position, sync=number % 2 == 0)
                    told[run] = number + 1
            raise AssertionError("it was to fail")

    with ThreadPoolExecutor(len(runs)) as pool:
        for each in [pool.submit(work, run) for run in runs]:
            each.result(SOON)
    with pytest.raises(FlowError):
        made.close()
    for run in runs:
        found = records(store, run)
        assert found == [b"%d" % number for number in range(len(found))]
        assert len(found) >= told[run]


def test_an_interruption_while_writing_is_a_failure() -> None:
    store = Watched()
    made = opened(store)
    store.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        made.wait(made.append("run", b"one"), sync=True)
    store.interrupted = False
    with pytest.raises(FlowError) as error:
        made.close()
    assert error.value.problem.code == "E0912"
    assert records(store) == []


def test_who_is_interrupted_while_another_writes_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Watched()
    made = opened(store)
    store.gate.clear()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(made.wait, made.append("run", b"one"), sync=False)
        for _ in until("the leader"):
            if made._leader:
                break
        monkeypatch.setattr(made._told, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.wait(made.append("run", b"two"), sync=False)
        monkeypatch.undo()
        store.gate.set()
        first.result(SOON)
    made.close()
    assert records(store) == [b"one", b"two"]


def test_a_closed_journal_says_so() -> None:
    store = Watched()
    made = opened(store)
    made.close()
    with pytest.raises(FlowError) as error:
        made.append("run", b"x")
    assert error.value.problem.message == "the journal is closed"
    assert made._thread is None or not made._thread.is_alive()
