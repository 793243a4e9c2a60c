"""Journals that are damaged, or lose what was not yet kept: what is read was written, and all of it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from flowc.runtime.durable.records import read_records
from flowc.runtime.durable.runs import past_of, row_of
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.frames import unframe
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.place import open_journal
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.store import Segment, Store, consecutive
from flowc.testing.strategies.changes import damaged
from flowc.testing.strategies.choices import Choices, from_random
from flowc.testing.strategies.journals import (
    History,
    damaged_segments,
    drawn_history,
    rewritten,
    write_to,
)
from tests.assurance.campaign import Campaign, Tally, Wrong, refusal
from tests.runtime.journal.images import ENDINGS, Image, image_of, laid_out

ROUNDS = 30
CHANGES = 20
FILES = 6
"""How many damaged files of a journal are read."""
REFUSED = frozenset({"E0910", "E0911", "E0912"})


def acknowledged(history: History) -> dict[str, int]:
    """How many records of each run are kept whatever happens: those of the last synced commit and before."""
    counts = dict.fromkeys(history.heads, 0)
    last = max((place for place, commit in enumerate(history.commits) if commit.synced), default=-1)
    for commit in history.commits[: last + 1]:
        for segment in commit.segments:
            counts[segment.run] = segment.first + segment.count
    return counts


def kept(store: Store, history: History, least: dict[str, int]) -> None:
    """Checks that a store holds the beginning of each run, and at least so many records of it."""
    for run, written in history.records.items():
        found = tuple(payload for _, payload in unframe(store.segments(run)))
        if found != written[: len(found)] or len(found) < least[run]:
            raise Wrong(f"{run}: {found} instead of {written}, of which {least[run]} are acknowledged")
        if len(list(read_records(store, run))) != len(found):
            raise Wrong(f"{run}: its records are not those of its segments")
        if past_of(store, run).records != len(found):
            raise Wrong(f"{run}: what is known of it is not all of its records")


def whole(history: History) -> dict[str, int]:
    """All records of all runs."""
    return {run: len(records) for run, records in history.records.items()}


def reread(run: str, segments: Sequence[Segment], written: Sequence[bytes]) -> str | None:
    """Reads segments that may be damaged, of a run of which all records are acknowledged.

    Gives the code of the refusal; None where they are what was written.
    """
    try:
        found = [payload for _, payload in unframe(consecutive(run, 0, segments, len(written)))]
    except Exception as error:
        return refusal(error, REFUSED, segments)
    if found != list(written):
        raise Wrong(f"{segments} are read as {found}, not as {list(written)}")
    return None


def understood(history: History) -> str | None:
    """Reads a run that says what no run says: gives the code of the refusal, None if it is fine."""
    store = MemoryStore()
    write_to(store, history)
    for run in history.heads:
        for read in (past_of, lambda store, run: list(read_records(store, run))):
            try:
                read(store, run)
            except Exception as error:
                return refusal(error, REFUSED, history)
    return None


def reopened(image: Image, where: Path, history: History) -> str | None:
    """Reads the damaged files of a journal; gives the code of the refusal, None where nothing is lost."""
    store: Store | None = None
    try:
        store = open_journal(str(laid_out(image, where)), create=False)
        for run in history.heads:
            row_of(store, run)
        kept(store, history, whole(history))
    except FlowError as error:
        return refusal(error, REFUSED, "a damaged file")
    finally:
        if store is not None:
            store.close()
    return None


def files(history: History, choices: Choices, tally: Tally) -> None:
    """The files of a journal, each damaged in turn."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "runs.db"
        store = SqliteStore(where)
        write_to(store, history)
        kept(store, history, whole(history))
        if choices.flag():
            image = image_of(where)
            store.close()
        else:
            store.close()
            image = image_of(where)
        for number in range(FILES):
            ending = choices.one([each for each in ENDINGS[:2] if each in image])
            broken = image | {ending: damaged(choices, image[ending])}
            reopened(broken, Path(folder) / f"damaged{number}.db", history)
            tally.tried["inputs"] += 1


def case(chance: Random, tally: Tally, rounds: int = ROUNDS, changes: int = CHANGES) -> None:
    """Runs that write, lose what was not synced, and are read where something is wrong with them."""
    choices = from_random(chance)
    for number in range(rounds):
        history = drawn_history(choices)
        store = MemoryStore()
        write_to(store, history)
        kept(store, history, whole(history))
        kept(store.crashed(), history, whole(history))
        kept(store.without_power(choices.number(0, 10**6)), history, acknowledged(history))
        tally.tried["journals"] += 1
        for run, written in history.records.items():
            segments = list(store.segments(run))
            for _ in range(changes):
                reread(run, damaged_segments(choices, segments), written)
                tally.tried["inputs"] += 1
        for _ in range(changes):
            understood(rewritten(choices, history))
            tally.tried["inputs"] += 1
        if number % 10 == 0:
            files(history, choices, tally)


CAMPAIGN = Campaign("journals", case)
