"""The plan search of -O3 on the command line."""

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flowc.cli import main, searching, streams
from flowc.cli.failure import UsageProblem
from flowc.cli.searching import bounds
from tests.passes.search.searching import GUARDED

TWO = "\nflow other(question: str) -> str:\n    return answer(question)\n"


def flowc(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def guarded(tmp_path: Path) -> Path:
    file = tmp_path / "guarded.flow"
    file.write_text(GUARDED, "utf-8")
    return file


def test_the_table_shows_the_usual_plan_the_chosen_one_and_why(guarded: Path) -> None:
    done = flowc("compile", "-O3", str(guarded), "--explain")
    assert done.exit_code == 0, done.output
    head, counts, columns, usual, chosen, why, *_ = done.stderr.splitlines()
    assert head == "plan search for the least time"
    assert "simulated runs" in counts
    assert columns.split() == ["plan", "time", "money", "tokens"]
    assert usual.split()[:2] == ["o", "-O2"]
    assert chosen.split()[:2] == ["*o", "speculate"]
    assert why.startswith("  chosen for time: ")


def test_an_artifact_keeps_the_record_of_its_search_and_no_value_of_a_run(guarded: Path) -> None:
    assert flowc("compile", "-O3", str(guarded), "--objective", "money").exit_code == 0
    with zipfile.ZipFile(guarded.with_suffix(".flowc")) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    found = manifest["properties"]["search"]
    assert found["objective"] == "money"
    assert [each["plan"] for each in found["candidates"] if each["chosen"]] == ["-O2"]
    assert set(found["candidates"][0]) == {
        "plan", "time", "money", "tokens", "broken", "efficient", "chosen",
    }  # fmt: skip


def test_the_same_compilation_gives_the_same_artifact(guarded: Path) -> None:
    contents = []
    for name in ("first", "second"):
        out = guarded.with_name(f"{name}.flowc")
        done = flowc("compile", "-O3", str(guarded), "--search-seconds", "300", "-o", str(out))
        assert done.exit_code == 0
        contents.append(out.read_bytes())
    assert contents[0] == contents[1]


def test_the_pipeline_of_the_record_gives_the_plan_again(guarded: Path) -> None:
    searched = flowc("compile", "-O3", str(guarded), "--emit=plan").stdout
    assert flowc("compile", "-O3", str(guarded)).exit_code == 0
    with zipfile.ZipFile(guarded.with_suffix(".flowc")) as archive:
        pipeline = json.loads(archive.read("manifest.json"))["properties"]["search"]["pipeline"]
    assert flowc("compile", str(guarded), "--pass-pipeline", pipeline, "--emit=plan").stdout == searched


def test_no_seconds_mean_no_search(guarded: Path) -> None:
    done = flowc("compile", "-O3", str(guarded), "--search-seconds", "0", "--explain", "--emit=plan")
    assert done.exit_code == 0
    assert "plan search" not in done.stderr
    assert '"speculate"' in done.stdout
    assert '"hedge"' in done.stdout


def test_forms_before_any_pass_need_no_search(guarded: Path) -> None:
    done = flowc("compile", "-O3", str(guarded), "--emit=flow", "--objective", "money")
    assert done.exit_code == 2
    assert "E0816" in done.stderr
    assert flowc("compile", "-O3", str(guarded), "--emit=flow").exit_code == 0


def test_a_limit_of_the_program_that_no_plan_keeps_is_told(tmp_path: Path) -> None:
    file = tmp_path / "hasty.flow"
    file.write_text(GUARDED.replace("flow main", "@timeout(10ms)\nflow main"), "utf-8")
    done = flowc("compile", "-O3", str(file))
    assert done.exit_code == 0
    assert "warning[E0817]" in done.stderr
    assert "in 16 of 16 simulated runs: a limit of the program (E0714)" in done.stderr


def test_options_of_the_search_are_refused_where_there_is_none(guarded: Path) -> None:
    assert flowc("compile", "-O3", str(guarded)).exit_code == 0
    artifact = str(guarded.with_suffix(".flowc"))
    for words in (
        ("run", "-O3", artifact, "question=why", "--objective", "money"),
        ("run", str(guarded), "question=why", "--search-seconds", "3"),
        ("compile", "-O3", str(guarded), "--pass-pipeline", "cse", "--at-most", "time=3s"),
        ("compile", "-O2", str(guarded), "--args", "args.json"),
    ):
        done = flowc(*words)
        assert done.exit_code == 2
        assert "error[E0816]" in done.stderr


def test_a_run_is_searched_with_its_own_arguments(tmp_path: Path) -> None:
    file = tmp_path / "wide.flow"
    file.write_text(
        'llm ask(n: int) -> str:\n    """Tell me about {n}"""\n\n'
        "flow main(n: int) -> int:\n    return len([ask(i) for i in range(n)])\n",
        "utf-8",
    )
    words = ("run", "-O3", str(file), "--provider", "simulated", "--explain")
    wide = flowc(*words, "--search-seconds", "60", "n=66")
    assert wide.exit_code == 0, wide.output
    assert "width 256" in wide.stderr or "width 1024" in wide.stderr
    narrow = flowc(*words, "n=3")
    assert "none is better than -O2" in narrow.stderr


def test_arguments_that_do_not_fit_are_told_as_without_a_search(guarded: Path) -> None:
    done = flowc("run", "-O3", str(guarded), "--provider", "simulated", "answer=1")
    assert done.exit_code == 2
    assert "error[E0702]" in done.stderr


def test_a_compilation_is_searched_with_the_arguments_of_a_file(tmp_path: Path, guarded: Path) -> None:
    args = tmp_path / "args.json"
    args.write_text('{"question": "why?"}', "utf-8")
    assert flowc("compile", "-O3", str(guarded), "--args", str(args)).exit_code == 0
    args.write_text('{"nothing": "why?"}', "utf-8")
    done = flowc("compile", "-O3", str(guarded), "--args", str(args))
    assert done.exit_code == 2
    assert "error[E0702]" in done.stderr


def test_a_flow_that_is_not_there_cannot_be_tried(guarded: Path) -> None:
    done = flowc("compile", "-O3", str(guarded), "--flow", "mane")
    assert done.exit_code == 2
    assert "error[E0701]" in done.stderr


def test_where_nothing_can_be_tried_a_warning_says_why_and_with_what_plan(guarded: Path) -> None:
    guarded.write_text(GUARDED.replace("flow main", "flow first") + TWO, "utf-8")
    done = flowc("compile", "-O3", str(guarded))
    assert done.exit_code == 0
    assert "warning[E0818]" in done.stderr
    assert "which flow to run is not clear; the plan is that of -O3 without a search" in done.stderr
    done = flowc("compile", "-O3", str(guarded), "--objective", "money")
    assert "which flow to run is not clear; the plan is that of -O2" in done.stderr
    assert "E0818" not in flowc("compile", "-O3", str(guarded), "--flow", "first").stderr


def test_money_is_no_objective_where_nothing_costs_any(guarded: Path) -> None:
    words = ("compile", "-O3", str(guarded), "--search-seconds", "60")
    assert "E0818" not in flowc(*words, "--objective", "money").stderr
    guarded.with_name("flowc.toml").write_text(
        '[models.default]\nprovider = "simulated"\nmodel = "own"\n', "utf-8"
    )
    for asked in (("--objective", "money"), ("--at-most", "money=3")):
        done = flowc(*words, *asked)
        assert done.exit_code == 0, done.output
        assert "no model that was called has a price" in done.stderr
    assert "E0818" not in flowc(*words).stderr


def test_no_seconds_leave_nothing_to_ask_for(guarded: Path) -> None:
    for asked in (("--objective", "money"), ("--at-most", "time=3s")):
        done = flowc("compile", "-O3", str(guarded), "--search-seconds", "0", *asked)
        assert done.exit_code == 2
        assert "error[E0816]" in done.stderr


def test_nan_is_no_number_of_seconds(guarded: Path) -> None:
    done = flowc("compile", "-O3", str(guarded), "--search-seconds", "nan")
    assert done.exit_code == 2
    assert "nan is no number of seconds" in done.stderr


def test_arguments_that_come_by_a_pipe_are_read_once(guarded: Path) -> None:
    words = ("run", "-O3", str(guarded), "--provider", "simulated", "--args", "-")
    done = CliRunner().invoke(main, list(words), input='{"question": "why?"}')
    assert done.exit_code == 0, done.output


def test_a_dry_run_searches_nothing(guarded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[object] = []
    monkeypatch.setattr("flowc.compiler.plan_search.search", lambda *words: searches.append(words))
    done = flowc("run", "-O3", str(guarded), "--dry-run", "question=why", "--objective", "money")
    assert done.exit_code == 0, done.output
    assert "check" in done.stdout
    assert not searches


def test_the_time_of_a_search_is_a_row_of_its_own(guarded: Path) -> None:
    done = flowc("compile", "-O3", str(guarded), "--time-passes")
    assert next(line.split()[-1] for line in done.stderr.splitlines() if "ms" in line) == "search"


def test_warnings_come_when_the_line_about_the_search_is_gone(
    guarded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def waiting(_: object) -> Iterator[None]:
        streams.say("begun")
        yield
        streams.say("ended")

    monkeypatch.setattr(searching, "waiting", waiting)
    guarded.write_text(GUARDED.replace("str:\n    if", "str:\n    idle = 1\n    if"), "utf-8")
    done = flowc("run", "-O3", str(guarded), "--provider", "simulated", "question=why")
    order = re.findall("begun|warning|ended", done.stderr)
    assert order[:3] == ["begun", "ended", "warning"]


@pytest.mark.parametrize(
    ("word", "name", "amount"),
    [
        ("time=30s", "time", 30.0),
        ("time=250ms", "time", 0.25),
        ("time=1.5 min", "time", 90.0),
        ("time=12", "time", 12.0),
        ("money=$0.05", "money", 0.05),
        ("money=0.05", "money", 0.05),
        ("money=5e-3", "money", 0.005),
        ("tokens=4000", "tokens", 4000.0),
    ],
)
def test_bounds_are_read_with_their_units(word: str, name: str, amount: float) -> None:
    assert bounds((word,)) == {name: pytest.approx(amount)}


@pytest.mark.parametrize(
    "word",
    [
        *("", "time", "time=", "time=0", "time=-1s", "time=nan", "time=inf", "time=1e999", "time=1 day"),
        *("time=$3", "money=3s", "money=0x1", "tokens=4k", "tokens=$5", "speed=3", "time=\u0663s"),
        "time=9" + "9" * 400,
    ],
)
def test_what_is_no_bound_is_refused(word: str) -> None:
    with pytest.raises(UsageProblem, match="E0815"):
        bounds((word,))
