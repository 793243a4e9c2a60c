"""flowc's side: `python -m benchmarks.durable.child FOLDER SIZE`, a worker whose samples are blocks of steps.

SIZE is how many steps a journal has that is gone on with; the others are made from it.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from unittest import mock

from benchmarks import worker
from benchmarks.durable.programs import LOOP, MAP, TOGETHER, TOOLS, WRITES, chain, writes_at_once
from benchmarks.worker import Call, Prepare
from flowc.compiler.driver import compile_text
from flowc.runtime.durable import runs
from flowc.runtime.durable.keeper import Keeping
from flowc.runtime.durable.listing import listed
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load, run
from flowc.runtime.journal.sqlite import SqliteStore

PAGE = b"\1" * 4096
_NUMBER = count().__next__


def main() -> None:
    """Prepares the journals that are read, then answers."""
    channel = worker.claim_output()
    folder, size = Path(sys.argv[1]), int(sys.argv[2])
    steps = max(size // 10, 10)
    few = max(size // 200, 4)
    loop, side_by_side = _loaded(LOOP), _loaded(MAP)
    one, together = _loaded(WRITES), _loaded(writes_at_once())
    for name, loaded in (("loop", loop), ("map", side_by_side)):
        _broken_off(loaded, size, folder / f"{name}.db")
    _many_runs(folder / "many.db", one, size // 10)
    journal = runs.journal_at(str(folder / "service.db"))
    variants: dict[str, Prepare] = {
        "steps": _running(folder, loop, steps),
        "map": _running(folder, side_by_side, steps),
        "raw": _syncing(folder, few),
        "write": worker.repeated(lambda: _kept_in(journal, one, few)),
        "writes": worker.repeated(lambda: _kept_in(journal, together, few)),
        "resume loop": _resuming(folder, "loop", loop, size),
        "resume map": _resuming(folder, "map", side_by_side, size),
        "list": worker.repeated(lambda: _listed(folder / "many.db")),
    }
    blocks = {"steps": steps, "map": steps, "raw": few, "write": few, "writes": few * TOGETHER}
    facts = {
        "blocks": blocks,
        "runs": size // 10,
        "syncs": _syncs(folder, one, few),
        **_chain(folder, size // 100),
    }
    worker.serve(channel, variants, {}, facts)


def _loaded(text: str) -> Loaded:
    return load(compile_text(text, "durable.flow").plan, Environment(tools=TOOLS))


def _kept(loaded: Loaded, n: int, where: Path, *, fast: bool) -> None:
    journal = runs.journal_at(str(where), fast=fast)
    _kept_in(journal, loaded, n)
    journal.close()


def _kept_in(journal: runs.Journal, loaded: Loaded, n: int) -> None:
    keeper = runs.begin(journal, loaded.plan, "main", [n], {})
    result = run(loaded, "main", {"n": n}, keeper=keeper)
    assert result.status == "ok", result.problem


def _fresh(folder: Path) -> Path:
    """A place for a journal; what was there before goes."""
    for old in folder.glob("fresh*"):
        old.unlink()
    return folder / f"fresh{_NUMBER()}.db"


def _running(folder: Path, loaded: Loaded, n: int) -> Prepare:
    """A whole run of so many turns, from an empty journal to a closed one."""

    def prepare() -> Call:
        where = _fresh(folder)
        return lambda: _kept(loaded, n, where, fast=True)

    return prepare


def _syncing(folder: Path, n: int) -> Prepare:
    """What a sync costs here: a page at the end of a file, written and synced, so many times."""

    def prepare() -> Call:
        def call() -> None:
            descriptor = os.open(_fresh(folder), os.O_RDWR | os.O_CREAT)
            for place in range(n):
                os.pwrite(descriptor, PAGE, place * len(PAGE))
                os.fdatasync(descriptor)
            os.close(descriptor)

        return call

    return prepare


async def _lost(*_: object) -> None:
    """The process ends before the end of the run is kept."""


def _broken_off(loaded: Loaded, n: int, where: Path) -> None:
    """A journal in which all steps of a run are, and not its end."""
    with mock.patch.object(Keeping, "finish", _lost):
        _kept(loaded, n, where, fast=True)


def _resuming(folder: Path, name: str, loaded: Loaded, n: int) -> Prepare:
    def prepare() -> Call:
        where = _fresh(folder)
        shutil.copy(folder / f"{name}.db", where)
        return lambda: _resumed(where, loaded, n)

    return prepare


def _resumed(where: Path, loaded: Loaded, n: int) -> None:
    journal = runs.journal_at(str(where))
    (row,) = journal.store.rows()
    keeper = runs.go_on(journal, row.run)
    assert run(loaded, "main", {"n": n}, keeper=keeper).status == "ok"
    journal.close()


def _many_runs(where: Path, loaded: Loaded, n: int) -> None:
    journal = runs.journal_at(str(where), fast=True)
    with mock.patch.object(SqliteStore, "_transaction", _unsynced(SqliteStore._transaction)):
        for _ in range(n):
            begun = runs.begin(journal, loaded.plan, "main", [1], {}).run
            journal.writer.append(begun, b'["status",0,"ok",{"spent":[0,0,0],"result":1}]', status="ok")
    journal.close()


def _unsynced(transaction: Callable[..., object]) -> Callable[..., object]:
    return lambda store, sync: transaction(store, sync=False)


def _listed(where: Path) -> int:
    journal = runs.journal_at(str(where), create=False)
    found = sum(1 for _ in listed(journal.store))
    journal.close()
    return found


@contextmanager
def _counted() -> Iterator[list[bool]]:
    """Whether each group of records that is written is synced."""
    seen: list[bool] = []
    append = SqliteStore.append

    def counting(store: SqliteStore, segments: object, blobs: object, *, sync: bool) -> None:
        seen.append(sync)
        append(store, segments, blobs, sync=sync)  # type: ignore[arg-type]

    with mock.patch.object(SqliteStore, "append", counting):
        yield seen


def _syncs(folder: Path, loaded: Loaded, n: int) -> float:
    """Syncs a step, where one write follows the other."""
    with _counted() as seen:
        _kept(loaded, n, _fresh(folder), fast=False)
    return sum(seen) / n


def _chain(folder: Path, nodes: int) -> dict[str, int]:
    where = _fresh(folder)
    _kept(_loaded(chain(nodes)), 0, where, fast=True)
    return {"chain": nodes, "chain_bytes": sum(each.stat().st_size for each in folder.glob(f"{where.name}*"))}


if __name__ == "__main__":
    main()
