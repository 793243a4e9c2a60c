"""Branches that start early: what they give, what they write, what they spend."""

import asyncio
import json
import os
import re
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.plan_check import check_plan
from flowc.runtime.providers.base import ModelSettings, Request
from flowc.runtime.result import RunResult
from tests.passes.flow_text import programs
from tests.passes.speculating import DECLARATIONS, Paid, SlowWorld, paying_programs
from tests.passes.test_meaning import module_at, outcome, writes_by_name
from tests.runtime.worlds import Scripted, virtually

MORE = int(os.environ.get("FLOWC_EXAMPLES", "1"))


@settings(max_examples=12 * MORE, deadline=None)
@given(programs(), st.integers(0, 4), st.integers(0, 3), st.sampled_from((None, None, 1, 2)))
def test_slow_calls_give_and_write_at_o3_what_the_sequential_reading_does(
    text: str, n: int, seed: int, most: int | None
) -> None:
    wanted = outcome(module_at(text, 0), n)
    walls = []
    for level in (2, 3):
        world = SlowWorld(seed=seed, most=most)
        compiled = driver.compile_text(text, "generated.flow", level=level)
        check_plan(compiled.plan)
        result = virtually(compiled.plan, world.environment(), n=n)
        assert (result.status == "ok") == (wanted.failure is None), result.problem
        walls.append(result.wall_ms)
        if wanted.failure is None:
            assert result.result == wanted.value
            assert world.writes() == writes_by_name(wanted.trace)
    if wanted.failure is None and most is None:
        assert walls[1] <= walls[0] + 1e-6


def paid(text: str, level: int, seed: int, longest: int) -> tuple[RunResult, Paid]:
    provider = Paid(seed, longest)
    return virtually(paying(text, level).plan, provider.environment(), q="what"), provider


@lru_cache(4)
def paying(text: str, level: int) -> driver.Compiled:
    """A program that is run several times."""
    return driver.compile_text(text, "paying.flow", level=level)


@settings(max_examples=60 * MORE, deadline=None)
@given(paying_programs(), st.integers(0, 30), st.sampled_from((20, 100, 300)))
def test_o3_never_exceeds_a_budget_nor_fails_for_one_where_o2_does_not(
    text: str, seed: int, longest: int
) -> None:
    before, _ = paid(text, 2, seed, longest)
    after, provider = paid(text, 3, seed, longest)
    if (limit := re.search(r"budget\(\$?(?:tokens=)?(\d+)", text)) is not None:
        assert provider.tokens <= int(limit[1])
    if before.status == "ok":
        assert (after.status, after.result) == ("ok", before.result), after.problem
        assert after.wall_ms <= before.wall_ms + 1e-6


GUARDED = (
    DECLARATIONS.format(check="", ask="", answer="")
    + """\
@budget(tokens=LIMIT)
flow main(q: str) -> str:
    found = ask(q)
    if check(found) == Verdict.yes:
        return answer(q)
    return found
"""
)
"""While `ask` and `check` are asked, `answer` may start, if the budget can spare it."""


@settings(max_examples=60 * MORE, deadline=None)
@given(st.integers(60, 400), st.integers(0, 30))
def test_what_the_budget_cannot_spare_waits_for_the_condition(limit: int, seed: int) -> None:
    text = GUARDED.replace("LIMIT", str(limit))
    before, _ = paid(text, 2, seed, 100)
    after, provider = paid(text, 3, seed, 100)
    assert provider.tokens <= limit
    if before.status == "ok":
        assert (after.status, after.result) == ("ok", before.result), after.problem


def test_a_call_starts_early_once_the_budget_can_spare_it() -> None:
    text = GUARDED.replace("LIMIT", "2000")
    walls = [sum(paid(text, level, seed, 100)[0].wall_ms for seed in range(20)) for level in (2, 3)]
    assert walls[1] < walls[0]


EMBEDDING = '''\
@latency(3s)
tool slow(q: str) -> bool reads world

@model("default", max_tokens=20)
llm answer(q: str) -> str:
    """Answer {q}"""

@budget(tokens=1510)
flow main(q: str, texts: list[str]) -> str:
    embed(texts)
    return answer(q) if slow(q) else "no"
'''
"""The texts do not fit into the budget together: a request each, the last with just enough left."""


@pytest.mark.parametrize("level", [2, 3])
def test_what_may_not_be_wanted_takes_nothing_from_texts_that_are_embedded_in_parts(level: int) -> None:
    plan = driver.compile_text(EMBEDDING, "embedding.flow", level=level).plan
    arguments = {"q": "hm", "texts": [letter * 1000 for letter in "abc"]}
    for seed in (1, 3):  # the simulated tool says no
        ended = run(plan, "main", arguments, environment=Environment(provider="simulated", seed=seed))
        assert (ended.status, ended.result) == ("ok", "no"), ended.problem


def asked_for_a_second(text: str, verdict: str, most: int | None = None) -> tuple[RunResult, list[str]]:
    """What a program gives whose calls each wait a second, and their operations in the order asked."""

    async def answer(request: Request) -> str:
        await asyncio.sleep(1)
        return json.dumps({"value": verdict}) if request.operation == "check" else "fine"

    plan = driver.compile_text(text, "checked.flow", level=3).plan
    check_plan(plan)
    provider = Scripted(answer)
    model = ModelSettings("default", "scripted", max_in_flight=most)
    environment = Environment(config=Config(models={"default": model}), providers={"scripted": provider})
    result = virtually(plan, environment, q="what")
    return result, [request.operation for request in provider.requests]


CHECKED = (
    DECLARATIONS.format(check="", ask="", answer="")
    + """\
flow main(q: str) -> str:
    if check(q) == Verdict.yes:
        return answer(q)
    return "no"
"""
)


def test_a_call_that_may_not_be_wanted_takes_only_a_place_that_is_free() -> None:
    for most, wanted in ((1, ["check"]), (2, ["check", "answer"])):
        result, asked = asked_for_a_second(CHECKED, "no", most)
        assert (result.result, result.wall_ms, asked) == ("no", 1_000, wanted)


NESTED = (
    DECLARATIONS.format(check="", ask="", answer="")
    + """\
flow main(q: str) -> str:
    if check(q) == Verdict.yes:
        if check(q + "!") == Verdict.yes:
            return answer(q)
        return ask(q)
    return "no"
"""
)


def test_a_branch_that_starts_early_takes_along_what_starts_early_in_it() -> None:
    result, _ = asked_for_a_second(NESTED, "yes")
    assert (result.result, result.wall_ms) == ("fine", 1_000)


def test_a_time_limit_does_not_begin_to_run_before_its_block_is_wanted() -> None:
    limited = CHECKED.replace(
        "        return answer(q)", "        with timeout(5s):\n            return answer(q)"
    )
    compiled = driver.compile_text(limited, "limited.flow", level=3)
    messages = [each.message for each in compiled.remarks if each.pass_name == "speculate"]
    assert any("its time limit would run while it waits" in message for message in messages)
    assert not any("starts before" in message for message in messages)
