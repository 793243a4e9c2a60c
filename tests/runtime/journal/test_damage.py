"""Damaged files: each gives what was written, or an error; never something else, and never less."""

import random
from itertools import product
from pathlib import Path

import pytest
from hypothesis import settings

from flowc.runtime.errors import FlowError
from flowc.runtime.journal import beside
from flowc.runtime.journal.frames import Framer, start, unframe
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.store import DAMAGED, address
from tests.runtime.journal.images import BLOB, Held, Image, held, image_of, laid_out, seen, written

LONG = settings.get_current_profile_name() == "long"
REFUSED = {"E0910", "E0911", "E0912"}


def chosen(size: int, many: int) -> list[int]:
    """Places within a size: all in the long form, else the ends and a few between."""
    if LONG or size <= many:
        return list(range(size))
    return sorted({0, 1, size - 1, *random.Random(size).sample(range(size), many)})


@pytest.fixture
def closed(unsynced: Path) -> tuple[Image, Held]:
    """A journal whose log was taken into its file."""
    store = written(unsynced / "whole.db", 6)
    whole = held(store)
    store.close()
    return image_of(unsynced / "whole.db"), whole


@pytest.fixture
def left(unsynced: Path) -> tuple[Image, Held]:
    """A journal as a dead process leaves it, with a log."""
    store = written(unsynced / "left.db", 6)
    whole, image = held(store), image_of(unsynced / "left.db")
    store.close()
    assert len(image["-wal"]) > 10_000
    return image, whole


def test_whole_images_are_read(closed: tuple[Image, Held], left: tuple[Image, Held], unsynced: Path) -> None:
    for image, whole in (closed, left):
        assert seen(image, unsynced / "copy.db") == whole


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_file_cut_anywhere_loses_nothing_in_silence(
    left: tuple[Image, Held], closed: tuple[Image, Held], unsynced: Path, ending: str
) -> None:
    image, whole = left if ending else closed
    for size in chosen(len(image[ending]), 150):
        found = seen(image | {ending: image[ending][:size]}, unsynced / "cut.db")
        assert found in REFUSED or found == whole, size


@pytest.mark.parametrize("ending", ["", "-wal", ".lock"])
def test_a_flipped_bit_anywhere_changes_nothing_in_silence(
    left: tuple[Image, Held], closed: tuple[Image, Held], unsynced: Path, ending: str
) -> None:
    image, whole = left if ending else closed
    for bit in chosen(8 * len(image[ending]), 60 if ending == ".lock" else 150):
        content = bytearray(image[ending])
        content[bit // 8] ^= 1 << bit % 8
        found = seen(image | {ending: bytes(content)}, unsynced / "flipped.db")
        if isinstance(found, Held):
            assert found.records == whole.records, bit
            had = ["", *(f"at {number}" for number in range(6)), DAMAGED]  # the list is an index
            assert all(status in had for status in found.statuses.values()), bit
        else:
            assert found in REFUSED, bit


def test_every_flipped_bit_of_the_records_in_a_file_is_found(
    closed: tuple[Image, Held], unsynced: Path
) -> None:
    image, whole = closed
    bits = [
        8 * place + bit
        for run in whole.records
        for payload in whole.records[run]
        if payload
        for place in [image[""].index(payload)]
        for bit in chosen(8 * len(payload), 6)
    ]
    assert len(bits) > 30
    for bit in bits:
        content = bytearray(image[""])
        content[bit // 8] ^= 1 << bit % 8
        assert seen(image | {"": bytes(content)}, unsynced / "flipped.db") == "E0910"


def test_a_row_that_cannot_be_believed_says_so_and_hides_no_other(unsynced: Path) -> None:
    where = unsynced / "journal.db"
    changes = {
        "runs SET head = x'00' WHERE number = 1": DAMAGED,
        "runs SET head = 7 WHERE number = 1": DAMAGED,
        "runs SET run = CAST(x'ff' AS TEXT) WHERE number = 1": DAMAGED,
        "segments SET status = 'ok' WHERE run = 1 AND status <> ''": DAMAGED,
        "segments SET status = x'38' WHERE run = 1 AND status <> ''": DAMAGED,
        "segments SET changed = 'x' WHERE run = 1 AND status <> ''": DAMAGED,
        "segments SET records = -1 WHERE run = 1 AND status <> ''": DAMAGED,
        "segments SET seal = 7 WHERE run = 1 AND status <> ''": DAMAGED,
    }
    for change, status in changes.items():
        store = written(where, 2)
        store._base.execute(f"UPDATE {change}")
        assert [row.status for row in store.rows()] == ["at 1", status], change
        store.close()
        for path in unsynced.iterdir():
            path.unlink()


def test_a_segment_that_cannot_be_believed_is_an_error(unsynced: Path) -> None:
    store = written(unsynced / "journal.db", 0)
    framer = Framer("first", 0, start("first"))
    for status in ("at 0", ""):
        store.append([framer.frame([b"one", b""], status)], {}, sync=True)
    changes = ("status = 'x'", "changed = changed + 1", "records = 3", "body = 'text'", "body = x'00'")
    for change, first in product(changes, (0, 2)):
        store._base.execute("SAVEPOINT s")
        changed = store._base.execute(f"UPDATE segments SET {change} WHERE run = 1 AND first = {first}")
        assert changed.rowcount == 1
        with pytest.raises(FlowError) as error:
            list(unframe(store.segments("first")))
        assert error.value.problem.code == "E0910"
        store._base.execute("ROLLBACK TO s")
    assert len(list(unframe(store.segments("first")))) == 4
    store.close()


def test_acknowledged_records_that_are_missing_at_the_end_are_an_error(unsynced: Path) -> None:
    store = written(unsynced / "journal.db", 4)
    store._base.execute("DELETE FROM segments WHERE run = 1 AND first = 2")
    with pytest.raises(FlowError) as error:
        list(store.segments("first"))
    assert error.value.problem.message == "record 2 of run first is damaged"
    assert error.value.problem.why == "4 records are acknowledged, and 2 are there"
    assert len(list(store.segments("second"))) == 2
    store.close()


def test_a_lost_value_is_an_error(unsynced: Path) -> None:
    store = written(unsynced / "journal.db", 2)
    store._base.execute("UPDATE blobs SET body = 'text'")
    with pytest.raises(FlowError) as error:
        store.blob(address(BLOB))
    assert error.value.problem.code == "E0910"
    store.close()


def test_a_log_with_a_flaw_is_an_error_unless_the_power_failed(
    left: tuple[Image, Held], unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A computer that lost its power may have written a later page and not an earlier one. What was synced is
    known all the same: each run that lost such records says so.
    """
    image, _ = left
    content = bytearray(image["-wal"])
    content[-3 * 4120 + 100] ^= 1
    flawed = image | {"-wal": bytes(content)}
    assert seen(flawed, unsynced / "flawed.db") == "E0910"
    monkeypatch.setattr(beside, "boot", lambda: "another boot")
    store = SqliteStore(laid_out(flawed, unsynced / "flawed.db"))
    with pytest.raises(FlowError):
        held(store)
    store.close()


def test_what_was_not_synced_may_be_lost_with_the_power(
    unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = written(unsynced / "whole.db", 6, sync=False)
    image = image_of(unsynced / "whole.db")
    store.close()
    content = bytearray(image["-wal"])
    content[-3 * 4120 + 100] ^= 1
    flawed = image | {"-wal": bytes(content)}
    assert seen(flawed, unsynced / "flawed.db") == "E0910"
    monkeypatch.setattr(beside, "boot", lambda: "another boot")
    found = seen(flawed, unsynced / "flawed.db")
    assert isinstance(found, Held)
    assert sum(map(len, found.records.values())) < 12
    again = image_of(unsynced / "flawed.db")
    assert seen(again, unsynced / "flawed.db") == found


def test_a_computer_that_does_not_tell_its_boots_trusts_what_was_synced_alone(
    unsynced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "boot", lambda: "")
    store = written(unsynced / "journal.db", 4, sync=False)
    assert store._beside.marked(1, "first") == 0
    store.append([], {}, sync=True)
    store.close()
    store = written(unsynced / "other.db", 4)
    assert store._beside.marked(1, "first") == 4
    assert store._beside.marked(1, "second") == 0  # a mark of another run
    store.close()
