"""A run on stand-ins: the runtime's own rules in virtual time, what is known computed, what is not drawn or
assumed.
"""

import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.driver import Options, compile_text
from flowc.compiler.learned import History
from flowc.passes.simulation import stage
from flowc.passes.simulation.bounds import lower_bounds
from flowc.passes.simulation.cluster import identical
from flowc.passes.simulation.forecast import Forecast, forecast
from flowc.passes.simulation.guessed_steps import dissenting
from flowc.passes.simulation.outcome import outcome
from flowc.passes.simulation.policies import POLICIES
from flowc.passes.simulation.rehearsal import Setting, rehearse
from flowc.passes.simulation.unknown import Unknown, UnknownArray, is_unknown
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import run as execute
from flowc.runtime.expectations import (
    AnswerLaw,
    CallExpectation,
    Expectations,
    Quantiles,
    StepExpectation,
    step_key,
)
from flowc.runtime.history.names import places
from flowc.runtime.history.samples import samples
from flowc.runtime.history.store import write
from flowc.runtime.plan import Node, Plan, Region
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.trace.model import Trace

TOOLS = """\
@latency(3s)
tool slow(text: str) -> str reads web

@latency(1s)
tool quick(text: str) -> str reads web

@latency(2s)
tool listed(text: str) -> list[str] reads web

llm ask(text: str) -> str:
    \"\"\"Answer {text}.\"\"\"

llm judge(text: str) -> bool:
    \"\"\"Is {text} right?\"\"\"

human sign(text: str) -> bool:
    \"\"\"May {text} go?\"\"\"

"""


@cache
def planned(body: str, level: int = 2) -> Plan:
    return compile_text(TOOLS + body, "main.flow", level=level).plan


def foreseen(body: str, setting: Setting | None = None, level: int = 2) -> Forecast:
    return forecast(planned(body, level), "main", setting)


MAP = "flow main(n: int = 6) -> list[str]:\n    return [ask(str(i)) for i in range(n)]\n"


def test_arguments_that_are_given_are_computed_with_and_defaults_are_arguments() -> None:
    assert len(foreseen(MAP).graph.tasks) == 6
    assert len(foreseen(MAP, Setting(arguments={"n": 3})).graph.tasks) == 3
    unknown = foreseen(MAP.replace("int = 6", "int"))
    assert len(unknown.graph.tasks) == 10
    assert unknown.graph.assumed == ("10 items in the list, line 20",)


def test_arguments_that_do_not_fit_are_refused_as_by_a_run() -> None:
    with pytest.raises(FlowError, match="E0702"):
        foreseen(MAP, Setting(arguments={"m": 3}))
    with pytest.raises(FlowError, match="E0704"):
        foreseen(MAP, Setting(arguments={"n": "three"}))


def limited(**limits: int) -> Setting:
    return Setting(config=Config(models={"default": ModelSettings(provider="openai", **limits)}))


def test_a_limit_of_calls_in_flight_lengthens_a_run_as_the_runtime_has_it() -> None:
    free = foreseen(MAP, limited()).makespan
    assert foreseen(MAP, limited(max_in_flight=2)).makespan == pytest.approx(3 * free, rel=1e-3)
    assert foreseen(MAP, limited(max_in_flight=1)).makespan == pytest.approx(6 * free, rel=1e-3)
    assert foreseen(MAP, limited(requests_per_minute=2)).makespan > 100


def test_a_timeout_that_is_too_short_is_foretold() -> None:
    found = foreseen("@timeout(2s)\nflow main(a: str) -> str:\n    return slow(quick(a))\n")
    assert [problem.code for problem in found.failed] == ["E0714"]
    assert found.makespan == 2.0
    kept = foreseen("flow main(a: str) -> str:\n    with timeout(9s):\n        a = slow(a)\n    return a\n")
    assert not kept.failed


@given(st.integers(1, 6), st.integers(1, 9))
def test_kernels_beside_each_other_are_tasks_as_long_as_they_compute(count: int, seconds: int) -> None:
    """What one waits for the others, since each takes all cores, is no work of a worker."""
    summed = " + ".join(f"doubled(x{place})" for place in range(count))
    parameters = ", ".join(f"x{place}: f32[n]" for place in range(count))
    plan = planned(
        "kernel doubled(x: f32[n]) -> f32[n]:\n    return x * 2.0\n\n"
        f"flow main({parameters}) -> f32[n]:\n    return {summed}\n"
    )
    found = forecast(plan, "main", Setting(kernel_times={"doubled": lambda _: float(seconds)}))
    doubled = [task.seconds for task in found.graph.tasks if task.name.startswith("doubled")]
    assert doubled == pytest.approx([seconds] * count, abs=0.01)
    one = outcome(found.graph, identical(1), "fifo").schedule.makespan
    assert one == pytest.approx(sum(found.graph.seconds)) == pytest.approx(found.makespan, rel=1e-3)


@pytest.mark.parametrize("shown", [((0, 6), (5, 4)), ((0, 4), (5, 6)), ((0, 9),)])
def test_a_program_is_refused_only_where_no_run_has_a_task(shown: tuple[tuple[int, int], ...]) -> None:
    runs = StepExpectation(
        count=Quantiles(0, 0, max(count for count, _ in shown), 10), seen=shown, samples=10
    )
    plan = with_steps(
        planned("flow main(xs: list[str]) -> list[str]:\n    return [slow(x) for x in xs]\n"), runs
    )
    if len(shown) == 1:
        with pytest.raises(FlowError, match=r"E0657.*with these arguments it calls no"):
            forecast(plan, "main")
        return
    found = forecast(plan, "main")
    assert found.seconds[0] == 0 < found.seconds[-1]
    for policy in POLICIES:
        outcome(found.graph, identical(2), policy)


def test_a_program_whose_only_call_never_ends_in_time_is_told_to_fail() -> None:
    found = foreseen("@timeout(2s)\nflow main(a: str) -> str:\n    return slow(a)\n")
    assert [problem.code for problem in found.failed] == ["E0714"]
    assert (found.makespan, found.graph.tasks) == (2.0, ())


def test_no_tool_no_person_and_no_model_is_asked(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("raise SystemExit('this file was run')\n")
    body = (
        'from "tools.py" import write\n\ntool write(text: str) -> str writes disk\n\n'
        'human may() -> bool:\n    """May it?"""\n\n'
        'flow main() -> str:\n    return write("x") if may() else "no"\n'
    )
    (tmp_path / "tools.py").write_text(
        "def write(text: str) -> str:\n    raise SystemExit('it was called')\n"
    )
    plan = compile_text(body, "main.flow", folder=tmp_path).plan
    found = rehearse(plan, "main")
    assert found.problem is None
    assert found.seconds == pytest.approx(60.1)


def test_what_fails_for_certain_is_told_and_what_might_is_not() -> None:
    certain = rehearse(planned("flow main() -> int:\n    return len(slow('a')) + 1 // (2 - 2)\n"), "main")
    assert certain.problem is not None
    perhaps = rehearse(planned('flow main(a: str) -> str:\n    return listed(a)[11] + slow("b")\n'), "main")
    assert perhaps.problem is None


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    plan = with_seconds(planned(MAP), {"ask": (0.5, 1.0, 3.0)})
    one, same, other = (rehearse(plan, "main", None, seed).seconds for seed in (1, 1, 2))
    assert one == same != other


def with_seconds(plan: Plan, seconds: Mapping[str, tuple[float, float, float]]) -> Plan:
    """A plan of which runs have shown how long calls take; those of models by a factor of what they would."""
    calls = {
        name: (
            CallExpectation(
                seconds=Quantiles(*times, 50),
                answer=AnswerLaw(Quantiles(5, 10, 20, 50)) if name in ("ask", "judge") else None,
                factor=Quantiles(*times, 50),
                prompt=Quantiles(90, 100, 120, 50),
                samples=50,
            ),
        )
        for name, times in seconds.items()
    }
    return evolve(plan, expectations=Expectations(calls=calls))


def with_steps(plan: Plan, expected: StepExpectation) -> Plan:
    """A plan of which all steps of control flow are expected so."""
    keys: set[str] = set()

    def visit(region: Region) -> None:
        for node in region.nodes:
            keys.add(key_of(node))
            for inner in node.regions:
                visit(inner)

    for function in plan.functions.values():
        visit(function.body)
    return evolve(plan, expectations=Expectations(steps=dict.fromkeys(keys - {""}, expected)))


def key_of(node: Node) -> str:
    return step_key(node.op, node.line, node.column)


WHILE = (
    "flow main(a: str) -> str:\n    while judge(a) up to 8:\n        a = slow(a)\n    return a\n",
    "slow",
)
LISTS = ("flow main(a: str) -> list[str]:\n    return [slow(b) for b in listed(a)]\n", "slow")
VOTES = ("flow main(a: str) -> bool:\n    return vote(judge(a), max=7, lead=2)\n", "judge")


@pytest.mark.parametrize(("program", "count"), [(WHILE, 3), (LISTS, 4), (VOTES, 4), (WHILE, 0), (LISTS, 0)])
def test_counts_that_runs_have_shown_are_the_counts_of_a_simulated_run(
    program: tuple[str, str], count: int
) -> None:
    body, name = program
    plan = with_steps(
        planned(body), StepExpectation(Quantiles(count, count, count, 9), 0.5, 9, ((count, 9),))
    )
    found = forecast(plan, "main")
    assert sum(task.name.startswith(name) for task in found.graph.tasks) == count
    assert not found.graph.assumed
    assert set(found.learned.values()) == {9}


@pytest.mark.parametrize(("taken", "calls"), [(1.0, "slow"), (0.0, "quick")])
def test_a_branch_that_runs_have_always_taken_is_taken(taken: float, calls: str) -> None:
    body = "flow main(a: str) -> str:\n    return slow(a) if judge(a) else quick(a)\n"
    plan = with_steps(planned(body), StepExpectation(None, taken, 9))
    assert calls in {task.name.split()[0] for task in forecast(plan, "main").graph.tasks}


def test_a_try_that_runs_have_seen_fail_goes_the_other_way() -> None:
    plan = with_steps(
        planned("flow main(a: str) -> str:\n    return try slow(a) else quick(a)\n"),
        StepExpectation(None, 0.0, 9),
    )
    assert forecast(plan, "main").makespan == 4.0


def test_once_races_were_seen_the_arm_that_won_runs_alone_in_the_time_of_those_that_won() -> None:
    body = "flow main(a: str) -> str:\n    return race(slow(a), quick(a))\n"
    both = forecast(with_seconds(planned(body), {"slow": (7, 7, 7), "quick": (4, 4, 4)}), "main")
    assert set(both.seconds) == {4.0, 7.0}
    never = forecast(with_seconds(planned(body), {"slow": (7, 7, 7)}), "main")
    assert set(never.seconds) == {7.0}


@given(st.integers(2, 5), st.integers(0, 20), st.integers(0, 9), st.integers(0, 1000))
def test_ballots_end_a_vote_where_they_should_or_as_near_as_they_can(
    lead: int, wanted: int, more: int, seed: int
) -> None:
    most = lead + more
    found = dissenting(random.Random(seed), min(wanted, most), lead, most)
    counts = [*sorted((found.count(answer) for answer in set(found)), reverse=True), 0]
    assert len(found) == most or counts[0] - counts[1] >= lead
    if lead < wanted < most and (wanted - lead) % 2 == 0:
        assert len(found) == wanted


PROGRAMS = (
    "flow main(a: str) -> list[str]:\n    return [slow(quick(b)) for b in listed(a)]\n",
    "flow main(a: str) -> str:\n    b = slow(a)\n    c = quick(a)\n    return ask(b + c)\n",
    "flow main(a: str) -> str:\n    return race(slow(a), quick(a))\n",
    'flow main(a: str) -> bool:\n    for w in ["a", "b"]:\n        a = ask(a + w)\n'
    "    return vote(judge(a), max=5, lead=2) and sign(a)\n",
    "flow main(a: str) -> list[str]:\n    return [ask(b) for b in listed(a) if judge(b)]\n",
)
AMOUNTS = st.floats(0, 50)


@settings(max_examples=20)
@given(
    st.sampled_from(PROGRAMS),
    st.tuples(AMOUNTS, AMOUNTS, AMOUNTS),
    st.integers(0, 99),
    st.sampled_from((0, 2, 3)),
)
def test_a_run_takes_at_least_its_critical_path_and_workers_never_beat_the_bound(
    body: str, times: tuple[float, float, float], seed: int, level: int
) -> None:
    plan = with_seconds(
        planned(body, level), dict.fromkeys(("slow", "quick", "ask", "judge"), sorted3(times))
    )
    found = forecast(plan, "main", seed=seed, runs=3)
    bound = lower_bounds(found.graph, identical(max(1, len(found.graph.tasks))))
    assert found.makespan >= bound.critical_path * (1 - 1e-9)
    assert found.schedule.makespan == found.makespan == sorted(found.seconds)[len(found.seconds) // 2]
    for placed in found.schedule.placements:
        for parent in found.graph.tasks[placed.task].parents:
            ended = next(each.end for each in found.schedule.placements if each.task == parent)
            assert ended <= placed.start


def sorted3(times: tuple[float, float, float]) -> tuple[float, float, float]:
    low, middle, high = sorted(times)
    return low, middle, high


COUNTS = st.integers(0, 10**12)


@settings(max_examples=15)
@given(st.sampled_from(PROGRAMS), COUNTS, st.floats(0, 1), st.integers(0, 9))
def test_absurd_expectations_end_in_a_run_or_in_a_clear_refusal(
    body: str, count: int, taken: float, seed: int
) -> None:
    plan = with_steps(planned(body), StepExpectation(Quantiles(0, count, count, 5), taken, 5))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stage, "MOST_TASKS", 300)
        try:
            assert rehearse(plan, "main", None, seed).seconds >= 0
        except FlowError as error:
            code = error.problem.code
        else:
            code = "E0657"
        assert code == "E0657"


def test_what_is_learned_from_runs_foretells_other_runs(tmp_path: Path) -> None:
    """The figures are those of `python -m benchmarks simulated_executed`, with fewer runs."""
    body = TOOLS + 'flow main(a: str = "x") -> list[str]:\n    return [slow(ask(quick(a))), ask(slow(a))]\n'
    plain = compile_text(body, "main.flow").plan

    def took(seed: int, *, keep: bool = False) -> float:
        done = execute(plain, "main", environment=Environment(provider="simulated", seed=seed, keep=keep))
        if keep:
            assert isinstance(done.trace, Trace)
            write(tmp_path / "history.db", samples(done.trace, plain, places(body), virtual=True))
        return done.wall_ms / 1e3

    for seed in range(30):
        took(seed, keep=True)
    others = [took(1_000 + seed) for seed in range(60)]
    taught = compile_text(
        body, "main.flow", options=Options(history=History(tmp_path / "history.db", "simulated"))
    ).plan
    found = forecast(taught, "main", Setting(provider="simulated"))
    assert found.mean == pytest.approx(sum(others) / len(others), rel=0.1)
    assert found.learned
    low, high = found.quantile(0.1), found.quantile(0.9)
    assert 0.5 < sum(low <= each <= high for each in others) / len(others) < 0.98


def test_an_unknown_value_refuses_every_question_and_can_be_carried() -> None:
    value = Unknown()
    questions = (
        bool,
        len,
        str,
        iter,
        lambda x: x == 1,
        lambda x: x < 1,
        lambda x: 1 in x,
        lambda x: x[0],
        hash,
    )
    for question in questions:
        with pytest.raises(Exception):  # noqa: B017, PT011  # whichever: who asks does not know either
            question(value)  # type: ignore[operator]
    assert is_unknown({"a": [1, (2, value)]})
    assert not is_unknown({"a": [1, (2, "b")]})
    assert value.member("a") is value.member("a")
    assert len(value.settled(3)) == len(value) == 3
    rows = UnknownArray((2, 3), "f32")
    assert [row.shape for row in rows] == [(3,), (3,)]
