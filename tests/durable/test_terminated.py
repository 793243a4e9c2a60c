"""A kept run that is asked to end lets its write end first; a call that was never begun is in no doubt."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowc.runtime.durable import runs
from flowc.runtime.durable.past import Spending, read_past
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import MemoryStore

PROGRAM = """
from "tools.py" import put
tool put(i: int) -> int writes db
flow main(n: int) -> int:
    return put(put(n))
"""

TOOLS = """
import time
from pathlib import Path

def put(i: int) -> int:
    with Path("world").open("a") as world:
        world.write(f"{i} ")
    time.sleep(1)
    return i + 1
"""


def flowc(folder: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "flowc", *words, "--journal", "j.db"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_write_ends_before_a_run_that_is_asked_to_end(tmp_path: Path) -> None:
    (tmp_path / "p.flow").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text(TOOLS)
    run = flowc(tmp_path, "run", "p.flow", "n=1")
    world = tmp_path / "world"
    for _ in range(600):
        if world.exists() and world.read_text():
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 3, said
    assert "E0716" in said
    given, _ = flowc(tmp_path, "resume", "last").communicate(timeout=60)
    assert given == "3\n"
    assert world.read_text() == "1 2 "


def test_a_call_that_was_never_begun_is_in_no_doubt() -> None:
    intent = b'["intent",1.0,"main/0:put","put",1,false,{"i":1},0,0.0]'
    begun = read_past("r", {}, [(0, intent)])
    withdrawn = read_past("r", {}, [(0, intent), (1, b'["withdrawn","main/0:put"]')])
    assert [each.step for each in begun.in_doubt()] == ["main/0:put"]
    assert withdrawn.in_doubt() == []
    assert withdrawn.spent_under("main") == Spending()


def test_no_name_is_the_name_of_no_run() -> None:
    store = MemoryStore()
    store.begin("r", b"{}")
    with pytest.raises(FlowError, match="E0920"):
        runs.named(store, "")
