"""Kept runs from the command line: who goes on with them, with which program, and where they are kept."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowc.cli import main
from flowc.runtime.durable.listing import listed as listed_in
from flowc.runtime.durable.runs import journal_at, named
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import MemoryStore
from tests.cli.kept import STEPS, broken_off, flowc, listed, shown, write_programs, written


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_programs(tmp_path)
    return tmp_path


# ---- who goes on with a run, and with which program


def test_a_run_that_somebody_has_is_running_and_left_alone() -> None:
    run = broken_off()
    journal = journal_at("runs.db")
    assert journal.store.take(run)
    assert listed()[0]["status"] == "running"
    assert shown()["in_doubt"] == []
    for words in (["resume", run], ["resolve", run, "main/1:put", "--retry"]):
        refused = flowc(*words)
        assert refused.exit_code == 3
        assert "error[E0921]" in refused.stderr
    journal.close()
    assert listed()[0]["status"] == "in-doubt"


def test_a_program_that_is_gone_is_taken_from_the_journal(folder: Path) -> None:
    flowc("run", "asks.flow")
    (folder / "asks.flow").unlink()
    answered = flowc("answer", "last", "approve", "yes")
    assert answered.stdout == "done\n"
    assert "asks.flow is not there" in answered.stderr


def test_another_wording_of_a_program_is_the_same_program(folder: Path) -> None:
    flowc("run", "asks.flow")
    (folder / "moved.flow").write_text("# a comment\n" + (folder / "asks.flow").read_text())
    answered = flowc("answer", "last", "approve", "yes", "--program", "moved.flow")
    assert answered.stdout == "done\n"
    assert "changed" not in answered.stderr


def test_a_program_that_the_run_does_not_fit_is_refused(folder: Path) -> None:
    broken_off()
    flowc("resolve", "last", "main/1:put", "--done", "7")
    (folder / "steps.flow").write_text(STEPS.replace("put(n)", "put(n + 1)"))
    refused = flowc("resume", "last")
    assert refused.exit_code == 3
    assert "error[E0925]" in refused.stderr
    assert "flow main" in refused.stderr
    assert written() == []
    (folder / "steps.flow").write_text(STEPS)
    assert flowc("resume", "last").stdout == "7\n"


def test_a_kernel_that_computes_something_else_is_a_change(folder: Path) -> None:
    program = "kernel twice(x: f32[n]) -> f32[n]:\n    return x + x\n\n"
    program += 'human fine(x: f32) -> bool:\n    """Is {x} fine?"""\n\n'
    program += "flow main(x: f32[n]) -> list[bool]:\n    y = twice(x)\n    return [fine(y[0]), fine(x[0])]\n"
    (folder / "numbers.flow").write_text(program)
    flowc("run", "numbers.flow", "x=[1, 2]")
    assert [each["prompt"] for each in shown()["waiting"]] == ["Is 2.0 fine?"]
    flowc("answer", "last", "fine", "yes")
    assert [each["prompt"] for each in shown()["waiting"]] == ["Is 1.0 fine?"]
    (folder / "numbers.flow").write_text(program.replace("x + x", "x + x + x"))
    assert "error[E0925]" in flowc("resume", "last").stderr
    (folder / "numbers.flow").write_text(program)
    assert flowc("answer", "last", "fine", "no").stdout == "[true, false]\n"


def test_an_artifact_goes_on_although_it_is_gone(folder: Path) -> None:
    assert flowc("compile", "asks.flow", "-o", "asks.flowc", "--journal", "x").exit_code == 2
    CliRunner().invoke(main, ["compile", "asks.flow", "-o", "asks.flowc"])
    flowc("run", "asks.flowc")
    (folder / "asks.flowc").unlink()
    assert flowc("answer", "last", "approve", "no").stdout == "left\n"


# ---- places


def test_a_journal_that_is_not_there_or_only_begun_has_no_runs(folder: Path) -> None:
    assert listed() == []
    assert not (folder / "runs.db").exists()
    (folder / "runs.db").touch()
    assert listed() == []
    assert flowc("resume", "last").exit_code == 2
    (folder / "runs.db").write_text("bread, cheese")
    for words in (["runs"], ["run", "steps.flow", "n=1"]):
        refused = flowc(*words)
        assert refused.exit_code == 2
        assert "error[E0911]" in refused.stderr
    assert written() == []


def test_the_users_own_journal_may_be_out_of_reach_but_not_a_named_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").touch()
    monkeypatch.delenv("FLOWC_JOURNAL")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "file"))
    done = CliRunner().invoke(main, ["run", "steps.flow", "n=1", "--quiet"])
    assert (done.stdout, done.exit_code) == ("110\n", 0)
    assert "warning[E0911]" in done.stderr
    assert "is not kept" in done.stderr
    monkeypatch.setenv("FLOWC_JOURNAL", str(folder / "file" / "runs.db"))
    assert CliRunner().invoke(main, ["run", "steps.flow", "n=1"]).exit_code == 2


def test_an_option_counts_before_flowc_toml_and_that_before_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> None:
        assert (
            CliRunner().invoke(main, ["run", "asks.flow", "--answer", "approve=yes", *words]).exit_code == 0
        )

    monkeypatch.setenv("FLOWC_JOURNAL", "environment.db")
    run()
    (folder / "flowc.toml").write_text('[run]\njournal = "configured.db"\n')
    run()
    run("--journal", "chosen.db")
    run("--journal", "none")
    for name in ("environment.db", "configured.db", "chosen.db"):
        assert len(listed("--journal", name)) == 1
    (folder / "flowc.toml").write_text('[run]\njournal = "none"\n')
    run()
    assert len(listed("--journal", "environment.db")) == 1


def test_runs_of_a_batch_are_not_kept(folder: Path) -> None:
    (folder / "lines.jsonl").write_text('{"n": 1}\n')
    refused = flowc("run", "steps.flow", "--batch", "lines.jsonl")
    assert refused.exit_code == 2
    assert "error[E0697]: --journal is about one run" in refused.stderr
    assert flowc("run", "steps.flow", "--batch", "lines.jsonl", "--journal", "none").exit_code == 0


# ---- lists


def test_a_run_of_which_nothing_is_left_is_listed_and_never_said_not_to_be() -> None:
    flowc("run", "steps.flow", "n=1")
    flowc("run", "asks.flow")
    lost = listed()[0]["run"]
    with sqlite3.connect("runs.db") as base:
        base.execute("DELETE FROM runs WHERE run = ?", [lost])
        base.execute("DELETE FROM segments WHERE run = 2")
    base.close()
    assert [(each["run"] != "", each["status"]) for each in listed()] == [(False, "damaged"), (True, "ok")]
    table = flowc("runs")
    assert table.stdout.splitlines()[1].split() == ["?", "damaged"]
    assert "are there no more: flowc explain E0910" in table.stderr
    assert len(listed("--status", "damaged")) == 1
    for name in (lost, "last"):
        refused = flowc("resume", name)
        assert refused.exit_code != 0
        assert "error[E0910]" in refused.stderr
    assert "error[E0920]" in flowc("resume", "never").stderr
    flowc("run", "steps.flow", "n=2")
    assert [each["status"] for each in listed()] == ["ok", "damaged", "ok"]
    assert flowc("resume", "last").stdout == "210\n"


def test_runs_are_listed_newest_first_by_status_and_number() -> None:
    flowc("run", "steps.flow", "n=1")
    flowc("run", "asks.flow")
    broken_off()
    assert [each["status"] for each in listed()] == ["in-doubt", "waiting", "ok"]
    assert [each["status"] for each in listed("--status", "ok")] == ["ok"]
    assert [each["status"] for each in listed("--limit", "2")] == ["in-doubt", "waiting"]
    assert [line.split()[1] for line in flowc("runs").stdout.splitlines()[1:]] == [
        "in-doubt",
        "waiting",
        "ok",
    ]


def test_no_records_are_read_of_runs_that_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    flowc("run", "steps.flow", "n=1")
    journal = journal_at("runs.db")

    def refuse(*_: Any) -> Any:
        raise AssertionError("the records of a run were read")

    monkeypatch.setattr(type(journal.store), "segments", refuse)
    assert [each.status for each in listed_in(journal.store)] == ["ok"]
    journal.close()


def test_a_name_may_be_cut_off_where_it_is_clear() -> None:
    run = broken_off()
    assert shown(run[:6])["run"] == run
    assert flowc("show", "zz").exit_code == 2
    assert flowc("show", "").exit_code == 2
    store = MemoryStore()
    for each in ("ab1", "ab2"):
        store.begin(each, b"{}")
    with pytest.raises(FlowError, match="several runs begin"):
        named(store, "ab")


# ---- virtual time, starting, dying


def test_keeping_takes_no_virtual_time(folder: Path) -> None:
    say = 'llm say(i: int) -> str:\n    """Say {i}."""\n\n'
    program = say + "flow main(n: int) -> list[str]:\n    return [say(i) for i in range(n)]\n"
    (folder / "say.flow").write_text(program)
    words = ["run", "say.flow", "n=12", "--provider", "simulated", "--output-format", "json"]
    runs = [json.loads(flowc(*words, "--journal", where).stdout) for where in ("none", "a.db", "b.db")]
    assert len({(run["wall_ms"], str(run["result"]), run["tokens_out"]) for run in runs}) == 1


def test_a_run_that_is_not_kept_imports_no_database(folder: Path) -> None:
    code = (
        "import sys\nfrom flowc.cli import main\n"
        "main(['run', 'asks.flow', '--answer', 'approve=yes', '--journal', 'none'], standalone_mode=False)\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlite3", "psycopg", "flowc.runtime.durable.runs"} & set(done.stdout.split())


def test_a_killed_run_goes_on_where_it_was(folder: Path) -> None:
    slow = (folder / "tools.py").read_text() + "\nimport time\nlimit = put\n"
    slow += "def put(i: int) -> int:\n    done = limit(i)\n    time.sleep(60 * (i == 11))\n    return done\n"
    (folder / "tools.py").write_text(slow)
    command = [sys.executable, "-m", "flowc", "run", "steps.flow", "n=1", "--journal", "runs.db"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while written() != [1, 11] and time.monotonic() < until:
            time.sleep(0.02)
        assert listed()[0]["status"] == "running"
        os.kill(process.pid, signal.SIGKILL)
    assert listed()[0]["status"] == "in-doubt"
    flowc("resolve", "last", "main/1:put", "--done", "110")
    assert flowc("resume", "last").stdout == "110\n"
    assert written() == [1, 11]
