"""Artifacts, configuration, Python tools, traces: what a run reads and what it leaves."""

import asyncio
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.artifact import Artifact, host_target, read, unpack, write
from flowc.runtime.batch import run_many
from flowc.runtime.config import find_config, load_config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.events import Event
from flowc.runtime.execute import load, run
from flowc.runtime.plan import Effect, Operation, Parameter, Plan
from flowc.runtime.result import RunResult
from flowc.runtime.trace.chrome import chrome_trace, lanes
from flowc.runtime.trace.measures import peak, union
from flowc.runtime.trace.summary import steps, summarise, text
from flowc.runtime.types import INT, List
from tests.runtime.plans import Builder, plan, tool
from tests.runtime.worlds import virtually


def simple() -> Plan:
    body = Builder()
    return plan(body.region(body.apply("add", body.parameter(), body.constant(1))), Parameter("x", INT))


def saved(tmp_path: Path, artifact: Artifact) -> Path:
    path = tmp_path / "out.flowc"
    path.write_bytes(write(artifact))
    return path


def test_an_artifact_reads_back_equal_and_equal_ones_have_equal_bytes(tmp_path: Path) -> None:
    artifact = Artifact(
        simple(), {"k.o": b"\x00code"}, {"main.flow": b"flow"}, host_target(), "flowc 0.1", {"a": 1}
    )
    path = saved(tmp_path, artifact)
    assert read(path) == artifact
    assert write(read(path)) == path.read_bytes()
    assert run(read(path).plan, "main", {"x": 1}).result == 2


def rewritten(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def manifest_with(**members: object) -> Callable[[dict[str, bytes]], object]:
    def change(content: dict[str, bytes]) -> None:
        content["manifest.json"] = json.dumps(json.loads(content["manifest.json"]) | members).encode()

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda members: members.pop("manifest.json"), "E0640"),
        (lambda members: members.pop("plan.json"), "E0641"),
        (lambda members: members.update({"plan.json": members["plan.json"] + b" "}), "E0641"),
        (lambda members: members.update({"more.txt": b"x"}), "E0641"),
        (lambda members: members.update({"manifest.json": b"{"}), "E0641"),
        (manifest_with(format=99), "E0642"),
        (manifest_with(format="1"), "E0641"),
        (manifest_with(target="z80-cpm"), "E0643"),
    ],
)
def test_a_changed_artifact_is_refused(
    tmp_path: Path, change: Callable[[dict[str, bytes]], object], code: str
) -> None:
    path = saved(tmp_path, Artifact(simple()))
    rewritten(path, change)
    with pytest.raises(FlowError, match=code):
        read(path)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_artifact_or_refused_with_a_code(content: bytes) -> None:
    with pytest.raises(FlowError, match="E064"):
        unpack(content, Path("any.flowc"))


def configured(tmp_path: Path, content: str) -> Any:
    (tmp_path / "flowc.toml").write_text(content)
    return load_config(find_config(tmp_path))


def test_the_nearest_configuration_upwards_is_taken(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "flowc.toml").write_text(
        '[models.small]\nprovider = "openai"\nmodel = "tiny"\nprice_in = 2\nmax_in_flight = 3\n'
        "[run]\nseed = 5\n"
    )
    config = load_config(find_config(inner))
    assert config.seed == 5
    small = config.models["small"]
    assert (small.model, small.price.prompt, small.max_in_flight) == ("tiny", 2e-6, 3)
    assert find_config(inner, home=tmp_path) == tmp_path / "flowc.toml"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("[models", "E0647"),
        ("[model.small]\n", "E0648"),
        ("[models.small]\nmodle = 'x'\n", "E0648"),
        ("[models.small]\nmodel = 3\n", "E0649"),
        ("[models.small]\nmax_in_flight = 0\n", "E0649"),
        ("[models.small]\nprovider = 'magic'\n", "E0649"),
        ("models = 3\n", "E0649"),
        ("[run]\nseed = true\n", "E0649"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(tmp_path: Path, content: str, code: str) -> None:
    with pytest.raises(FlowError) as refused:
        configured(tmp_path, content)
    assert refused.value.problem.code == code
    assert "flowc.toml" in refused.value.problem.message + refused.value.problem.why


def from_file(tmp_path: Path, source: str, module: str = "tools.py") -> RunResult:
    (tmp_path / "tools.py").write_text(source)
    declared = Operation(
        "tool", "look", (Parameter("x", INT),), INT, (Effect("pure"),), module=module, function="look", line=2
    )
    body = Builder()
    of = plan(body.region(body.tool("look", body.constant(3))), operations=[declared])
    return run(of, "main", environment=Environment(folder=tmp_path))


def test_tools_are_loaded_from_the_files_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "beside_the_program.py").write_text("FACTOR = 5\n")
    source = "from beside_the_program import FACTOR\ndef look(x): return x * FACTOR\n"
    assert from_file(tmp_path, source).result == 15


def test_coroutine_functions_are_tools_too(tmp_path: Path) -> None:
    assert from_file(tmp_path, "async def look(x): return x\n").result == 3


@pytest.mark.parametrize(
    ("source", "module", "code"),
    [
        ("def look(x) return x", "tools.py", "E0804"),
        ("import surely_not_installed_anywhere", "tools.py", "E0804"),
        ("raise SystemExit(3)", "tools.py", "E0804"),
        ("", "absent.py", "E0804"),
        ("", "../tools.py", "E0804"),
        ("look = 3", "tools.py", "E0805"),
        ("", "tools.py", "E0805"),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_the_run(
    tmp_path: Path, source: str, module: str, code: str
) -> None:
    with pytest.raises(FlowError, match=code):
        from_file(tmp_path, source, module)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def look(x): raise SystemExit(1)", "E0801"),
        ("def look(x): return 'three'", "E0802"),
        ("def look(x): return 1 / 0", "E0801"),
        ("def look(): return 1", "E0801"),
        ("async def look(x): raise TimeoutError('slow')", "E0801"),
    ],
)
def test_what_a_tool_does_wrong_is_said_with_its_name(tmp_path: Path, source: str, code: str) -> None:
    problem = from_file(tmp_path, source).problem
    assert problem is not None
    assert problem.code == code
    assert "`look`" in problem.message


def busy_run(*subscribers: Callable[[Event], None]) -> RunResult:
    """Two branches: 3 s of `wait`, and 1 s + 1 s; then a sum."""

    async def wait(seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    body = Builder()
    one, three = body.constant(1), body.constant(3)
    long = body.tool("wait", three, line=4)
    short = body.tool("wait", body.tool("wait", one))
    of = plan(
        body.region(body.apply("add", long, short)),
        operations=[tool("wait", INT, effects=[Effect("reads", "clock")])],
    )
    return virtually(of, Environment(tools={"wait": wait}, subscribers=tuple(subscribers)))


def test_the_summary_says_what_ran_in_parallel_and_what_the_run_waited_for() -> None:
    summary = summarise(busy_run().trace)
    assert (summary.wall_ms, summary.critical_path_ms, summary.busy_ms) == (3000, 3000, 5000)
    assert summary.peak == 2
    assert summary.speedup == pytest.approx(5 / 3)
    assert summary.critical_path[0].name == "wait"
    (group,) = summary.groups
    assert (group.calls, group.peak, group.longest_ms) == (3, 2, 3000)
    assert any("3 x wait" in line for line in text(summary))


def test_steps_have_the_same_names_in_every_run() -> None:
    first, second = (
        [(step.step, step.duration_ms, step.critical) for step in steps(busy_run().trace)] for _ in range(2)
    )
    assert first == second
    assert first[0] == ("main/0:wait", 3000.0, True)


def test_effects_are_announced_before_they_happen_and_confirmed_after() -> None:
    heard: list[Event] = []
    busy_run(heard.append)
    for step in ("main/0:wait", "main/1:wait", "main/2:wait"):
        kinds = [event.kind for event in heard if event.step == step]
        assert kinds.index("effect.intent") < kinds.index("node.done") <= kinds.index("effect.done")
    intents = [event.attributes for event in heard if event.kind == "effect.intent"]
    assert len(intents) == 3
    assert len({str(intent["inputs"]) for intent in intents}) == 2


def test_a_listener_that_fails_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("deaf")

    heard: list[Event] = []
    assert busy_run(broken, heard.append).status == "ok"
    assert heard
    assert capsys.readouterr().err.count("deaf") == 1


def test_the_chrome_trace_lays_overlapping_bodies_in_different_lanes() -> None:
    written = json.loads(json.dumps(chrome_trace(busy_run().trace)))
    bodies = [event for event in written["traceEvents"] if event["ph"] == "X" and event["cat"] == "tool"]
    assert {event["name"] for event in bodies} == {"wait"}
    assert [event["dur"] for event in bodies if event["args"]["line"] == 4] == [3e6]
    for one in bodies:
        for other in bodies:
            if one is not other and one["tid"] == other["tid"]:
                assert one["ts"] + one["dur"] <= other["ts"] or other["ts"] + other["dur"] <= one["ts"]


spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 20)).map(lambda pair: (float(pair[0]), float(sum(pair)))),
    max_size=20,
)


@given(spans)
def test_the_covered_time_and_the_peak_agree_with_counting(given_spans: list[tuple[float, float]]) -> None:
    moments = [sum(start <= at < end for start, end in given_spans) for at in range(80)]
    assert union(given_spans) == sum(map(bool, moments))
    if any(end > start for start, end in given_spans):
        assert peak([span for span in given_spans if span[1] > span[0]]) == max(moments)


@given(spans)
def test_spans_in_one_lane_never_overlap(given_spans: list[tuple[float, float]]) -> None:
    ordered = sorted(span for span in given_spans if span[1] > span[0])
    chosen = list(zip(lanes(ordered), ordered, strict=True))
    for index, (lane, (_, end)) in enumerate(chosen):
        assert all(start >= end for other, (start, _) in chosen[index + 1 :] if other == lane)


def test_a_batch_gives_results_in_order_and_goes_on_past_what_does_not_fit() -> None:
    loaded = load(simple(), Environment())
    outcomes = asyncio.run(run_many(loaded, "main", [{"x": 1}, {"x": "one"}, {"x": 3}], width=2))
    first, second, third = outcomes
    assert isinstance(first, RunResult)
    assert isinstance(third, RunResult)
    assert (first.result, third.result) == (2, 4)
    assert isinstance(second, FlowError)
    assert second.problem.code == "E0704"


def test_the_printed_object_has_the_promised_members() -> None:
    result = busy_run()
    assert list(result.to_json()) == [
        "run", "status", "result", "wall_ms", "critical_path_ms", "overhead_ms", "nodes", "calls",
        "tokens_in", "tokens_out", "cost_usd", "virtual",
    ]  # fmt: skip
    assert "virtual" not in evolve(result, virtual=False).to_json()


def test_results_obtained_before_a_failure_stay_in_the_trace() -> None:
    def good(x: int) -> int:
        return x + 40

    def bad(x: int) -> int:
        raise OSError("gone")

    body = Builder()
    kept = body.tool("good", body.constant(2))
    of = plan(
        body.region(body.tool("bad", kept)),
        operations=[tool(name, INT, effects=[Effect("reads", "web")]) for name in ("good", "bad")],
        result=List(INT),
    )
    heard: list[Event] = []
    result = run(
        of, "main", environment=Environment(tools={"good": good, "bad": bad}, subscribers=(heard.append,))
    )
    assert result.status == "failed"
    assert [event.attributes["result"] for event in heard if event.kind == "effect.done"] == [42]
