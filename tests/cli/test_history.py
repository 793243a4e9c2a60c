"""Traced runs teach: what they took is expected of the next ones, and nothing else changes."""

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from flowc.cli import main

PROGRAM = '''\
@latency(2s)
tool fetch(page: int) -> str reads web

@model("small")
llm judge(text: str) -> bool:
    """Is this good? {text}"""

llm write(text: str) -> str:
    """Write about {text}"""

flow main(count: int = 3) -> list[str]:
    texts = [fetch(page) for page in range(count)]
    found: list[str] = []
    for text in texts:
        if judge(text):
            found = found + [write(text)]
    return found
'''
RUN = ("run", "main.flow", "--provider", "simulated", "--quiet")


@pytest.fixture(autouse=True)
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWC_HISTORY", str(tmp_path / "history.sqlite"))
    (tmp_path / "main.flow").write_text(PROGRAM)
    return tmp_path / "history.sqlite"


def flowc(*words: str) -> Result:
    done = CliRunner(env={"COLUMNS": "100"}).invoke(main, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def traced(*seeds: int) -> None:
    for seed in seeds:
        assert flowc(*RUN, "--seed", str(seed), "--trace", "trace.json").exit_code == 0


def foretold(*words: str) -> list[dict[str, Any]]:
    done = flowc(*RUN, "--output-format", "json", "--explain", *words)
    assert done.exit_code == 0
    rows: list[dict[str, Any]] = json.loads(done.stdout)["foretold"]
    return rows


def rows_of(step: str, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["unit"]: row for row in rows if row["step"] == step}


def test_a_plain_run_leaves_no_history(where: Path) -> None:
    assert flowc(*RUN).exit_code == 0
    assert not where.exists()


@pytest.mark.parametrize("traced", [("--trace", "trace.json"), ("--explain",)])
def test_a_traced_run_leaves_samples_and_no_texts(where: Path, traced: tuple[str, ...]) -> None:
    assert flowc(*RUN, *traced).exit_code == 0
    with sqlite3.connect(where) as base:
        kinds = {kind for (kind,) in base.execute("SELECT kind FROM calls")}
        assert kinds == {"llm", "tool"}
        assert base.execute("SELECT count(*) FROM steps").fetchone()[0] >= 4
    assert b"Is this good" not in where.read_bytes()
    assert b"judge" not in where.read_bytes()
    with sqlite3.connect(where) as base:
        texts = {text for row in base.execute("SELECT alias, provider, model FROM calls") for text in row}
    assert texts == {"", "small", "default", "simulated"}


def test_what_was_measured_is_expected_the_next_time() -> None:
    before = rows_of("write", foretold("--seed", "99"))
    assert before["s"]["samples"] == before["tokens"]["samples"] == 0
    traced(*range(8))
    rows = foretold("--seed", "99")
    after = rows_of("write", rows)
    assert after["tokens"]["samples"] > 8
    assert after["s"]["expected"] != before["s"]["expected"]
    low, middle, high = after["s"]["expected"]
    assert low <= middle <= high
    assert rows_of("fetch", rows)["s"]["expected"][1] == pytest.approx(2.0, rel=0.5)
    assert rows_of("map", rows)["times"]["expected"][1] == pytest.approx(3.0, rel=0.1)


def test_the_worst_surprises_come_first() -> None:
    from math import log

    rows = [row for row in foretold() if row["unit"] == "s"]
    off = [abs(log((row["measured"] + 1e-3) / (row["expected"][1] + 1e-3))) for row in rows]
    assert len(off) == 3
    assert off == sorted(off, reverse=True)


def test_kernels_are_foretold_by_the_cost_model_for_the_sizes_of_the_run() -> None:
    Path("kernel.flow").write_text(
        "kernel plus(x: f32[n], y: f32[n]) -> f32[n]:\n    return x + y * 2.0\n\n"
        "flow main(x: f32[n]) -> f32[n]:\n    return plus(x, x)\n"
    )
    expected = []
    for size in (1_000, 1_000_000):
        np.save("x.npy", np.zeros(size, "float32"))
        plain = ("run", "kernel.flow", "x=x.npy", "--output-format", "json", "--quiet", "--no-history")
        done = flowc(*plain, "--explain")
        (row,) = json.loads(done.stdout)["foretold"]
        assert (row["step"], row["basis"], row["times"]) == ("plus", "cost model", 1)
        assert 0.0 < row["measured"] < 10.0
        expected.append(row["expected"][1])
    assert expected[1] > 10 * expected[0]


def test_a_kernel_that_was_traced_is_expected_to_take_what_it_took(where: Path) -> None:
    Path("kernel.flow").write_text(
        "kernel plus(x: f32[n], y: f32[n]) -> f32[n]:\n    return x + y * 2.0\n\n"
        "flow main(x: f32[n]) -> f32[n]:\n    return plus(x, x)\n"
    )
    np.save("x.npy", np.full(1_000, 7.25, "float32"))
    assert flowc("run", "kernel.flow", "x=x.npy", "--quiet", "--trace", "trace.json").exit_code == 0
    with sqlite3.connect(where) as base:
        ((sizes,),) = base.execute("SELECT sizes FROM kernels").fetchall()
    assert sizes == "1000,1000"
    assert b"plus" not in where.read_bytes()
    done = flowc("run", "kernel.flow", "x=x.npy", "--output-format", "json", "--explain", "--quiet")
    (row,) = json.loads(done.stdout)["foretold"]
    assert (row["basis"], row["samples"]) == ("history", 1)
    assert "known from runs: plus (2)" in flowc("simulate", "kernel.flow", "x=x.npy").stdout
    assert "corrected  by 2 calls" in flowc("compile", "kernel.flow", "--explain").stderr


def test_the_table_says_what_expectations_rest_on() -> None:
    assert "structure" in flowc(*RUN, "--explain").stderr
    traced(1)
    text = flowc(*RUN, "--explain").stderr
    header = next(line for line in text.splitlines() if "expected each" in line)
    assert header.split() == ["step", "line", "times", "expected", "each", "measured", "off", "from"]
    assert "samples" in text


@pytest.mark.parametrize("level", ["-O0", "-O2", "-O3"])
def test_a_history_changes_no_result(level: str) -> None:
    words = (*RUN, level, "--seed", "5", "--output-format", "json")
    more = ("--search-seconds", "0") if level == "-O3" else ()
    first = json.loads(flowc(*words, *more).stdout)
    traced(*range(6))
    assert json.loads(flowc(*words, *more).stdout)["result"] == first["result"]


def test_the_same_history_gives_the_same_artifact_and_none_the_one_without(where: Path) -> None:
    def compiled(*words: str) -> bytes:
        assert flowc("compile", "main.flow", "-o", "main.flowc", *words).exit_code == 0
        return Path("main.flowc").read_bytes()

    plain = compiled()
    traced(1, 2, 3)
    learned = compiled()
    assert learned != plain
    assert compiled() == learned
    assert compiled("--no-history") == plain
    with zipfile.ZipFile("main.flowc") as archive:
        assert "expectations" not in json.loads(archive.read("plan.json"))
    where.unlink()
    assert compiled() == plain


def test_an_artifact_expects_what_its_compiler_knew(where: Path) -> None:
    traced(1, 2, 3)
    assert flowc("compile", "main.flow", "-o", "main.flowc").exit_code == 0
    where.unlink()
    words = ("run", "main.flowc", "--provider", "simulated", "--output-format", "json", "--explain")
    rows = json.loads(flowc(*words).stdout)["foretold"]
    assert rows_of("judge", rows)["s"]["samples"] == 9


def test_what_one_provider_took_is_not_expected_of_another() -> None:
    traced(*range(5))
    done = flowc("compile", "main.flow", "--emit", "json")
    calls = json.loads(done.stdout)["expectations"]["calls"]["judge"]
    assert [call["by"] for call in calls] == [["simulated", "small"]]
    words = ("run", "other.flow", "--provider", "offline", "--output-format", "json", "--explain")
    asks = PROGRAM[PROGRAM.index("@model") : PROGRAM.index("llm write")]
    Path("other.flow").write_text(asks + '\nflow main() -> bool:\n    return judge("it")\n')
    rows = json.loads(flowc(*words).stdout)["foretold"]
    assert rows_of("judge", rows)["s"]["samples"] == 0


def test_without_history_nothing_is_learned_or_expected(where: Path) -> None:
    assert flowc(*RUN, "--explain", "--no-history").exit_code == 0
    assert not where.exists()
    traced(1, 2)
    assert all(row["samples"] == 0 for row in foretold("--no-history"))


def test_forgetting_removes_the_history_and_nothing_else(where: Path) -> None:
    traced(1)
    assert flowc("tune", "--forget").stdout == f"forgot what traced runs took: {where}\n"
    assert not where.exists()
    assert flowc("tune", "--forget").stdout == "there is no history of runs\n"
    assert flowc("tune", "--forget", "--seconds", "5").exit_code == 2
    where.write_text("my notes")
    assert flowc("tune", "--forget").exit_code != 0
    assert where.read_text() == "my notes"


@pytest.mark.parametrize("content", [b"", b"no database at all" * 20, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_run_goes_on_beside_a_file_that_is_no_history(where: Path, content: bytes) -> None:
    expected = json.loads(flowc(*RUN, "--output-format", "json").stdout)["result"]
    where.write_bytes(content)
    done = flowc(*RUN, "--output-format", "json", "--trace", "trace.json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["result"] == expected
    assert ("warning[E0900]" in done.stderr) == bool(content)


def test_a_damaged_history_is_put_aside_and_a_new_one_begun(where: Path) -> None:
    traced(*range(4))
    content = where.read_bytes()
    where.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    done = flowc(*RUN, "--trace", "trace.json")
    assert done.exit_code == 0
    assert "warning[E0900]" in done.stderr
    assert Path(f"{where}.damaged").exists()
    rows = foretold()
    assert rows_of("judge", rows)["s"]["samples"] == 3


def test_a_history_whose_name_no_file_can_have_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWC_HISTORY", "h" * 5_000)
    assert flowc(*RUN).exit_code == 0
    done = flowc(*RUN, "--trace", "trace.json")
    assert done.exit_code == 0
    assert "warning[E0901]" in done.stderr


def test_forgetting_removes_what_was_put_aside(where: Path) -> None:
    traced(1)
    where.write_bytes(where.read_bytes()[:50])
    assert "warning[E0900]" in flowc(*RUN).stderr
    assert "forgot" in flowc("tune", "--forget").stdout
    assert not Path(f"{where}.damaged").exists()


def test_a_history_that_cannot_be_written_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("FLOWC_HISTORY", "file/history.sqlite")
    done = flowc(*RUN, "--trace", "trace.json")
    assert done.exit_code == 0
    assert "warning[E0901]" in done.stderr


def test_a_failed_run_teaches_what_it_came_to(where: Path) -> None:
    Path("main.flow").write_text(PROGRAM.replace("return found", "return [found[99]]"))
    assert flowc(*RUN, "--trace", "trace.json").exit_code == 3
    with sqlite3.connect(where) as base:
        assert base.execute("SELECT count(*) FROM calls WHERE kind = 'tool'").fetchone() == (3,)
