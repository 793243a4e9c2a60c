"""Kills in earnest, at a write or a sync of a file; and files that cannot grow."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from flowc.runtime.durable import runs
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.writer import Writer
from flowc.runtime.reading import bind_arguments
from flowc.runtime.values import to_json
from tests.durable import driver
from tests.durable.crashing import Ending
from tests.durable.programs import PROGRAMS, Program
from tests.durable.simulated import compiled
from tests.durable.test_crashes import undisturbed
from tests.durable.world import RUN

LONG = settings.get_current_profile_name() == "long"
ROOT = Path(__file__).parents[2]
CALLS = "write,pwrite64,fsync,fdatasync"
CHILDREN = 4
QUICK = {"nested": (4, 11), "otherwise": (7,), "transaction": (5,)}
SLOW = ("sleep", "retries", "tried again", "limits", "timeout", "people", "budget")
"""Programs that wait for long, or whose world counts what it is asked."""
LASTING = [each for each in PROGRAMS if not any(word in each.name for word in SLOW)]


def named(name: str) -> Program:
    return next(each for each in PROGRAMS if each.name == name)


def traced(folder: Path, program: Program, at: int) -> int:
    """Has children go on with a run, each killed at the write or sync of this number on one of its threads;
    gives how many were.
    """
    strace = shutil.which("strace")
    if strace is None or sys.platform != "linux":
        pytest.skip("there is no strace here")
    watched = [folder / name for name in (driver.JOURNAL, f"{driver.JOURNAL}-wal", driver.WORLD)]
    paths = [word for each in watched for word in ("-P", str(each))]
    command = [strace, "-f", "-qq", "-o", str(folder / "calls"), *paths, "-e", f"trace={CALLS}"]
    command += ["-e", f"inject={CALLS}:signal=KILL:when={at}"]
    command += [sys.executable, "-m", "tests.durable.driver", str(folder), program.name, str(CHILDREN)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    if "PTRACE" in done.stderr or "not permitted" in done.stderr:
        pytest.skip("strace may not trace here")
    return done.stdout.split().count("-9")


def begun(folder: Path, program: Program) -> None:
    """A run that has begun, and nothing else."""
    journal = _journal(folder)
    plan = compiled(program).plan
    values = bind_arguments(plan, plan.functions["main"], program.arguments)
    runs.begin(journal, plan, "main", values, {}, run=RUN)
    journal.close()


def _journal(folder: Path) -> runs.Journal:
    store = SqliteStore(folder / driver.JOURNAL)
    return runs.Journal(store, Writer(store))


def assert_ends_as_if_undisturbed(folder: Path, program: Program) -> None:
    """Goes on to the end, and looks at the world."""
    for _ in range(20):
        if driver.go_on(folder, program) == driver.DONE:
            break
    journal = _journal(folder)
    past = runs.past_of(journal.store, RUN)
    problem = past.ending.get("problem")
    value = None if problem else to_json(runs.result_of(journal.store, past), limit=None)
    journal.close()
    effects = driver.effects(folder / driver.WORLD)
    keys = Counter(each.key for each in effects if not each.idempotent)
    assert max(keys.values(), default=1) == 1, keys
    writes = Counter((each.tool, each.arguments) for each in effects if not each.idempotent)
    same = {(each.tool, each.arguments, each.key): 1 for each in effects if each.idempotent}
    wanted, _ = undisturbed(program)
    shown = {_shown(key): count for key, count in wanted.writes.items()}
    ending = Ending(past.status, problem[0] if problem else None, value, {**writes, **same})
    assert ending == Ending(wanted.status, wanted.code, wanted.value, shown)


def _shown(key: object) -> object:
    assert isinstance(key, tuple)
    return tuple(part.hex() if isinstance(part, bytes) else part for part in key)


@pytest.mark.parametrize(
    ("name", "at"), [(name, at) for name, places in QUICK.items() for at in places], ids=str
)
def test_a_killed_process_loses_nothing_and_does_nothing_twice(tmp_path: Path, name: str, at: int) -> None:
    program = named(name)
    begun(tmp_path, program)
    assert traced(tmp_path, program, at) >= 1
    assert_ends_as_if_undisturbed(tmp_path, program)


def test_a_journal_may_be_killed_as_it_is_made(tmp_path: Path) -> None:
    program = named("chain")
    for at in (17, 33) if not LONG else range(1, 45):
        folder = tmp_path / str(at)
        folder.mkdir()
        assert traced(folder, program, at) >= 1
        assert_ends_as_if_undisturbed(folder, program)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("program", LASTING if LONG else [], ids=str)
def test_a_process_may_be_killed_at_every_write(tmp_path: Path, program: Program) -> None:
    for at in range(1, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        begun(folder, program)
        killed = traced(folder, program, at)
        assert_ends_as_if_undisturbed(folder, program)
        if not killed:
            return


@pytest.mark.parametrize("most", [61_440, 90_112, 122_880])
def test_a_journal_that_cannot_grow_stops_the_run_and_lets_it_go_on_later(tmp_path: Path, most: int) -> None:
    program = named("nested")
    begun(tmp_path, program)
    command = [sys.executable, "-m", "tests.durable.driver", str(tmp_path), program.name, "1", str(most)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (driver.BROKEN, "E0912\n"), done.stdout
    assert_ends_as_if_undisturbed(tmp_path, program)
