"""`flowc simulate`: programs and recorded workflows on described clusters, as text, JSON and a picture."""

import gzip
import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowc.cli import main
from flowc.compiler.importers.wfcommons import packed
from flowc.passes.simulation.policies import POLICIES

DATA = Path(os.environ.get("FLOWC_DATA", ""), "wfinstances")

PROGRAM = """\
@latency(3s)
tool slow(text: str) -> str reads web

@latency(1s)
tool quick(text: str) -> str reads web

flow main(text: str) -> list[str]:
    return [slow(quick(text)), slow(text), quick(text)]

flow other(text: str) -> list[str]:
    return [slow(t) for t in text.split(" ")]
"""


def recorded(scale: float = 1.0, width: int = 6) -> dict[str, Any]:
    """A fork of `width` tasks, the last of them long, and a join; the first writes what they read."""
    middle = [f"work_{place}" for place in range(width)]
    parents: dict[str, list[str]] = {
        "split_0": [],
        **{name: ["split_0"] for name in middle},
        "join_9": middle,
    }
    times = {name: scale * (2.0 + 9.0 * (name == middle[-1])) for name in parents}
    sizes = {name: 1_000 * int(times[name]) for name in parents}
    tasks = [
        {
            "name": name,
            "id": name,
            "parents": its,
            "children": [],
            "inputFiles": [f"{name}.in"],
            "outputFiles": [f"{child}.in" for child in middle] if name == "split_0" else [],
        }
        for name, its in parents.items()
    ]
    return {
        "name": "fork",
        "schemaVersion": "1.5",
        "workflow": {
            "specification": {
                "tasks": tasks,
                "files": [{"id": f"{name}.in", "sizeInBytes": size} for name, size in sizes.items()],
            },
            "execution": {"tasks": [{"id": name, "runtimeInSeconds": time} for name, time in times.items()]},
        },
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.flow").write_text(PROGRAM)
    (tmp_path / "runs").mkdir()
    (tmp_path / "fork-a-001.json").write_text(json.dumps(recorded()))
    for name, scale in zip("bcdefg", (0.8, 0.9, 1.1, 1.2, 1.3, 1.4), strict=True):
        text = json.dumps(recorded(scale, 8)).encode()
        (tmp_path / "runs" / f"fork-{name}-001.json.gz").write_bytes(gzip.compress(text))
    return tmp_path


def flowc(*words: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *words])


def figures(*words: str) -> dict[str, Any]:
    done = flowc(*words, "--output-format=json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_program_takes_its_critical_path_with_enough_workers_and_its_work_with_one() -> None:
    """Its two equal calls of `quick` are one at -O2."""
    wide = figures("main.flow", "--workers", "3")
    assert wide["makespan_s"] == pytest.approx(4.0, abs=1e-3)
    assert wide["makespan_s"] == pytest.approx(wide["lower_bound_s"])
    one = figures("main.flow", "--workers", "1", "--policy", "oracle")
    assert one["makespan_s"] == pytest.approx(7.0, abs=1e-3)
    assert one["utilisation"] == pytest.approx(1.0)
    assert figures("main.flow", "--flow", "other")["assumed"] == ["10 items in the list, line 11"]


def test_a_program_is_simulated_as_it_would_run_where_nothing_is_said_of_workers() -> None:
    found = figures("main.flow", "text=a b")
    assert (found["policy"], found["makespan_s"]) == ("run", 4.0)
    assert (found["runs"], found["mean_s"], found["learned"], found["failed"]) == (1, 4.0, {}, [])
    drawn = figures("main.flow", "--provider", "simulated")
    assert drawn["runs"] > 1
    assert drawn["low_s"] < drawn["makespan_s"] < drawn["high_s"]


def test_arguments_of_a_program_are_read_as_a_run_reads_them(folder: Path) -> None:
    (folder / "args.json").write_text('{"text": "a b c"}')
    known = figures("main.flow", "--flow", "other", "--args", "args.json")
    assert (known["tasks"], known["assumed"]) == (3, [])
    assert figures("main.flow", "--flow", "other", "--args", "args.json", "text=a b")["tasks"] == 2
    assert "as `flowc run` would run it" in flowc("main.flow", "text=x").stdout


def test_limits_of_flowc_toml_lengthen_a_run_and_its_picture(folder: Path) -> None:
    program = 'llm ask(n: int) -> int:\n    """Say {n}."""\n\nflow main() -> list[int]:\n    '
    (folder / "many.flow").write_text(program + "return [ask(n) for n in range(6)]\n")
    free = figures("many.flow", "--provider", "openai")
    (folder / "flowc.toml").write_text('[models.default]\nprovider = "openai"\nmax_in_flight = 2\n')
    kept = figures("many.flow", "--gantt", "out.svg")
    assert kept["makespan_s"] == pytest.approx(3 * free["makespan_s"], rel=1e-3)
    assert kept["critical_path_s"] == pytest.approx(free["critical_path_s"], rel=1e-3)
    assert (free["workers"], kept["workers"]) == (6, 2)
    ElementTree.parse(folder / "out.svg")


def test_an_argument_may_be_the_name_of_a_recorded_workflow(folder: Path) -> None:
    (folder / "text=a b.json").write_text(json.dumps(recorded()))
    assert figures("main.flow", "text=gone.json")["file"] == "main.flow"
    assert figures("main.flow", "--flow", "other", "text=a b.json")["tasks"] == 2
    assert figures("text=a b.json")["tasks"] == 8
    assert "error[E0670]" in flowc(f"text={'a' * 5_000}.json").stderr


def test_a_program_that_fails_is_told_to_fail_on_described_workers_too(folder: Path) -> None:
    (folder / "main.flow").write_text(PROGRAM.replace("flow main", "@timeout(2s)\nflow main"))
    for words in ((), ("--workers", "2"), ("--policy", "fifo")):
        lines = flowc("main.flow", *words).stdout.splitlines()
        assert [line.split()[:6] for line in lines if line.startswith("failed")] == [
            ["failed", "1", "of", "1", "simulated", "run:"]
        ], words


def test_files_larger_than_a_limit_are_refused_before_they_are_whole_in_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that never end, too."""
    for command in (["simulate", "endless.json"], ["import", "wfcommons", "endless.json"]):
        monkeypatch.setattr(packed, "MOST_BYTES", 2**20)
        (folder / "endless.json").unlink(missing_ok=True)
        (folder / "endless.json").symlink_to("/dev/zero")
        assert "error[E0698]: the file has more than 1 MB" in CliRunner().invoke(main, command).stderr
    done = flowc("main.flow", "--cluster", "endless.json")
    assert (done.exit_code, "error[E0658]: the file has more than 1 MB" in done.stderr) == (2, True)
    (folder / "runs" / "large.json").write_bytes(b" " * (2**20 + 1))
    done = flowc("fork-a-001.json", "--samples", "runs")
    assert "large.json is left out" in done.stderr
    assert "more than 1 MB" in done.stderr


def test_an_artifact_is_simulated_as_its_program(folder: Path) -> None:
    CliRunner().invoke(main, ["compile", "main.flow", "-o", "main.flowc"])
    one, other = figures("main.flow"), figures("main.flowc")
    assert {**one, "file": ""} == {**other, "file": ""}


def test_the_bounds_and_first_come_stand_beside_the_makespan() -> None:
    found = figures("fork-a-001.json", "--workers", "2", "--policy", "heft")
    assert found["critical_path_s"] == 2 + 11 + 2
    assert found["work_per_worker_s"] == (2 + 5 * 2 + 11 + 2) / 2
    assert found["head_tail_area_s"] == 2 + (5 * 2 + 11) / 2 + 2
    assert found["lower_bound_s"] == 15
    assert found["makespan_s"] == 15
    assert found["fifo_makespan_s"] == 2 + 4 + 11 + 2
    assert found["ratio"] == 1.0
    assert (found["tasks"], found["dependences"], found["workers"]) == (8, 12, 2)


def test_the_learned_order_knows_what_other_configurations_took() -> None:
    blind = figures("fork-a-001.json", "--workers", "2")
    assert blind["makespan_s"] == blind["fifo_makespan_s"]
    assert blind["forecast_tasks"] == 0
    taught = figures("fork-a-001.json", "--workers", "2", "--samples", "runs")
    assert taught["makespan_s"] == 15
    assert (taught["forecast_tasks"], taught["uncertain_tasks"]) == (8, 0)


def test_a_repeat_of_the_same_configuration_teaches_nothing(folder: Path) -> None:
    for path in (folder / "runs").iterdir():
        path.unlink()
    (folder / "runs" / "fork-a-002.json").write_text(json.dumps(recorded(1.1)))
    (folder / "runs" / "fork-a-001.json").write_text(json.dumps(recorded()))
    assert figures("fork-a-001.json", "--samples", "runs")["forecast_tasks"] == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_each_policy_repeats_itself_and_keeps_to_the_bound(policy: str) -> None:
    words = ("fork-a-001.json", "--policy", policy, "--workers", "3", "--seed", "5")
    assert figures(*words) == figures(*words)
    assert figures(*words)["ratio"] >= 1.0


def test_a_described_cluster_counts_in_place_of_the_workers(folder: Path) -> None:
    (folder / "cluster.toml").write_text("[[workers]]\ncount = 2\nspeed = 2.0\n")
    found = figures("fork-a-001.json", "--policy", "heft", "--workers", "9", "--cluster", "cluster.toml")
    assert (found["workers"], found["makespan_s"]) == (2, 7.5)
    (folder / "cluster.toml").write_text("bandwidth = 1e3\n")
    slow = figures("fork-a-001.json", "--policy", "heft", "--workers", "2", "--cluster", "cluster.toml")
    assert (slow["workers"], slow["lower_bound_s"]) == (2, 15)
    there, elsewhere = 2 + 11 + 2 + 2, 2 + 3 * (2 + 2)  # where the long task is, and where data is fetched
    assert slow["makespan_s"] == max(there, elsewhere) + 2
    (folder / "cluster.toml").write_text("[[workers]]\ncount = 2\nmtbf = 20.0\nrepair = 1.0\n")
    lost = [
        figures("fork-a-001.json", "--cluster", "cluster.toml", "--seed", str(seed))["lost"]
        for seed in range(5)
    ]
    assert max(lost) > 0


@pytest.mark.parametrize(
    "text",
    [
        "workers = 3",
        "[[workers]]\ncount = 0",
        "[[workers]]\nspeed = nan",
        "[[workers]]\nspeed = -1",
        "[[workers]]\nspeed = 1e-7",
        "[[workers]]\nmtbf = 1e-9",
        "[[workers]]\nrepair = 1e-9",
        "[[workers]]\ncount = 10_001",
        "bandwidth = 1e-300",
        "[[workers]]\nmtbf = true",
        "[[workers]]\ncolour = 'red'",
        "bandwidth = 0",
        "bandwidth = inf",
        "speed = 3",
        "[[workers",
    ],
)
def test_a_wrong_description_of_a_cluster_is_refused(folder: Path, text: str) -> None:
    (folder / "cluster.toml").write_text(text)
    done = flowc("fork-a-001.json", "--cluster", "cluster.toml")
    assert done.exit_code == 2
    assert "error[E0658]" in done.stderr


def test_a_worker_is_away_for_its_repair(folder: Path) -> None:
    found = []
    for repair in (0, 3):
        (folder / "cluster.toml").write_text(f"[[workers]]\nmtbf = 12.0\nrepair = {repair}\n")
        found.append(figures("fork-a-001.json", "--policy", "fifo", "--cluster", "cluster.toml"))
    assert found[0]["lost"] == found[1]["lost"] > 0
    longer = found[1]["makespan_s"] - found[0]["makespan_s"]
    assert longer == pytest.approx(3 * found[1]["lost"])


def test_several_files_are_simulated_each_by_itself() -> None:
    paths = ("fork-a-001.json", "runs/fork-b-001.json.gz", "runs/fork-c-001.json.gz")
    done = flowc(*paths, "--workers", "2", "--policy", "fifo")
    assert done.stdout.count("makespan") == 3
    assert done.stdout.rstrip().split("\n")[-1].startswith("3 files: 1.")
    lines = flowc(*paths, "--output-format=json").stdout.splitlines()
    assert [json.loads(line)["file"] for line in lines] == list(paths)


def test_the_picture_has_a_bar_for_each_task_in_the_row_of_its_worker(folder: Path) -> None:
    assert flowc("fork-a-001.json", "--workers", "2", "--gantt", "out.svg").exit_code == 0
    root = ElementTree.parse(folder / "out.svg").getroot()
    bars = [each for each in root.iterfind(".//{*}rect") if each.find("{*}title") is not None]
    assert len(bars) == 8
    assert len({each.get("y") for each in bars}) == 2
    told = [title.text or "" for title in root.iterfind(".//{*}title")]
    assert sum(text.startswith("work_") for text in told) == 6
    widths = {(each.findtext("{*}title") or "").split(":")[0]: float(each.get("width", 0)) for each in bars}
    assert widths["work_5"] == pytest.approx(5.5 * widths["work_0"], rel=0.01)


def test_names_that_no_picture_can_hold_are_shown_by_their_numbers(folder: Path) -> None:
    text = json.dumps(recorded()).replace("work_5", "b\\u0001d\\ud800\\ufffe<&")
    (folder / "odd\x1b[1m.json").write_text(text)
    done = flowc("odd\x1b[1m.json", "--gantt", "out.svg")
    assert done.exit_code == 0
    assert done.stdout.startswith(r"odd\x1b[1m: 8 tasks")
    root = ElementTree.parse(folder / "out.svg").getroot()
    told = [title.text or "" for title in root.iterfind(".//{*}title")]
    assert any(text.startswith(r"b\x01d\ud800\ufffe<&: ") for text in told)


def test_an_import_tells_of_times_that_are_set_apart(folder: Path) -> None:
    content = recorded()
    content["workflow"]["execution"]["tasks"][3]["runtimeInSeconds"] = 0
    (folder / "fork.json").write_text(json.dumps(content))
    done = CliRunner().invoke(main, ["import", "wfcommons", "fork.json"])
    assert done.exit_code == 0
    assert "warning[E0675]: 1 of 8 tasks has a recorded time of zero" in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("fork-a-001.json", "main.flow", "--gantt", "out.svg"), "E0670"),
        (("fork-a-001.json", "--policy", "fifo", "--samples", "runs"), "E0670"),
        (("fork-a-001.json", "--flow", "main"), "E0670"),
        (("gone.json",), "E0671"),
        (("text=a",), "E0670"),
        (("fork-a-001.json", "text=a"), "E0670"),
        (("fork-a-001.json", "--provider", "simulated"), "E0670"),
        (("main.flow", "main.flow", "text=a"), "E0670"),
        (("main.flow", "word=a"), "E0702"),
        (("main.flow", "--workers", "0"), "E0670"),
        (("main.flow", "--policy", "best"), "E0670"),
        (("main.flow", "--samples", "runs"), "E0670"),
        (("fork-a-001.json", "--samples", "gone"), "E0659"),
        (("fork-a-001.json", "--workers", "10001"), "E0670"),
    ],
)
def test_what_cannot_be_meant_is_said(words: tuple[str, ...], code: str) -> None:
    done = flowc(*words)
    assert done.exit_code == 2
    assert f"error[{code}]" in done.stderr


@pytest.mark.skipif(not DATA.is_dir(), reason="FLOWC_DATA names no folder of data sets")
def test_a_recorded_instance_is_near_its_bound_with_what_the_others_teach() -> None:
    path = str(DATA / "cycles" / "cycles-chameleon-1l-1c-9p-001.json.gz")
    found = figures(path, "--workers", "4", "--samples", str(DATA / "cycles"))
    assert found["ratio"] < 1.10 < found["fifo_makespan_s"] / found["lower_bound_s"]
    assert found["forecast_tasks"] == found["tasks"] == 67
