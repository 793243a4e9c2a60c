"""parallelise: what it says of what it did and did not do, and what a tree of calls is worth."""

import asyncio
from typing import Any

import pytest

from flowc.compiler import driver
from flowc.passes.pipelines import O2, optimise
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run_plan

HEADER = """tool look(key: str) -> str reads db
tool put(key: str) -> str writes db
tool note(key: str) -> none writes log
@associative
tool join(first: str, second: str) -> str pure
tool chain(first: str, second: str) -> str pure
@associative
flow joined(first: str, second: str) -> str:
    return join(first, second)
"""
LINES = HEADER.count("\n")


def remarks(body: str) -> dict[int, str]:
    """What the pass says, by the line of the body, counted from 1."""
    module = driver.lowered(driver.check_text(HEADER + body, "main.flow"), driver.Options())
    told = [each for each in optimise(module, O2).remarks if each.pass_name == "parallelise"]
    return {each.line - LINES: each.message for each in told}


CASES = {
    "this loop runs in order: `look` on line 3 reads db, which `put` on line 3 writes": """
flow main(xs: list[str]) -> none:
    for x in xs:
        put(look(x))
""",
    "each round asks about what the round before gave; `@associative` on `chain` would make a tree": """
flow main(xs: list[str]) -> str:
    all = ""
    for x in xs:
        all = chain(all, x)
    return all
""",
    "waits for the time that goes by in each round": """
flow main(xs: list[str]) -> list[str]:
    all = []
    for x in xs:
        all = all + [look(x)]
        sleep(1s)
    return all
""",
    "`look` is asked the same in every round: time goes by in each round": """
flow main(xs: list[str]) -> none:
    for x in xs:
        look("a")
        sleep(1s)
""",
    "`join` is associative: the calls of all rounds become a tree": """
flow main(xs: list[str]) -> str:
    all = ""
    for x in xs:
        all = join(all, x)
    return all
""",
    "`look` is the same in every round: asked once, before the first": """
flow main(xs: list[str]) -> list[str]:
    return [x + look("a") for x in xs]
""",
    "`put` waits for `look` on line 2: it writes db, which that reads": """
flow main(x: str) -> str:
    first = look(x)
    second = put("b")
    return first + second
""",
    "`look` is asked the same in every round: the loop writes db": """
flow main(xs: list[str]) -> none:
    for x in xs:
        put(x + look("a"))
""",
    "this comprehension runs in order: `note` on line": """
flow main(xs: list[str]) -> int:
    return len([note(x) for x in xs])
""",
}


@pytest.mark.parametrize("message", CASES)
def test_a_remark_says_which_call_on_which_line_keeps_or_loses_its_order(message: str) -> None:
    told = "\n".join(remarks(CASES[message].lstrip("\n")).values())
    words = message.replace("on line 3", f"on line {LINES + 3}").replace("on line 2", f"on line {LINES + 2}")
    assert words in told


def seconds(name: str, count: int, level: int) -> tuple[object, float, int]:
    """The result, the virtual seconds and the calls of a chain over `count` texts; a call takes a second."""
    body = f"""flow main(n: int) -> str:
    all = "<"
    for i in range(n):
        all = {name}(all, str(i))
    return all
"""
    calls = 0

    async def join(first: str, second: str) -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(1.0)
        return first + second

    compiled = driver.compile_text(HEADER + body, "main.flow", level=level)
    environment = Environment(tools={"join": join, "look": str, "put": str, "note": str, "chain": join})
    loop = VirtualLoop()
    try:
        done = loop.run_until_complete(run_plan(compiled.plan, "main", {"n": count}, environment=environment))
    finally:
        loop.close()
    return done.result, loop.time(), calls


@pytest.mark.parametrize("name", ["join", "joined"])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 20])
def test_a_tree_makes_the_calls_of_the_chain_and_takes_the_logarithm_of_its_time(
    name: str, count: int
) -> None:
    wanted = seconds(name, count, 0)
    found = seconds(name, count, 2)
    assert found[0] == wanted[0] == "<" + "".join(map(str, range(count)))
    assert found[2] == wanted[2] == count
    assert found[1] == pytest.approx(count.bit_length(), abs=0.01)


def test_the_order_of_operands_is_kept_where_the_carried_value_comes_second() -> None:
    body = """flow main(n: int) -> str:
    all = "<"
    for i in range(n):
        all = join(str(i), all)
    return all
"""
    environment = Environment(
        tools={"join": lambda a, b: a + b, "look": str, "put": str, "note": str, "chain": max}
    )
    loop = VirtualLoop()
    try:
        compiled = driver.compile_text(HEADER + body, "main.flow", level=2)
        done = loop.run_until_complete(run_plan(compiled.plan, "main", {"n": 5}, environment=environment))
    finally:
        loop.close()
    assert done.result == "43210<"


NESTED = """
flow main(xs: list[str]) -> list[str]:
    found: list[str] = []
    for x in xs:
        for y in split(look(x)):
            page = look(y)
            if page != "":
                found = append(found, page)
    return found
"""
BESIDE_A_WRITE = """
tool size(key: str) -> int reads files
flow main(xs: list[str]) -> list[int]:
    found: list[int] = []
    for x in xs:
        n = size(x)
        before = look(x)
        put(before + x)
        found = append(found, n + len(before))
    return found
"""


@pytest.mark.parametrize(
    ("body", "longest"), [(NESTED, {0: 4 + 8, 2: 2}), (BESIDE_A_WRITE, {0: 4 * 3, 2: 1 + 2 * 4})]
)
def test_each_call_of_a_round_that_needs_no_other_round_runs_ahead(
    body: str, longest: dict[int, float]
) -> None:
    async def slow(key: str) -> str:
        await asyncio.sleep(1.0)
        return key

    async def size(key: str) -> int:
        return len(await slow(key))

    tools: dict[str, Any] = {"look": slow, "put": slow, "note": slow, "join": str, "chain": str, "size": size}
    results = []
    for level, seconds in longest.items():
        plan = driver.compile_text(HEADER + body, "main.flow", level=level).plan
        loop = VirtualLoop()
        try:
            arguments = {"xs": ["a b", "c d", "e f", "g h"]}
            done = loop.run_until_complete(
                run_plan(plan, "main", arguments, environment=Environment(tools=tools))
            )
        finally:
            loop.close()
        results.append(done.result)
        assert loop.time() == pytest.approx(seconds)
    assert results[0] == results[1]


ASKS = '''llm ask(q: str) -> str:
    """What about {q}?"""
human person(q: str) -> str:
    """What about {q}?"""
'''
ASKED = {
    "of what runs ahead": """
flow main(xs: list[str]) -> list[str]:
    out: list[str] = []
    for x in xs:
        out = append(out, person(ask(x)))
    return out
""",
    "with the words of what runs ahead": """
flow main(xs: list[str]) -> list[str]:
    out: list[str] = []
    for x in xs:
        out = append(out, ask(x) + person(x))
    return out
""",
    "in a branch that is split": """
flow main(xs: list[str]) -> list[str]:
    out: list[str] = []
    for x in xs:
        if x != "b":
            out = append(out, ask(x) + person(x))
    return out
""",
}


@pytest.mark.parametrize("question", ASKED)
def test_a_question_to_a_person_stays_in_its_round_with_its_prompt(question: str) -> None:
    results = []
    for level in (0, 2):
        plan = driver.compile_text(ASKS + ASKED[question], "main.flow", level=level).plan
        environment = Environment(provider="offline", people=lambda asked: asked.prompt)
        loop = VirtualLoop()
        try:
            arguments = {"xs": ["a", "b", "c"]}
            done = loop.run_until_complete(run_plan(plan, "main", arguments, environment=environment))
        finally:
            loop.close()
        results.append(done.result)
    assert results[0] == results[1]
    assert str(results[0]).count("What about") >= 2
