"""batch-calls at run time: the same answers, order, limits and failures as the map has."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.passes.pipelines import PIPELINES
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import load
from flowc.runtime.plan import Plan
from flowc.runtime.plan_json import dumps, loads
from flowc.runtime.providers.base import ModelSettings, Request
from flowc.runtime.result import RunResult
from flowc.runtime.trace.summary import steps
from tests.runtime.worlds import Scripted, virtually

PROGRAM = '''
record Item:
    text: str
    level: int

record Verdict:
    fine: bool
    score: int

@model("m")
llm judge(text: str) -> Verdict:
    """Judge {text}"""

@model("m")
llm improve(text: str) -> str:
    """Improve {text}"""

flow main(items: list[Item]) -> list[str]:
    verdicts = [judge(i.text) for i in items if i.level > 0]
    good = [improve(i.text) for i in items if judge(i.text).fine]
    chained = [improve(improve(i.text)) for i in items]
    return [str(v.score) for v in verdicts] + good + chained
'''


def compiled(program: str, *without: str) -> driver.Compiled:
    names = [each.name for each in PIPELINES["O2"] if each.name not in without]
    return driver.compile_text(program, "main.flow", options=driver.Options(pipeline=",".join(names)))


def both(program: str) -> tuple[Plan, Plan]:
    """The plan with the pass, and without."""
    return compiled(program).plan, compiled(program, "batch-calls").plan


async def by_prompt(request: Request) -> str:
    """An answer that depends on what is asked, after a time that does too."""
    number = sum(map(ord, request.prompt))
    await asyncio.sleep(number % 7 / 10)
    if request.schema is None:
        return f"<{request.prompt[-12:]}>"
    return json.dumps({"value": {"fine": number % 2 == 0, "score": number % 10}})


def world(answer: Callable[[Request], Awaitable[str]] = by_prompt) -> tuple[Scripted, Environment]:
    provider = Scripted(answer)
    model = ModelSettings("m", "scripted", "m-1")
    return provider, Environment(config=Config(models={"m": model}), providers={"scripted": provider})


def ran(plan: Plan, items: Sequence[tuple[str, int]]) -> tuple[RunResult, Scripted]:
    provider, environment = world()
    given_ = [{"text": text, "level": level} for text, level in items]
    return virtually(plan, environment, items=given_), provider


BATCHED, MAPPED = both(PROGRAM)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.text("abc", max_size=4), st.integers(0, 2)), max_size=6))
def test_a_batch_asks_the_same_at_the_same_steps_and_gives_the_same(items: list[tuple[str, int]]) -> None:
    batch, asked = ran(BATCHED, items)
    each, asked_one_by_one = ran(MAPPED, items)
    assert batch.status == each.status == "ok"
    assert batch.result == each.result
    assert batch.wall_ms == each.wall_ms
    assert batch.calls == each.calls
    assert {(r.step, r.prompt, r.seed) for r in asked.requests} == {
        (r.step, r.prompt, r.seed) for r in asked_one_by_one.requests
    }


def test_the_trace_of_a_batch_shows_each_call_where_the_map_shows_it() -> None:
    items = [("a", 1), ("b", 0), ("c", 2)]
    batch, each = ran(BATCHED, items)[0], ran(MAPPED, items)[0]
    shown = [{(s.step, s.start_ms, s.duration_ms) for s in steps(run.trace)} for run in (batch, each)]
    assert shown[0] == shown[1]
    assert batch.critical_path_ms == each.critical_path_ms


def test_no_more_calls_are_under_way_than_the_width_allows() -> None:
    _, asked = ran(BATCHED, [("a", 1)] * 200)
    assert asked.most <= 3 * 64


def test_the_first_failure_ends_a_batch_and_breaks_off_the_other_calls() -> None:
    async def third_fails(request: Request) -> str:
        await asyncio.sleep(1 if "c" in request.prompt else 5)
        return "no JSON" if "c" in request.prompt else '{"value": {"fine": true, "score": 1}}'

    program = PROGRAM[: PROGRAM.index("flow main")] + (
        "flow main(texts: list[str]) -> int:\n    return sum([judge(t).score for t in texts])\n"
    )
    for plan in both(program):
        provider, environment = world(third_fails)
        result = virtually(plan, environment, texts=["a", "b", "c", "d"])
        assert result.status == "failed"
        assert result.problem is not None
        assert (result.problem.code, result.problem.line) == ("E0810", 19)
        assert result.wall_ms == 1000
        assert provider.in_flight == 0


def test_what_goes_wrong_around_a_call_is_told_with_its_line() -> None:
    program = """
llm ask(text: str) -> str:
    \"\"\"{text}\"\"\"

flow main(rows: list[list[str]]) -> list[str]:
    return [ask(
        row[1]) for row in rows]
"""
    problems = []
    for plan in both(program):
        _, environment = world()
        result = virtually(plan, environment, rows=[["a"]])
        assert result.problem is not None
        problems.append((result.problem.code, result.problem.line, result.problem.message))
    assert problems[0] == problems[1]
    assert problems[0][0] == "E0711"


@pytest.mark.parametrize("limit", ["calls=3", "tokens=20"])
def test_a_budget_around_a_batch_ends_it_as_it_ends_the_map(limit: str) -> None:
    program = f"""
@model("m", max_tokens=16)
llm ask(text: str) -> str:
    \"\"\"{{text}}\"\"\"

@budget({limit})
flow main(texts: list[str]) -> list[str]:
    return [ask(t) for t in texts]
"""
    for plan in both(program):
        provider, environment = world()
        result = virtually(plan, environment, texts=["one", "two", "three", "four", "five"])
        assert result.status == "over-budget"
        assert len(provider.requests) <= 4


def test_calls_of_a_batch_are_tried_again_by_themselves() -> None:
    program = """
@retry(2, backoff=1s)
llm ask(text: str) -> int:
    \"\"\"{text}\"\"\"

flow main(texts: list[str]) -> list[int]:
    return [ask(t) for t in texts]
"""

    async def second_time(request: Request) -> str:
        return '{"value": 7}' if request.attempt == 2 or request.prompt == "a" else "nothing"

    provider, environment = world(second_time)
    environment = Environment(provider="scripted", providers={"scripted": provider})
    result = virtually(compiled(program).plan, environment, texts=["a", "b", "c"])
    assert result.result == [7, 7, 7]
    assert sorted((r.prompt, r.attempt) for r in provider.requests) == [
        ("a", 1),
        ("b", 1),
        ("b", 2),
        ("c", 1),
        ("c", 2),
    ]


def test_a_batch_is_cancelled_with_what_is_around_it() -> None:
    program = """
@model("m")
llm ask(text: str) -> str:
    \"\"\"{text}\"\"\"

flow main(texts: list[str]) -> list[str]:
    try:
        with timeout(2s):
            found = [ask(t) for t in texts]
    else:
        found = ["too late"]
    return found
"""

    async def slow(request: Request) -> str:
        await asyncio.sleep(60)
        return "late"

    for plan in both(program):
        provider, environment = world(slow)
        result = virtually(plan, environment, texts=["a", "b"])
        assert (result.result, result.wall_ms, provider.in_flight) == (["too late"], 2000, 0)


def test_lists_of_different_lengths_fail_as_in_a_map() -> None:
    program = """
@model("m")
llm ask(text: str, more: str) -> str:
    \"\"\"{text} {more}\"\"\"

flow main(texts: list[str]) -> list[str]:
    return [ask(a, b) for a, b in zip(texts, texts + texts)]
"""
    for plan in both(program):
        _, environment = world()
        result = virtually(plan, environment, texts=["a", "b"])
        assert result.status == "ok"
        assert len(result.result) == 2


def test_a_batch_travels_through_an_artifact() -> None:
    assert loads(dumps(BATCHED)) == BATCHED


EMBEDS = """
record Item:
    text: str

flow main(items: list[Item], a: str) -> list[f32]:
    others = [sum(embed([i.text])[0]) for i in items]
    found: list[f32] = []
    for i in items:
        found = found + [sum(embed([i.text + a, a])[1] * embed(["x"])[0])]
    return others + found + [sum(embed([a])[0]), sum(embed(["b", a])[1])]
"""


@settings(max_examples=10, deadline=None)
@given(st.lists(st.text("abc", max_size=4), max_size=5), st.text("ab", max_size=3))
def test_texts_embedded_together_have_the_rows_that_they_have_alone(texts: list[str], a: str) -> None:
    results = []
    for made in EMBEDDING:
        kernels = made.kernels
        assert kernels is not None
        provider, _ = world()
        environment = Environment(
            provider="scripted",
            providers={"scripted": provider},
            kernels=load(kernels.object_code, kernels.signatures),
        )
        result = virtually(made.plan, environment, items=[{"text": text} for text in texts], a=a)
        assert result.status == "ok", result.problem
        results.append(([float(x) for x in result.result], result.calls))
    assert results[0][0] == results[1][0]
    assert results[0][1] <= min(4, results[1][1])


EMBEDDING = (compiled(EMBEDS), compiled(EMBEDS, "batch-calls"))


def test_texts_are_embedded_in_parts_where_a_budget_could_not_hold_them_all() -> None:
    program = """
@budget(tokens=100)
flow main(texts: list[str]) -> int:
    return len([embed([t])[0] for t in texts])
"""
    for without in ((), ("batch-calls",)):
        made = compiled(program, *without)
        assert made.kernels is not None
        kernels = load(made.kernels.object_code, made.kernels.signatures)
        environment = Environment(provider="offline", kernels=kernels)
        result = virtually(made.plan, environment, texts=["x" * 40] * 5)
        assert (result.status, result.result) == ("ok", 5), result.problem


def test_every_level_gives_the_same_with_batches_and_branches_inside() -> None:
    items = [{"text": text, "level": level} for text, level in [("a", 1), ("b", 0), ("cc", 2)]]
    results = []
    for level in (0, 2, 3):
        _, environment = world()
        results.append(
            virtually(driver.compile_text(PROGRAM, "main.flow", level=level).plan, environment, items=items)
        )
    assert [result.status for result in results] == ["ok"] * 3
    assert results[0].result == results[1].result == results[2].result


def test_what_packs_values_between_calls_does_not_number_the_steps() -> None:
    program = """
@model("m")
llm ask(text: str) -> str:
    \"\"\"{text}\"\"\"

flow main(texts: list[str]) -> list[str]:
    PACKING
    return [ask(t) for t in texts] + [ask(t + "!") for t in texts if len(t) > 0]
"""
    asked = []
    for packing in ("a = 1", "texts = sorted(texts) + [join('', texts)] if len(texts) > 5 else texts"):
        for level in (0, 2):
            provider, environment = world()
            made = driver.compile_text(program.replace("PACKING", packing), "main.flow", level=level)
            assert virtually(made.plan, environment, texts=["a", "b"]).status == "ok"
            asked.append({(request.step, request.prompt) for request in provider.requests})
    assert asked[0] == asked[1] == asked[2] == asked[3]


@pytest.mark.parametrize(
    ("name", "becomes"),
    [("generate", "field"), ("generate", "embed"), ("if", "attempt"), ("field", "tool"), ("field", "map")],
)
def test_a_plan_whose_batch_holds_what_it_must_not_is_refused(name: str, becomes: str) -> None:
    written = json.loads(dumps(BATCHED))
    changed = 0

    def change(region: dict[str, Any], inside: bool) -> None:
        nonlocal changed
        for node in region["nodes"]:
            if inside and node["op"] == name:
                node["op"] = becomes
                changed += 1
            for inner in node.get("regions", []):
                change(inner, inside or node["op"] == "generate_batch")

    for function in written["functions"].values():
        change(function["body"], False)
    assert changed
    with pytest.raises(FlowError) as raised:
        loads(json.dumps(written))
    assert raised.value.problem.code == "E0644"
