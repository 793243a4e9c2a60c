"""Prompts that begin alike: one call goes ahead where the provider caches, and nobody waits for nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from flowc.compiler import driver
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import Problem
from flowc.runtime.execute import load, run_plan
from flowc.runtime.providers.base import ModelSettings, ProviderError, Request
from flowc.runtime.providers.openai import prefix_key
from tests.runtime.worlds import Scripted, in_virtual_time, virtually

PROGRAM = """
@model("m")
llm judge(rules: str, text: str) -> str:
    \"\"\"Rules: {rules}

    Text: {text}\"\"\"

flow main(rules: str, texts: list[str]) -> list[str]:
    return [try judge(rules, t) else "failed" for t in texts]
"""
RULES = "keep to the rules " * 300


def environment(answer: Callable[[Request], Awaitable[str]], **settings: Any) -> tuple[Scripted, Environment]:
    provider = Scripted(answer)
    model = ModelSettings("m", "scripted", "m-1", **{"prefix_cache": True, **settings})
    return provider, Environment(config=Config(models={"m": model}), providers={"scripted": provider})


class Clocked:
    """Notes when each call begins; the answer's first part comes after 2 s, the rest after 5 s."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    async def __call__(self, request: Request) -> str:
        self.began[request.prompt[-1]] = asyncio.get_running_loop().time()
        await asyncio.sleep(2)
        if request.stream is not None:
            request.stream("done")
        await asyncio.sleep(3)
        return "done"


def began(plan_of: str = PROGRAM, rules: str = RULES, **settings: Any) -> tuple[dict[str, float], float]:
    world = Clocked()
    _, around = environment(world, **settings)
    result = virtually(
        driver.compile_text(plan_of, "main.flow").plan, around, rules=rules, texts=["a", "b", "c"]
    )
    assert result.result == ["done"] * 3, result.problem
    return world.began, result.wall_ms


def test_the_first_call_goes_ahead_until_its_answer_begins_and_the_others_follow_together() -> None:
    assert began() == ({"a": 0, "b": 2, "c": 2}, 7000)


def test_where_nothing_is_cached_or_the_common_part_is_short_all_calls_start_at_once() -> None:
    at_once = ({"a": 0, "b": 0, "c": 0}, 5000)
    assert began(prefix_cache=False) == at_once
    assert began(rules="be brief") == at_once
    assert began(rules="be brief", min_prefix_tokens=3) == ({"a": 0, "b": 2, "c": 2}, 7000)


def test_a_request_says_how_many_characters_other_calls_share() -> None:
    async def answer(request: Request) -> str:
        return "done"

    provider, around = environment(answer, prefix_cache=False)
    virtually(driver.compile_text(PROGRAM, "main.flow").plan, around, rules="short", texts=["a", "b"])
    shared = {request.prompt[: request.prefix] for request in provider.requests}
    assert shared == {"Rules: short\n\nText: "}
    assert len({prefix_key(request) for request in provider.requests}) == 1


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_leader_that_fails_or_hangs_holds_nobody_up_for_ever(how: str) -> None:
    async def answer(request: Request) -> str:
        if request.prompt.endswith("a"):
            await asyncio.sleep(1 if how == "fails" else 1000)
            raise ProviderError(Problem("E0821", "the endpoint failed"))
        return "done"

    _, around = environment(answer)
    result = virtually(
        driver.compile_text(PROGRAM, "main.flow").plan, around, rules=RULES, texts=["a", "b", "c"]
    )
    assert result.result == ["failed", "done", "done"]


def test_a_cancelled_leader_lets_the_others_go() -> None:
    program = PROGRAM[: PROGRAM.index("flow main")] + (
        "flow main(rules: str, texts: list[str]) -> list[str]:\n"
        "    try:\n"
        "        with timeout(1s):\n"
        "            lead = judge(rules, texts[0])\n"
        "    else:\n"
        '        lead = "cancelled"\n'
        "    return [lead] + [judge(rules, lead + t) for t in texts[1:]]\n"
    )
    world = Clocked()
    _, around = environment(world)
    result = virtually(
        driver.compile_text(program, "main.flow").plan, around, rules=RULES, texts=["a", "b", "c"]
    )
    assert result.result == ["cancelled", "done", "done"]
    assert world.began == {"a": 0, "b": 1, "c": 1}


def test_a_budget_that_the_followers_hold_does_not_keep_their_leader_waiting() -> None:
    limited = PROGRAM.replace("flow main", "@budget(tokens=12_000)\nflow main")
    times, wall = began(limited)
    assert sorted(times.values())[0] == 0
    assert wall <= 15000


def test_the_runs_of_one_loop_wait_for_one_leader() -> None:
    world = Clocked()
    _, around = environment(world)
    made = driver.compile_text(PROGRAM, "main.flow").plan

    async def many() -> list[Any]:
        loaded = load(made, around)
        arguments = [{"rules": RULES, "texts": [text]} for text in "abcd"]
        return list(await asyncio.gather(*(run_plan(loaded, "main", each) for each in arguments)))

    assert all(result.status == "ok" for result in in_virtual_time(many))
    assert sorted(world.began.values()) == [0, 2, 2, 2]


def test_runs_that_differ_share_the_text_before_the_first_hole() -> None:
    program = PROGRAM.replace("Rules: {rules}", RULES + "{rules}")
    world = Clocked()
    _, around = environment(world)
    made = driver.compile_text(program, "main.flow").plan

    async def many() -> list[Any]:
        loaded = load(made, around)
        arguments = [{"rules": RULES + texts, "texts": list(texts)} for texts in ("ab", "cd", "ef")]
        return list(await asyncio.gather(*(run_plan(loaded, "main", each) for each in arguments)))

    assert all(result.status == "ok" for result in in_virtual_time(many))
    first, *others = sorted(world.began.values())
    assert (first, others) == (0, [2, 2, 2, 4, 4])
