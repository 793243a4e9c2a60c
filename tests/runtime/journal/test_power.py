"""What was acknowledged as synced is there after a power failure, and nothing else is wrong."""

import os
import random
from itertools import count
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import settings

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import beside
from flowc.runtime.journal.beside import ENTRY
from flowc.runtime.journal.frames import Framer, after, start, unframe
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.store import address
from tests.runtime.journal.power import Machine, after_failure

SEEDS = 10_000 if settings.get_current_profile_name() == "long" else 100
WORLDS = 1 + SEEDS // 25
"""Journals that are written; of each several power failures are looked at."""
JOURNAL = Path("journal.db")
_NUMBERS = count()


@frozen
class Moment:
    """The state when a call returned: events until then, records written and acknowledged as synced by run,
    blobs that are synced, and the file of marks.
    """

    events: int
    written: dict[str, tuple[bytes, ...]]
    synced: dict[str, int]
    blobs: tuple[bytes, ...]
    marks: bytes


def history(folder: Path, seed: int, *, careless: bool = False) -> tuple[Machine, list[Moment]]:
    """A journal that is written at random, by a store that is closed and opened again now and then."""
    chance = random.Random(seed)
    machine = Machine(f"noted-{next(_NUMBERS)}", careless)
    where = folder / JOURNAL
    for path in folder.iterdir():
        path.unlink()

    def opened() -> SqliteStore:
        return SqliteStore(where, connecting=machine.connecting, syncing=machine.syncing)

    store = opened()
    framers: dict[str, Framer] = {}
    moments = [Moment(0, {}, {}, (), b"")]
    pending: list[bytes] = []

    def note(synced: bool, records: dict[str, list[bytes]]) -> None:
        last = moments[-1]
        written = last.written | {
            run: last.written.get(run, ()) + tuple(each) for run, each in records.items()
        }
        moments.append(
            Moment(
                len(machine.disk.events),
                written,
                {run: len(each) for run, each in written.items()} if synced else last.synced,
                (*last.blobs, *pending) if synced else last.blobs,
                _marks(store),
            )
        )
        if synced:
            pending.clear()

    for _ in range(chance.randint(5, 40)):
        match chance.choice(("begin", "append", "append", "append", "append", "sync", "close")):
            case "begin":
                run = f"run-{len(framers)}"
                store.begin(run, b"head")
                framers[run] = Framer(run, 0, start(run))
                note(True, {run: []})
            case "append" if framers:
                runs = chance.sample(sorted(framers), chance.randint(1, min(3, len(framers))))
                records = {
                    run: [chance.randbytes(chance.choice((5, 50, 3000))) for _ in range(chance.randint(1, 3))]
                    for run in runs
                }
                blob = chance.randbytes(chance.choice((10, 9000)))
                sync = chance.random() < 0.5
                pending.append(blob)
                segments = [framers[run].frame(payloads) for run, payloads in records.items()]
                store.append(segments, {address(blob): blob}, sync=sync)
                note(sync, records)
            case "sync":
                store.append([], {}, sync=True)
                note(True, {})
            case "close":
                store.close()
                store = opened()
    store.close()
    return machine, moments


def _marks(store: SqliteStore) -> bytes:
    """The file of marks, read by the descriptor that is open: to close another would end its locks."""
    return os.pread(store._beside.descriptor, 1 << 20, 0)


def failure(machine: Machine, moments: list[Moment], folder: Path, chance: random.Random) -> str:
    """Lets the power fail somewhere; says what is wrong with what a store finds then, if anything is."""
    events = machine.disk.events
    size = chance.randint(0, len(events))
    before = [moment for moment in moments if moment.events <= size]
    last = before[-1]
    coming = moments[min(len(before), len(moments) - 1)]
    existing = JOURNAL.name
    where = folder / "found.db"
    for ending in ("", "-wal", "-shm", "-journal", ".lock"):
        where.with_name(where.name + ending).unlink(missing_ok=True)
    found = after_failure(events[:size], existing, chance)
    for name, content in found.items():
        where.with_name(where.name + name.removeprefix(existing)).write_bytes(content)
    marks = chance.choice(before).marks
    where.with_name(where.name + ".lock").write_bytes(marks[: len(marks) - chance.choice((0, 0, 3, ENTRY))])
    try:
        store = SqliteStore(where)
    except FlowError as error:
        return f"it cannot be opened: {error}"
    try:
        return _said(store, last, coming)
    except FlowError as error:
        return f"it cannot be read: {error}"
    finally:
        store.close()


def _said(store: SqliteStore, last: Moment, coming: Moment) -> str:
    runs = store.find("")
    if missing := set(last.synced) - set(runs):
        return f"runs are missing: {missing}"
    for blob in last.blobs:
        assert store.blob(address(blob)) == blob
    for run in runs:
        segments = list(store.segments(run))
        records = [payload for _, payload in unframe(segments)]
        if not last.synced.get(run, 0) <= len(records):
            return f"{run} has {len(records)} records, and {last.synced[run]} were synced"
        if list(coming.written[run][: len(records)]) != records:
            return f"{run} has records that nobody wrote"
        number, chain = after(segments[-1]) if segments else (0, start(run))
        store.append([Framer(run, number, chain).frame([b"on it goes"])], {}, sync=True)
        if [payload for _, payload in unframe(store.segments(run))] != [*records, b"on it goes"]:
            return f"{run} cannot go on"
    return ""


@pytest.fixture(autouse=True)
def another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer whose power failed has started anew each time that a journal is opened."""
    boots = count()
    monkeypatch.setattr(beside, "boot", lambda: f"boot {next(boots)}")


def failures(folder: Path, seed: int, many: int, *, careless: bool = False) -> list[str]:
    """What is wrong after several power failures of one history."""
    machine, moments = history(folder, seed, careless=careless)
    chance = random.Random(seed)
    return [said for _ in range(many) if (said := failure(machine, moments, folder, chance))]


def test_what_was_synced_survives_a_power_failure(unsynced: Path) -> None:
    for seed in range(WORLDS):
        assert failures(unsynced, seed, SEEDS // WORLDS + 1) == [], seed


def test_the_histories_have_all_that_happens_to_files(unsynced: Path) -> None:
    events = [event for seed in range(8) for event in history(unsynced, seed)[0].disk.events]
    assert {event.kind for event in events} == {"write", "truncate", "sync", "create", "delete", "folder"}
    assert sum(event.kind == "write" and event.file == JOURNAL.name for event in events) > 50


def test_the_model_finds_a_store_that_does_not_sync(unsynced: Path) -> None:
    assert any(failures(unsynced, seed, 20, careless=True) for seed in range(5))
