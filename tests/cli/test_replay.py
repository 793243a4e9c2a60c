"""`flowc replay`, `fork`, `resume --migrate` and `show --prov`, on a journal in a folder."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowc.cli import main

PROGRAM = '''
from "tools.py" import double, put

tool double(i: int) -> int pure
tool put(i: int) -> int writes store

human approve(i: int) -> bool:
    """May {i} be?"""

flow main(n: int) -> int:
    x = put(double(n))
    return put(x) if approve(x) else 0
'''

TOOLS = """
from pathlib import Path


def double(i):
    return 2 * i


def put(i):
    with Path("written").open("a") as file:
        file.write(f"{i} ")
    return i + 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWC_JOURNAL", str(tmp_path / "runs.db"))
    (tmp_path / "main.flow").write_text(PROGRAM)
    (tmp_path / "tools.py").write_text(TOOLS)
    return tmp_path


def flowc(*words: str) -> Result:
    return CliRunner().invoke(main, words, env={"NO_COLOR": "1"})


def begun(*words: str) -> Result:
    return flowc("run", "main.flow", "n=4", "-q", *words)


def written(folder: Path) -> str:
    return (folder / "written").read_text()


def test_a_replay_says_that_all_is_equal_and_writes_nothing(folder: Path) -> None:
    assert begun("--answer", "approve=yes").exit_code == 0
    before = written(folder)
    result = flowc("replay", "last")
    assert (result.exit_code, result.stdout) == (0, "4 steps, 1 pure re-executed, all equal\n")
    assert written(folder) == before
    found = json.loads(flowc("replay", "last", "--output-format", "json").stdout)
    assert (found["steps"], found["pure"], found["whole"], found["equal"]) == (4, 1, True, True)


def test_a_run_that_waits_is_replayed_as_far_as_it_has_come(folder: Path) -> None:
    assert begun().exit_code == 4
    result = flowc("replay", "last")
    assert result.stdout == "2 steps, 1 pure re-executed, all equal, as far as the run has come\n"


def test_a_replay_that_differs_ends_with_3_and_says_where(folder: Path) -> None:
    begun("--answer", "approve=yes")
    (folder / "tools.py").write_text(TOOLS.replace("2 * i", "30 * i"))
    result = flowc("replay", "last")
    assert result.exit_code == 3
    assert "E0930" in result.stderr
    assert "main/0:double is pure, and gives another result" in result.stderr


def test_a_replay_needs_neither_the_program_nor_its_text_as_it_is_now(folder: Path) -> None:
    begun("--answer", "approve=yes")
    (folder / "main.flow").unlink()
    assert flowc("replay", "last").exit_code == 0


def test_a_fork_goes_on_from_a_step_with_what_is_set(folder: Path) -> None:
    begun("--answer", "approve=yes")
    result = flowc("fork", "last", "--at", "main/1:put", "--set", "i=20", "--answer", "approve=no", "-q")
    assert (result.exit_code, result.stdout) == (0, "0\n")
    assert written(folder) == "8 9 20 "
    assert "is a fork of" in result.stderr
    listed = json.loads(flowc("runs", "--output-format", "json").stdout)
    assert [each["status"] for each in listed] == ["ok", "ok"]


def test_a_fork_that_is_not_gone_on_with_prints_its_name(folder: Path) -> None:
    begun("--answer", "approve=yes")
    name = flowc("fork", "last", "--at", "approve", "--set", "result=no", "--no-resume").stdout.strip()
    assert written(folder) == "8 9 "
    result = flowc("resume", name, "-q")
    assert (result.exit_code, result.stdout) == (0, "0\n")
    assert written(folder) == "8 9 "


def test_a_program_that_could_have_come_as_far_is_taken_up(folder: Path) -> None:
    begun()
    (folder / "main.flow").write_text(PROGRAM.replace("put(x) if", "put(x + 100) if"))
    result = flowc("answer", "last", "approve", "yes", "-q")
    assert (result.exit_code, result.stdout) == (0, "110\n")
    assert written(folder) == "8 109 "
    assert flowc("replay", "last").exit_code == 0


def test_a_program_that_does_not_fit_is_taken_up_once_that_is_agreed_to(folder: Path) -> None:
    begun()
    (folder / "main.flow").write_text(PROGRAM.replace("double(n)", "double(n) + 1"))
    assert "E0925" in flowc("resume", "last", "-q").stderr
    assert "E0934" in flowc("resume", "last", "-q", "--migrate").stderr
    result = flowc("resume", "last", "-q", "--migrate", "--yes", "--answer", "approve=no")
    assert (result.exit_code, result.stdout) == (0, "0\n")
    assert "these have written, which stays as it is: main/1:put" in result.stderr
    assert written(folder) == "8 9 "
    assert "left out" in flowc("show", "last").stdout


def test_provenance_names_the_versions_of_tools_and_no_values(folder: Path) -> None:
    begun("--answer", "approve=yes")
    assert flowc("show", "last", "--prov", "prov.json").exit_code == 0
    document = json.loads((folder / "prov.json").read_text())
    tools = [each for name, each in document["agent"].items() if name.startswith("flowc:tool/")]
    assert {each["flowc:module"] for each in tools} == {"tools.py"}
    assert all(len(each["flowc:hash"]) == 64 for each in tools)
    assert json.loads(flowc("show", "last", "--prov").stdout) == document
    assert "May 9 be?" not in json.dumps(document)
