"""Recorded workflows: read with limits, quarantined where times are none, and programs that run as long."""

import csv
import gzip
import json
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import compile_text
from flowc.compiler.importers.wfcommons import configure, convert, packed, reading, samples
from flowc.compiler.importers.wfcommons.packed import unpacked
from flowc.compiler.importers.wfcommons.reading import Workflow, read
from flowc.compiler.importers.wfcommons.samples import learned_from, read_samples, samples_of
from flowc.passes.cost.task_model import learn
from flowc.passes.simulation.bounds import lower_bounds
from flowc.passes.simulation.cluster import identical
from flowc.runtime.config import load_config
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import Environment, run

DATA = Path(os.environ.get("FLOWC_DATA", ""), "wfinstances")


def recorded(
    *tasks: tuple[str, list[str], object], files: dict[str, Any] | None = None, **changed: Any
) -> dict[str, Any]:
    """A file with tasks of id, parents and time; each reads what its parents write, named by their ids."""
    specified = [
        {
            "name": id_,
            "id": id_,
            "parents": parents,
            "children": [other for other, its, _ in tasks if id_ in its],
            "inputFiles": [f"{parent}.out" for parent in parents],
            "outputFiles": [f"{id_}.out"],
        }
        for id_, parents, _ in tasks
    ]
    sizes = {f"{id_}.out": 100 for id_, _, _ in tasks} | (files or {})
    return {
        "name": "made",
        "schemaVersion": "1.5",
        "workflow": {
            "specification": {
                "tasks": specified,
                "files": [{"id": name, "sizeInBytes": size} for name, size in sizes.items()],
            },
            "execution": {"tasks": [{"id": id_, "runtimeInSeconds": time} for id_, _, time in tasks]},
        },
        **changed,
    }


STEPS: list[tuple[str, list[str], object]] = [
    ("split_1", [], 2.0),
    ("work_2", ["split_1"], 5.0),
    ("work_3", ["split_1"], 3.0),
    ("merge_4", ["work_2", "work_3"], 1.0),
]
FORK = recorded(*STEPS)


def made(content: object, path: str = "made.json") -> Workflow:
    return read(json.dumps(content), path)


def codes(content: object) -> list[str]:
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(CompileError) as caught:
        read(text, "made.json")
    assert all(each.why or each.help for each in caught.value.diagnostics)
    return [each.code for each in caught.value.diagnostics]


def test_tasks_have_the_times_parents_and_sizes_that_were_recorded() -> None:
    workflow = made(FORK, "runs/fork-small-002.json.gz")
    tasks = workflow.graph.tasks
    assert [task.seconds for task in tasks] == [2, 5, 3, 1]
    assert [task.parents for task in tasks] == [(), (0,), (0,), (1, 2)]
    assert tasks[3].fetched == (100, 100)
    assert (tasks[3].traits.input_bytes, tasks[3].traits.largest_input) == (200, 100)
    assert (tasks[1].traits.category, tasks[1].traits.beside) == ("work", 2)
    assert workflow.graph.name == "fork-small-002"
    assert workflow.origin.configuration == "fork-small"


def test_a_file_is_fetched_from_each_parent_that_writes_it() -> None:
    content = json.loads(json.dumps(FORK))
    specified = content["workflow"]["specification"]
    specified["files"].append({"id": "both", "sizeInBytes": 7})
    for place, kind in ((0, "outputFiles"), (1, "outputFiles"), (2, "outputFiles"), (3, "inputFiles")):
        specified["tasks"][place][kind].append("both")
    assert made(content).graph.tasks[3].fetched == (107, 107)
    assert made(content).graph.tasks[2].fetched == (100,)


def test_an_edge_that_only_the_parent_names_counts() -> None:
    content = json.loads(json.dumps(FORK))
    for task in content["workflow"]["specification"]["tasks"]:
        task["parents"] = []
    assert made(content).graph.tasks == made(FORK).graph.tasks


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1, None, "2", True, 10**400, 1e-10, 1e13])
def test_a_time_that_is_none_is_the_usual_one_of_its_program_and_teaches_nothing(time: object) -> None:
    content = recorded(("a_1", [], 4.0), ("a_2", [], time), ("a_3", [], 6.0), ("b_4", [], 50.0))
    workflow = made(content)
    assert workflow.graph.tasks[1].seconds == 5.0
    assert [warning.code for warning in workflow.warnings] == ["E0675"]
    assert {sample.seconds for sample in samples_of(workflow)} == {4.0, 6.0, 50.0}


def test_a_time_of_zero_stays_and_teaches_nothing() -> None:
    workflow = made(recorded(("a_1", [], 0), ("a_2", [], 3)))
    assert [task.seconds for task in workflow.graph.tasks] == [0, 3]
    assert [warning.title for warning in workflow.warnings] == ["1 of 2 tasks has a recorded time of zero"]
    assert [sample.seconds for sample in samples_of(workflow)] == [3]


def test_a_file_in_which_no_task_took_any_time_is_refused() -> None:
    assert codes(recorded(("a", [], 0), ("b", [], float("nan")))) == ["E0674"]


@given(st.lists(st.sampled_from(["a_1", "a_2", "a_3", 5, None]), max_size=8))
def test_a_task_recorded_twice_and_one_of_another_id_have_no_time(ids: list[object]) -> None:
    content = recorded(("a_1", [], 1.0), ("a_2", [], 1.0), ("a_3", [], 1.0), ("5", [], 1.0))
    content["workflow"]["execution"]["tasks"] = [
        {"id": "a_1", "runtimeInSeconds": 4.0},
        *({"id": id_, "runtimeInSeconds": 4.0 + place} for place, id_ in enumerate(ids, start=1)),
        {"id": "b", "runtimeInSeconds": 3.0},
    ]
    said = ["a_1", *ids]
    once = {place for place, id_ in enumerate(["a_1", "a_2", "a_3", "5"]) if said.count(id_) == 1}
    if not once:
        assert codes(content) == ["E0674"]
        return
    workflow = made(content)
    assert workflow.unusable == {0, 1, 2, 3} - once
    assert [warning.code for warning in workflow.warnings] == ["E0675"]


def test_what_makes_no_graph_is_told_with_its_place() -> None:
    assert codes(recorded(("a", ["b"], 1), ("b", ["a"], 1))) == ["E0699"]
    assert codes(recorded(("a", ["a"], 1))) == ["E0699", "E0699"]
    assert codes(recorded(("a", ["gone"], 1), ("b", ["lost"], 1))) == ["E0699", "E0699"]
    text = json.dumps(recorded(("a", [], 1), ("b", [], 1), ("a", [], 1)), indent=1)
    with pytest.raises(CompileError) as caught:
        read(text, "made.json")
    (found,) = caught.value.diagnostics
    span = found.labels[0].span
    assert text.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1] == '"a"'
    assert text.split("\n")[: span.line - 1].count('     "id": "a",') == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        {"schemaVersion": "1.5"},
        {"schemaVersion": "1.4", "workflow": {}},
        recorded(),
        {**FORK, "workflow": {"specification": {"tasks": {}}, "execution": {}}},
        {**FORK, "workflow": FORK["workflow"]["specification"]},
    ],
)
def test_what_is_no_wfformat_is_refused(content: object) -> None:
    assert codes(content) == ["E0698"]


def test_tasks_without_an_id_are_refused() -> None:
    content = json.loads(json.dumps(FORK))
    content["workflow"]["specification"]["tasks"][1] = {"name": "work"}
    assert codes(content) == ["E0699"]
    content["workflow"]["specification"]["tasks"][1] = 7
    assert codes(content) == ["E0699"]


def test_an_id_or_a_name_that_nobody_would_read_is_refused() -> None:
    assert codes(recorded(("a" + "1" * 1_000, [], 1))) == ["E0699", "E0699"]
    assert len(made(recorded(("a" + "1" * 999, [], 1))).graph.tasks) == 1
    content = recorded(("a", [], 1))
    content["workflow"]["specification"]["tasks"][0]["name"] = "1" * 1_001
    assert codes(content) == ["E0699"]


def test_a_size_that_no_file_has_is_refused() -> None:
    for size in (2**63, 10**30, float("inf")):
        assert codes(recorded(("a", [], 1), files={"in": size})) == ["E0698"]


def test_a_file_that_is_still_to_be_written_is_a_part_of_what_its_writer_reads() -> None:
    files: dict[str, Any] = {"split_1.out": 2**63 - 1, "work_2.out": -1, "work_3.out": float("nan")}
    tasks = made({**FORK, **recorded(*STEPS, files=files)}).graph.tasks
    assert tasks[1].traits.input_bytes == 2**63 - 1
    assert tasks[3].traits.input_bytes == 2 * (2**63 - 1)
    assert sum(tasks[3].fetched) == 0


def test_more_than_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_TASKS", 3)
    assert codes(FORK) == ["E0698"]
    monkeypatch.setattr(reading, "MOST_TASKS", 10)
    monkeypatch.setattr(reading, "MOST_EDGES", 2)
    assert codes(FORK) == ["E0698"]


def test_a_compressed_file_is_its_text_and_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(FORK)
    assert unpacked(gzip.compress(text.encode()), "made.json.gz") == text
    assert unpacked(gzip.compress(b"{}") + gzip.compress(b"[]"), "made.json.gz") == "{}[]"
    monkeypatch.setattr(packed, "MOST_BYTES", 2**20)
    for bomb in (gzip.compress(bytes(2**24)), b"x" * (2**20 + 1)):
        with pytest.raises(CompileError, match=r"E0698.*more than 1 MB"):
            unpacked(bomb, "bomb.json.gz")


def test_a_file_of_many_members_is_joined_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = random.Random(3).randbytes(200_000).hex()
    halves = [gzip.compress(text[:150_000].encode()), gzip.compress(text[150_000:].encode())]
    assert unpacked(halves[0] + halves[1] + bytes(7), "two.json.gz") == text
    assert unpacked(halves[0] + bytes(99_000) + halves[1], "padded.json.gz") == text
    for broken in (halves[0][:-9], halves[0] + halves[1][:1_000], halves[0] + b"rest"):
        with pytest.raises(CompileError, match="E0698"):
            unpacked(broken, "broken.json.gz")
    monkeypatch.setattr(packed, "MOST_MEMBERS", 3)
    assert unpacked(gzip.compress(b"1") * 3, "three.json.gz") == "111"
    with pytest.raises(CompileError, match=r"E0698.*more than 3 members"):
        unpacked(gzip.compress(b"1") * 4, "four.json.gz")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_a_diagnostic(data: bytes) -> None:
    whole = gzip.compress(json.dumps(FORK).encode())
    for given_ in (data, b"\x1f\x8b" + data, whole[: len(data) * 7]):
        with suppress(CompileError):
            read(unpacked(given_, "any.json"), "any.json")


def test_the_program_of_a_workflow_takes_as_long_as_its_critical_path(tmp_path: Path) -> None:
    text = json.dumps(FORK)
    (tmp_path / "flowc.toml").write_text(configure(text, "made.json"))
    config = load_config(tmp_path / "flowc.toml")
    plan = compile_text(convert(text, "made.json"), "made.flow").plan
    done = run(plan, "main", {}, environment=Environment(config=config, provider="simulated"))
    assert done.status == "ok"
    assert done.wall_ms / 1e3 == pytest.approx(8.0, abs=0.01)


def test_tasks_of_a_program_have_names_of_their_own_and_equal_times_share_a_tool() -> None:
    content = recorded(
        ("main", [], 1), ("llm.x", [], 1), ("7", [], 1), ("Llm_x", [], 1), ("größe", [], 0), ("7_1", [], 1)
    )
    text = convert(json.dumps(content), "made.json")
    compile_text(text, "made.flow")
    assert text.count("\ntool ") == 5
    assert "@latency(0.001s)" in text


def test_a_workflow_too_large_for_a_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowc.compiler.importers.wfcommons.MOST_STEPS", 3)
    with pytest.raises(CompileError, match=r"E0698.*at most 3 tasks"):
        convert(json.dumps(FORK), "made.json")


def test_a_folder_of_samples_leaves_out_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.json.gz").write_bytes(gzip.compress(json.dumps(FORK).encode()))
    (tmp_path / "two.json").write_text("{")
    (tmp_path / "notes.txt").write_text("none of ours")
    found = read_samples(tmp_path)
    assert (len(found.samples), found.runs) == (4, 1)
    assert [warning.code for warning in found.warnings] == ["E0656"]
    (tmp_path / "three.json").write_text(
        json.dumps(recorded(("a_1", [], 0), ("a_2", [], -1), ("a_3", [], 2)))
    )
    found = read_samples(tmp_path)
    assert [warning.code for warning in found.warnings] == ["E0656", "E0675"]
    assert found.warnings[1].title == "2 of 3 tasks have no time to learn from"
    (tmp_path / "three.json").unlink()
    (tmp_path / "deep" / "one.json.gz").unlink()
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(FlowError, match="E0659"):
            read_samples(folder)


def test_what_a_folder_teaches_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(FORK))
    first, warnings = learned_from(folder)
    assert (sorted(first.categories), warnings) == (["merge", "split", "work"], ())
    with monkeypatch.context() as changed:
        changed.setattr(samples, "read_samples", None)
        again, _ = learned_from(folder)
        assert again.origins == first.origins
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1])
    assert learned_from(folder)[0].origins == first.origins
    with monkeypatch.context() as changed:
        changed.setattr(samples, "build_id", lambda: "the next release")
        changed.setattr(samples, "learn", lambda _: learn([]))
        assert not learned_from(folder)[0].categories
    (folder / "two.json").write_text(json.dumps(recorded(("other", [], 3.0), ("none", [], 0))))
    for _ in range(2):  # as it is read, and as it was kept
        model, warnings = learned_from(folder)
        assert "other" in model.categories
        assert [(each.code, each.path) for each in warnings] == [("E0675", str(folder / "two.json"))]
    (folder / "three.json").write_text("{")
    for _ in range(2):
        assert [warning.code for warning in learned_from(folder)[1]] == ["E0656", "E0675"]


@pytest.mark.skipif(not DATA.is_dir(), reason="FLOWC_DATA names no folder of data sets")
def test_the_recorded_instances_are_what_their_index_says() -> None:
    with (DATA / "index.csv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if int(row["tasks"]) < 150]
    assert len(rows) > 20
    for row in rows:
        workflow = read(unpacked((DATA / row["file"]).read_bytes(), row["file"]), row["file"])
        tasks = workflow.graph.tasks
        assert len(tasks) == int(row["tasks"])
        assert sum(len(task.parents) for task in tasks) == int(row["edges"])
        assert sum(task.seconds for task in tasks) == pytest.approx(float(row["serial_runtime_s"]), abs=0.01)
        assert len(workflow.unusable) == int(row["tasks_with_zero_runtime"])
        assert lower_bounds(workflow.graph, identical(1)).critical_path <= float(row["makespan_s"]) + 1
