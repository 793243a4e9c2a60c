"""Kept runs from the command line: begun, listed, shown, answered, resolved, gone on with."""

import json
from pathlib import Path

import pytest

from tests.cli.kept import STEPS, broken_off, flowc, listed, shown, write_programs, written


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_programs(tmp_path)
    return tmp_path


# ---- runs that end


def test_a_run_that_has_ended_tells_its_result_again_and_calls_nothing() -> None:
    first = flowc("run", "steps.flow", "n=1")
    again = flowc("resume", "last")
    assert (first.stdout, first.exit_code) == (again.stdout, again.exit_code) == ("110\n", 0)
    assert written() == [1, 11]


def test_a_kept_run_prints_the_same_json_under_its_name_in_the_journal() -> None:
    kept = json.loads(flowc("run", "steps.flow", "n=1", "--output-format", "json").stdout)
    bare = json.loads(
        flowc("run", "steps.flow", "n=1", "--output-format", "json", "--journal", "none").stdout
    )
    again = json.loads(flowc("resume", "last", "--output-format", "json").stdout)
    assert list(kept) == list(bare) == list(again)
    assert kept["run"] == again["run"] == listed()[0]["run"]
    assert len(listed()) == 1


def test_show_tells_arguments_steps_and_result() -> None:
    flowc("run", "steps.flow", "n=1")
    found = shown()
    assert (found["status"], found["arguments"], found["result"]) == ("ok", {"n": 1}, 110)
    assert [(each["operation"], each["status"], each["result"]) for each in found["steps"]] == [
        ("put", "done", 10),
        ("put", "done", 110),
    ]
    assert "main/0:put" in flowc("show", "last").stdout
    assert flowc("show", "last", "--source").stdout == STEPS


def test_what_a_run_failed_at_is_made_again_once_it_is_mended(folder: Path) -> None:
    (folder / "broken").touch()
    failed = flowc("run", "steps.flow", "n=1")
    assert failed.exit_code == flowc("resume", "last").exit_code == 3
    assert "error[E0801]" in flowc("resume", "last").stderr
    assert f"flowc resolve {listed()[0]['run']} --journal runs.db main/0:put --retry" in failed.stderr
    (folder / "broken").unlink()
    assert flowc("resolve", "last", "main/0:put", "--retry").exit_code == 0
    assert listed()[0]["status"] == "interrupted"
    assert flowc("resume", "last").stdout == "110\n"
    assert written() == [1, 1, 11]


# ---- runs that wait


def test_an_answer_goes_on_with_the_run() -> None:
    waits = flowc("run", "asks.flow")
    assert waits.exit_code == 4
    assert f"flowc answer {listed()[0]['run']} --journal runs.db main/0:approve VALUE" in waits.stderr
    assert shown()["waiting"] == [
        {
            "step": "main/0:approve",
            "operation": "approve",
            "prompt": "May it be done?",
            "type": "bool",
            "choices": ["yes", "no"],
        }
    ]
    answered = flowc("answer", "last", "approve", "yes")
    assert (answered.stdout, answered.exit_code) == ("done\n", 0)
    assert flowc("answer", "last", "approve", "no").exit_code == 2
    assert flowc("resume", "last").stdout == "done\n"


def test_an_answer_that_does_not_fit_is_not_written() -> None:
    flowc("run", "asks.flow")
    for step, value, code in (("approve", "perhaps", "E0731"), ("aprove", "yes", "E0924")):
        refused = flowc("answer", "last", step, value)
        assert refused.exit_code != 0
        assert f"error[{code}]" in refused.stderr
    assert listed()[0]["status"] == "waiting"


def test_an_answer_may_be_written_down_and_the_run_go_on_later() -> None:
    flowc("run", "asks.flow")
    assert flowc("answer", "last", "main/0:approve", "no", "--no-resume").stdout == ""
    assert shown()["waiting"] == []
    assert flowc("resume", "last").stdout == "left\n"


def test_nobody_is_waited_for_whose_answer_is_not_wanted_any_more(folder: Path) -> None:
    program = 'human slow(i: int) -> int:\n    """How many of {i}?"""\n\n'
    program += 'human sure(i: int) -> bool:\n    """Is {i} right?"""\n\n'
    program += 'tool quick(i: int) -> int pure\n\nfrom "quick.py" import quick\n\n'
    program += "flow main(i: int) -> bool:\n    return sure(race(slow(i), quick(i)))\n"
    (folder / "race.flow").write_text(program)
    (folder / "quick.py").write_text("def quick(i: int) -> int:\n    return i + 1\n")
    assert flowc("run", "race.flow", "i=1").exit_code == 4
    assert [each["prompt"] for each in shown()["waiting"]] == ["Is 2 right?"]
    assert flowc("answer", "last", "sure", "yes").stdout == "true\n"


# ---- runs in doubt


def test_a_run_in_doubt_stops_until_somebody_has_looked() -> None:
    run = broken_off()
    assert listed()[0] | {"run": run, "status": "in-doubt"} == listed()[0]
    doubt = shown()["in_doubt"]
    assert [(each["step"], each["operation"], each["arguments"]) for each in doubt] == [
        ("main/1:put", "put", {"i": 11})
    ]
    for _ in range(2):
        stopped = flowc("resume", run)
        assert stopped.exit_code == 4
        assert "error[E0732]" in stopped.stderr
        assert f"flowc resolve {run} --journal runs.db main/1:put" in stopped.stderr
    assert written() == []


@pytest.mark.parametrize(
    ("words", "result", "world"),
    [
        (["--done", "7"], "7\n", []),
        (["--retry"], "110\n", [11]),
        (["--fail", "nothing there"], "", []),
    ],
    ids=["done", "retry", "fail"],
)
def test_a_call_in_doubt_counts_as_what_is_said_of_it(
    words: list[str], result: str, world: list[int]
) -> None:
    broken_off()
    resolved = flowc("resolve", "last", "main/1:put", *words)
    assert (resolved.exit_code, resolved.stdout, written()) == (0, "", [])
    done = flowc("resume", "last")
    assert (done.stdout, written()) == (result, world)
    assert ("error[E0736]" in done.stderr) == (words[0] == "--fail")
    assert done.exit_code == (3 if words[0] == "--fail" else 0)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["main/1:put", "--done", '"7"'], "E0923"),
        (["main/1:put", "--done", "seven"], "E0923"),
        (["main/0:put", "--done", "7"], "E0922"),
        (["main/7:put", "--retry"], "E0922"),
        (["main/1:put"], "E0927"),
        (["main/1:put", "--retry", "--done", "7"], "E0927"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else each,
)
def test_what_cannot_be_said_of_a_step_is_not_written(words: list[str], code: str) -> None:
    broken_off()
    refused = flowc("resolve", "last", *words)
    assert refused.exit_code == 2
    assert f"error[{code}]" in refused.stderr
    assert listed()[0]["status"] == "in-doubt"
