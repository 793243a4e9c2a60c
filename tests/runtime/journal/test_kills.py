"""A process that is killed at any of its writes or syncs leaves a journal with all that it acknowledged."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from flowc.runtime.journal.frames import unframe
from flowc.runtime.journal.sqlite import SqliteStore

EACH = {"pwrite64": 23, "fdatasync": 11, "ftruncate": 4, "unlink": 2}
"""Calls that change files, and how many apart the ones are at which a child is killed."""
LONG = settings.get_current_profile_name() == "long"

CHILD = """
import os, sys
from pathlib import Path
from flowc.runtime.journal.frames import start
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.writer import Writer

told = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(told, b"begun ")
store = SqliteStore(Path(sys.argv[1]))
store._base.execute("PRAGMA wal_autocheckpoint = 6")
store.begin("run", b"head")
writer = Writer(store)
writer.open("run", 0, start("run"))
for number in range(12):
    writer.wait(writer.append("run", b"%d " % number * 200), sync=number % 3 == 0)
    os.write(told, b"%d " % number)
writer.close()
store.close()
os.write(told, b"end ")
"""


@pytest.fixture
def strace() -> str:
    """The program that kills at a system call."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not to be had here")
    if subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    return found


def killed(strace: str, folder: Path, call: str, number: int) -> bool:
    """Runs the child, to be killed as it makes that call for the so-manieth time; whether it came to that.

    Then looks at what it left.
    """
    journal, told = folder / "journal.db", folder / "told"
    for path in folder.iterdir():
        path.unlink()
    tracing = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    injecting = ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
    child = [sys.executable, "-c", CHILD, str(journal), str(told)]
    subprocess.run([*tracing, *injecting, *child], capture_output=True, check=False, timeout=60)
    words = told.read_text().split() if told.exists() else []
    acknowledged = [word for word in words if word.isdigit()]
    store = SqliteStore(journal)
    found = [payload for _, payload in unframe(store.segments("run"))]
    assert found == [b"%d " % each * 200 for each in range(len(found))]
    assert len(found) >= len(acknowledged)
    assert (store.find("") == ["run"]) or not acknowledged
    if store.find(""):
        assert store.take("run")
    store.close()
    return "end" not in words


@pytest.mark.parametrize("call", EACH)
def test_a_process_killed_at_any_call_loses_nothing_that_it_acknowledged(
    strace: str, unsynced: Path, call: str
) -> None:
    number, apart = 1, 1 if LONG else EACH[call]
    while killed(strace, unsynced, call, number):
        number += apart
    assert number > 1
