"""What reaches stdout and stderr of a real process: descriptors, closed streams, readers that go away."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import COMMANDS, Done, run_forked

TOOLS = """\
import os, subprocess, sys

def noisy(x):
    print("printed")
    sys.stdout.write("written")
    subprocess.run(["echo", "by a child"], check=True)
    os.write(1, b"by descriptor")
    return x + 1

def long(x):
    return 10 ** 5000

def surrogate(x):
    return "\\ud800é"
"""
PROGRAM = """\
from "tools.py" import noisy, long, surrogate

tool noisy(x: int) -> int reads world

tool long(x: int) -> int pure

tool surrogate(x: int) -> str pure

flow main(x: int) -> int:
    return noisy(x)

flow huge(x: int) -> int:
    return long(x)

flow half(x: int) -> str:
    return surrogate(x)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "main.flow").write_text(PROGRAM)
    (tmp_path / "batch.jsonl").write_text("\n".join(f'{{"x": {x}}}' for x in range(2000)))
    return tmp_path


def flowc(*words: str, out: Path | None = None) -> Done:
    """Runs the command; its descriptors are files."""
    return run_forked("from flowc.cli import main; main()", ("flowc", *words), ahead=COMMANDS, out=out)


def redirected(*words: str, redirect: str) -> subprocess.CompletedProcess[str]:
    command = f'"$0" -c "from flowc.cli import main; main()" "$@" {redirect}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *words], capture_output=True, text=True, check=False, timeout=60
    )


def test_what_tools_and_their_children_print_goes_to_stderr() -> None:
    done = flowc("run", "main.flow", "x=3", "--flow", "main", "--output-format=json")
    assert json.loads(done.out)["result"] == 4
    for words in ("printed", "written", "by a child", "by descriptor"):
        assert words in done.err


def test_a_batch_keeps_stdout_for_its_lines(folder: Path) -> None:
    (folder / "three.jsonl").write_text('{"x": 1}\n{"x": 2}\n{"x": 3}\n')
    done = flowc("run", "main.flow", "--flow", "main", "--batch", "three.jsonl")
    assert [json.loads(line)["result"] for line in done.out.splitlines()] == [2, 3, 4]


def test_a_closed_stderr_or_stdout_ends_no_run() -> None:
    assert redirected("run", "main.flow", "x=3", "--flow", "main", redirect="2>&-").stdout == "4\n"
    assert redirected("run", "main.flow", "x=3", "--flow", "main", redirect=">&-").returncode == 0


def test_a_reader_that_goes_away_is_no_failure() -> None:
    words = ["run", "main.flow", "--flow", "half", "--batch", "batch.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from flowc.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_under_stdout_is_said(folder: Path) -> None:
    for words in (["run", "main.flow", "x=3", "--flow", "half"], ["compile", "main.flow", "--emit=tree"]):
        done = flowc(*words, out=Path("/dev/full"))
        assert done.status == 2
        assert "error[E0682]" in done.err
        assert "internal" not in done.err


def test_whole_numbers_of_any_length_are_printed_and_read() -> None:
    done = flowc("run", "main.flow", "x=3", "--flow", "huge")
    assert done.out == "1" + "0" * 5000 + "\n"
    given = flowc("run", "main.flow", "x=" + "9" * 5000, "--flow", "main")
    assert given.out == "1" + "0" * 5000 + "\n"


def test_half_a_surrogate_pair_is_printed_escaped() -> None:
    assert flowc("run", "main.flow", "x=3", "--flow", "half").out == "\\ud800é\n"
    done = flowc("run", "main.flow", "x=3", "--flow", "half", "--output-format=json")
    assert json.loads(done.out)["result"] == "\ud800é"


def test_a_run_that_fails_before_its_first_step_is_still_one_object(folder: Path) -> None:
    (folder / "none.flow").write_text("tool f(x: int) -> int pure\n\nflow main() -> int:\n    return f(1)\n")
    done = flowc("run", "none.flow", "--output-format=json")
    found = json.loads(done.out)
    assert (done.status, found["status"], found["code"]) == (3, "failed", "E0803")
    assert "error[E0803]" in done.err


def test_a_timeline_that_cannot_be_written_loses_no_result() -> None:
    done = flowc("run", "main.flow", "--flow", "main", "x=3", "--trace", "missing/t.json")
    assert done.out == "4\n"
    assert done.status == 2
    assert "error[E0682]" in done.err


def test_the_package_runs_as_a_module_does() -> None:
    command = [sys.executable, "-m", "flowc", "frobnicate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error[E0670]" in done.stderr
