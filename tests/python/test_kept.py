"""Decorated functions whose runs are kept, and what Python says to kept runs."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import flowc
from flowc.runtime.errors import FlowError

KEYS: list[str] = []
BROKEN: list[bool] = []


@flowc.tool(effects="writes db")
def store(i: int) -> int:
    KEYS.append(flowc.idempotency_key())
    if BROKEN:
        raise ValueError("the disk is on fire")
    return i * 10


@flowc.human
def approve(total: int) -> bool:
    """Is {total} right?"""


@flowc.flow
def ask(n: int) -> str:
    total = store(n)
    return f"sum {total}" if approve(total) else "no"


@pytest.fixture(autouse=True)
def where(tmp_path: Path) -> str:
    KEYS.clear()
    BROKEN.clear()
    return str(tmp_path / "runs.db")


def test_a_run_waits_is_answered_and_goes_on(where: str) -> None:
    waits = ask.using(journal=where).report(4)
    assert waits.status == "waiting"
    found = flowc.show(waits.run, journal=where)
    assert [each["prompt"] for each in found["waiting"]] == ["Is 40 right?"]
    assert flowc.answer(waits.run, "approve", True, journal=where).endswith(":approve")
    assert flowc.resume(waits.run, journal=where).result == "sum 40"
    again = flowc.resume(waits.run, journal=where)
    assert (again.status, again.result, len(KEYS)) == ("ok", "sum 40", 1)
    assert [(each.run, each.status) for each in flowc.runs(journal=where)] == [(waits.run, "ok")]


def test_runs_beside_each_other_are_kept_one_by_one(where: str) -> None:
    kept = ask.using(journal=where, answers={"approve": True})

    async def several() -> list[str]:
        return list(await asyncio.gather(*[kept.run(i) for i in range(8)]))

    assert asyncio.run(several()) == [f"sum {i * 10}" for i in range(8)]
    assert [each.status for each in flowc.runs(journal=where)] == ["ok"] * 8
    assert len(set(KEYS)) == 8


def test_a_step_that_failed_is_made_again_under_the_same_key(where: str) -> None:
    BROKEN.append(True)
    failed = ask.using(journal=where, answers={"approve": False}).report(4)
    assert failed.status == "failed"
    BROKEN.clear()
    (step,) = [each["step"] for each in flowc.show(failed.run, journal=where)["steps"]]
    flowc.resolve(failed.run, step, retry=True, journal=where)
    assert flowc.resume(failed.run, journal=where).result == "no"
    assert len(KEYS) == 2
    assert len(set(KEYS)) == 1


def test_what_does_not_fit_is_refused_and_nothing_written(where: str) -> None:
    waits = ask.using(journal=where).report(4)
    for problem, tell in {
        "E0731": lambda: flowc.answer(waits.run, "approve", "perhaps", journal=where),
        "E0922": lambda: flowc.resolve(waits.run, "ask/9:store", done=3, journal=where),
        "E0920": lambda: flowc.show("zz", journal=where),
    }.items():
        with pytest.raises(FlowError) as refused:
            tell()
        assert refused.value.problem.code == problem
    with pytest.raises(ValueError, match="one of"):
        flowc.resolve(waits.run, "approve", journal=where)
    assert [each.status for each in flowc.runs(journal=where)] == ["waiting"]


def test_without_a_journal_nothing_is_kept(where: str) -> None:
    assert ask.using(answers={"approve": True})(4) == "sum 40"
    assert flowc.runs(journal=where) == []


@flowc.tool(effects="pure")
def unkeyed(i: int) -> str:
    try:
        return flowc.idempotency_key()
    except LookupError as error:
        return str(error)


@flowc.flow
def without(i: int) -> str:
    return unkeyed(i)


def test_there_is_a_key_inside_a_tool_alone_that_reads_or_writes() -> None:
    with pytest.raises(LookupError, match="inside a tool that reads or writes"):
        flowc.idempotency_key()
    assert "inside a tool that reads or writes" in without(1)


def test_another_process_finds_the_function_in_its_file(tmp_path: Path, where: str) -> None:
    program = "import flowc\n\n@flowc.human\ndef fine(n: int) -> bool:\n"
    program += '    """Is {n} fine?"""\n\n@flowc.flow\ndef main(n: int) -> str:\n'
    program += '    return "yes" if fine(n) else "no"\n\nif __name__ == "__main__":\n'
    program += f"    print(main.using(journal={where!r}).report(3).run)\n"
    (tmp_path / "prog.py").write_text(program)
    command = [sys.executable, "prog.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    name = run.stdout.strip()
    flowc.answer(name, "fine", "yes", journal=where)
    assert flowc.resume(name, journal=where).result == "yes"
