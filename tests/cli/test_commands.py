"""The command line: what is printed where, and with which exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from flowc.cli import COMMANDS, main

GREET = """\
record Greeting:
    text: str
    length: int

flow main(name: str, count: int = 2, polite: bool = false) -> list[Greeting]:
    text = f"dear {name}" if polite else f"hello {name}"
    return [Greeting(text=text, length=len(text) + i) for i in range(count)]
"""
WRONG = "flow main(x: int) -> str:\n    return y\n"
ARRAYS = """\
flow main(x: f32[n], y: f32[n]) -> f32[n]:
    return x * 2.0 + y
"""
FAILS = """\
flow main(xs: list[int], i: int) -> int:
    return xs[i]
"""
ASKS = '''\
human approve(what: str) -> bool:
    """May {what} be done?"""

flow main() -> str:
    return "done" if approve("it") else "left"
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "greet.flow": GREET,
        "wrong.flow": WRONG,
        "arrays.flow": ARRAYS,
        "fails.flow": FAILS,
        "asks.flow": ASKS,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def flowc(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, words, input=stdin)


def report(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(flowc("run", *words, "--output-format", "json").stdout)
    return found


def test_every_command_has_help_and_the_table_names_each() -> None:
    listing = flowc("--help").stdout
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in listing
        assert line.split()[0] in listing
        assert flowc(name, "--help").exit_code == 0


def test_a_result_is_plain_on_stdout_and_its_account_on_stderr() -> None:
    done = flowc("run", "fails.flow", "xs=[4, 5]", "i=1")
    assert done.exit_code == 0
    assert done.stdout == "5\n"
    assert "critical path" in done.stderr
    assert flowc("run", "fails.flow", "xs=[4, 5]", "i=1", "--quiet").stderr == ""


def test_json_output_is_one_object_with_the_agreed_keys() -> None:
    found = report("greet.flow", "name=Ada", "polite=true")
    assert list(found) == [
        "run",
        "status",
        "result",
        "wall_ms",
        "critical_path_ms",
        "overhead_ms",
        "nodes",
        "calls",
        "tokens_in",
        "tokens_out",
        "cost_usd",
    ]
    assert found["result"] == [{"text": "dear Ada", "length": 8}, {"text": "dear Ada", "length": 9}]


def test_the_command_line_wins_over_the_file_of_arguments(folder: Path) -> None:
    (folder / "args.json").write_text('{"name": "Ada", "count": 3}')
    assert [g["length"] for g in report("greet.flow", "--args", "args.json", "count=1")["result"]] == [9]


def test_a_batch_prints_one_object_a_line_in_order_and_fails_as_a_whole(folder: Path) -> None:
    (folder / "batch.jsonl").write_text('{"i": 0}\n\n{"i": 7}\n{"i": 1}\n{"i": "x"}\n')
    done = flowc("run", "fails.flow", "xs=[4, 5]", "--batch", "batch.jsonl")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["result"] for line in lines] == [4, None, 5, None]
    assert [line["status"] for line in lines] == ["ok", "failed", "ok", "failed"]
    assert all(line["code"].startswith("E") for line in (lines[1], lines[3]))
    assert list(lines[3]) == list(lines[1])  # refused arguments have all keys of a run that failed
    assert done.exit_code == 3


def test_runs_of_a_batch_share_a_call_and_one_of_them_pays(folder: Path) -> None:
    declared = '@cached\nllm ask(i: int) -> str:\n    """Ask {i}"""\n'
    program = f"{declared}\nflow main(i: int) -> str:\n    return ask(i)\n"
    (folder / "shared.flow").write_text(program)
    (folder / "batch.jsonl").write_text('{"i": 1}\n{"i": 2}\n{"i": 1}\n{"i": 1}\n')
    words = ["run", "shared.flow", "--batch", "batch.jsonl", "--provider", "simulated", "--width", "3"]
    lines = [json.loads(line) for line in flowc(*words).stdout.splitlines()]
    assert [line["result"] for line in lines] == [lines[number]["result"] for number in (0, 1, 0, 0)]
    assert sum(line["calls"] for line in lines) == 2
    assert sum(line.get("shared", 0) for line in lines) == 2


def test_arrays_come_from_npy_and_json_and_go_to_npy(folder: Path) -> None:
    np.save(folder / "x.npy", np.arange(3, dtype=np.float32))
    done = flowc("run", "arrays.flow", "x=x.npy", "y=[1, 1, 1]", "--out", "result=z.npy")
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(np.load(folder / "z.npy"), [1, 3, 5])


def test_pickled_arrays_are_never_loaded(folder: Path) -> None:
    np.save(folder / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    done = flowc("run", "arrays.flow", "x=x.npy", "y=[1]")
    assert done.exit_code == 2
    assert "error[E0706]" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["frobnicate"], 2, "E0670"),
        (["run", "greet.flow", "--sead", "1"], 2, "E0670"),
        (["run", "gret.flow"], 2, "E0671"),
        (["run", "."], 2, "E0672"),
        (["run", "greet.flow", "--flow", "nope"], 2, "E0701"),
        (["run", "greet.flow", "nmae=Ada"], 2, "E0702"),
        (["run", "greet.flow"], 2, "E0703"),
        (["run", "greet.flow", "name=Ada", "count=many"], 2, "E0704"),
        (["run", "greet.flow", "name=Ada", "name=Bob"], 2, "E0676"),
        (["run", "greet.flow", "Ada"], 2, "E0684"),
        (["run", "greet.flow", "--args", "none.json"], 2, "E0671"),
        (["run", "greet.flow", "--args", "wrong.flow"], 2, "E0679"),
        (["run", "greet.flow", "--args", "list.json"], 2, "E0680"),
        (["run", "greet.flow", "name=Ada", "--out", "x=x.npy"], 2, "E0683"),
        (["run", "greet.flow", "name=Ada", "--out", "x=x.txt"], 2, "E0683"),
        (["run", "greet.flow", "name=Ada", "--answer", "boss=yes"], 2, "E0687"),
        (["run", "arrays.flow", "x=none.npy", "y=[1]"], 2, "E0706"),
        (["run", "wrong.flow", "x=1"], 1, "E0101"),
        (["check", "wrong.flow"], 1, "E0101"),
        (["run", "fails.flow", "xs=[]", "i=0"], 3, "E07"),
        (["run", "asks.flow"], 4, "E07"),
        (["explain", "E9999"], 2, "E0685"),
        (["graph", "greet.flow", "-o", "no/such/folder.mmd"], 2, "E0682"),
        (["compile", "greet.flowc"], 2, "E0688"),
        (["run", "greet.flow", "name=Ada", "--journal", "."], 2, "E0911"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_what_is_wrong_is_a_coded_diagnostic_with_its_status(
    folder: Path, words: list[str], status: int, code: str
) -> None:
    (folder / "list.json").write_text("[1]")
    done = flowc(*words)
    assert done.exit_code == status, done.output
    assert f"error[{code}" in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_json_diagnostics_go_to_stdout_and_are_empty_when_all_is_well() -> None:
    found = json.loads(flowc("check", "wrong.flow", "--output-format", "json").stdout)
    assert [(each["code"], each["line"], each["column"]) for each in found] == [("E0101", 2, 12)]
    assert json.loads(flowc("check", "greet.flow", "--output-format", "json").stdout) == []


def test_check_goes_through_all_files_and_fails_if_one_does() -> None:
    done = flowc("check", "greet.flow", "wrong.flow", "arrays.flow")
    assert done.exit_code == 1
    assert done.stderr.count("error[") == 1


def test_the_manifest_says_what_a_program_may_do() -> None:
    found = flowc("check", "asks.flow", "--manifest").stdout
    assert "human approve: is asked" in found
    assert "flow main: human" in found


def test_prepared_answers_stand_in_for_people() -> None:
    assert flowc("run", "asks.flow", "--answer", "approve=true").stdout == "done\n"
    assert flowc("run", "asks.flow", "--answer", "approve=no").stdout == "left\n"


def test_fmt_formats_in_place_checks_and_reads_stdin(folder: Path) -> None:
    untidy = "flow main(x:int)->int:\n  return x+1\n"
    (folder / "untidy.flow").write_text(untidy)
    assert flowc("fmt", "--check", "untidy.flow").exit_code == 1
    shown = flowc("fmt", "--diff", "untidy.flow")
    assert shown.exit_code == 1
    assert "+    return x + 1" in shown.stdout
    assert (folder / "untidy.flow").read_text() == untidy
    assert flowc("fmt", "untidy.flow").exit_code == 0
    tidy = (folder / "untidy.flow").read_text()
    assert tidy == "flow main(x: int) -> int:\n    return x + 1\n"
    assert flowc("fmt", "-", stdin=untidy).stdout == tidy
    assert flowc("fmt", "--check", "untidy.flow").exit_code == 0


@pytest.mark.parametrize("form", ["tree", "flow", "opt", "plan", "llvm", "asm", "mermaid", "dot", "json"])
def test_every_stage_can_be_printed(form: str) -> None:
    done = flowc("compile", "arrays.flow", f"--emit={form}")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip()


def test_stages_can_be_timed_and_watched() -> None:
    done = flowc("compile", "arrays.flow", "--emit=opt", "--time-passes", "--print-ir-after-all")
    assert "100.0%  in all" in done.stderr
    assert "after outline-kernels" in done.stderr


def test_a_pipeline_of_ones_own_is_run_and_a_wrong_one_refused() -> None:
    assert flowc("compile", "greet.flow", "--emit=opt", "--pass-pipeline", "cse,dce").exit_code == 0
    done = flowc("compile", "greet.flow", "--emit=opt", "--pass-pipeline", "csee")
    assert done.exit_code == 1
    assert "error[E06" in done.stderr


def test_a_graph_is_mermaid_or_dot() -> None:
    assert flowc("graph", "asks.flow").stdout.startswith("flowchart TD\n")
    assert flowc("graph", "asks.flow", "--format", "dot").stdout.startswith('digraph "main" {')


def test_a_dry_run_prints_the_waves_and_runs_nothing() -> None:
    done = flowc("run", "asks.flow", "--dry-run")
    assert done.exit_code == 0
    assert "approve" in done.stdout


def test_a_dry_run_of_a_batch_takes_the_arguments_from_its_lines(folder: Path) -> None:
    (folder / "batch.jsonl").write_text('{"i": 0, "xs": [1]}\n{"i": "x", "xs": []}\n')
    assert flowc("run", "fails.flow", "--batch", "batch.jsonl", "--dry-run").exit_code == 0
    (folder / "batch.jsonl").write_text("{")
    assert "E0679" in flowc("run", "fails.flow", "--batch", "batch.jsonl", "--dry-run").stderr


def test_explain_prints_the_page_and_lists_all() -> None:
    assert flowc("explain", "e0101").stdout.startswith("# E0101:")
    assert "E0101  " in flowc("explain").stdout


def test_colour_is_used_only_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in flowc("check", "wrong.flow").stderr
    assert "\x1b[" in flowc("check", "wrong.flow", "--color", "always").stderr
    assert "\x1b[" not in flowc("check", "wrong.flow").stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in flowc("check", "wrong.flow", "--color", "auto").stderr


def test_an_internal_error_keeps_a_report_and_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("broken inside")

    monkeypatch.setattr("flowc.compiler.driver.check_text", broken)
    done = flowc("check", "greet.flow")
    assert done.exit_code == 2
    assert "internal error" in done.stderr
    assert "Traceback" not in done.stderr
    kept = Path(next(word for word in done.stderr.replace(":", " ").split() if "flowc-report-" in word))
    text = kept.read_text()
    kept.unlink()
    assert "broken inside" in text
    assert "record Greeting" in text


def test_a_closed_pipe_ends_the_command_in_silence(folder: Path) -> None:
    code = "from flowc.cli import main; main(['explain'])"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
        cwd=folder,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    child.wait(timeout=30)


def imported_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split("\n")[-2].split())


HEAVY = {"xdsl", "lark", "numpy", "llvmlite", "openai", "asyncio", "rich"}


def test_help_imports_nothing_heavy() -> None:
    assert not HEAVY & imported_by("from flowc.cli import main\nmain(['--help'], standalone_mode=False)")


def test_import_flowc_imports_nothing_heavy() -> None:
    assert not HEAVY & imported_by("import flowc\nflowc.flow")


def test_check_imports_neither_the_ir_nor_numpy(folder: Path) -> None:
    code = "from flowc.cli import main\nmain(['check', 'greet.flow'], standalone_mode=False)"
    assert not {"xdsl", "numpy", "llvmlite", "openai"} & imported_by(code)
