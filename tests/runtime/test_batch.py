"""Runs of a batch: each ends as it would alone, and what they share is done once."""

import asyncio
import os
import threading
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.batch import USUAL_WIDTH, WIDEST, in_order, run_each, run_many, usual_width
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import load
from flowc.runtime.limits import Price
from flowc.runtime.plan import Effect, Operation, Parameter
from flowc.runtime.plan_check import check_plan
from flowc.runtime.result import RunResult
from flowc.runtime.types import INT
from tests.runtime.batches import HEADER, World, alone, compiled, programs, together
from tests.runtime.plans import Builder, llm, tool
from tests.runtime.plans import plan as plan_of
from tests.runtime.worlds import in_virtual_time

MORE = int(os.environ.get("FLOWC_EXAMPLES", "1"))
RUNS = 100


def ended(result: object) -> RunResult:
    assert isinstance(result, RunResult)
    return result


@settings(max_examples=15 * MORE, deadline=None)
@given(programs(), st.frozensets(st.integers(0, 6), max_size=3), st.integers(1, 40))
def test_each_line_of_a_batch_ends_as_it_does_alone(text: str, fail: frozenset[int], width: int) -> None:
    plan = compiled(text)
    lines = [{"n": n * n % 8} for n in range(RUNS)]
    singles = {n: alone(plan, World(fail).environment(), {"n": n}) for n in {line["n"] for line in lines}}
    world = World(fail)
    results = [ended(each) for each in together(plan, world.environment(), lines, width)]
    for line, result in zip(lines, results, strict=True):
        single = singles[line["n"]]
        assert (result.status, result.result) == (single.status, single.result), result.problem
        assert (result.problem is None) == (single.problem is None)
    for (name, about), times in world.made.items():
        if name in ("look", "work") or (name == "shaky" and about not in fail):
            assert times == 1, (name, about)
        if name == "recall" and not fail:  # a model's call is cancelled with its run
            assert times == 1
    if not fail:
        assert sum(world.made.values()) == sum(result.calls for result in results)


FAILING = (
    HEADER
    + """\
flow main(n: int) -> int:
    a = look(n % 3)
    b = again(n % 5)
    return a + b
"""
)


def test_a_failure_is_made_once_and_reaches_exactly_the_runs_that_depend_on_it() -> None:
    plan = compiled(FAILING)
    world = World(frozenset({2}))
    lines = [{"n": n} for n in range(RUNS)]
    results = [ended(each) for each in together(plan, world.environment(), lines)]
    single = alone(plan, World(frozenset({2})).environment(), {"n": 2})
    for line, result in zip(lines, results, strict=True):
        assert (result.status == "failed") == (line["n"] % 5 == 2)
        if result.problem is not None:
            assert single.problem is not None
            assert evolve(result.problem, notes=()) == evolve(single.problem, notes=())
    assert world.made["again", 2] == 2  # one call, and the retry that the program asks for
    assert {world.made["again", i] for i in (0, 1, 3, 4)} == {1}
    assert {world.made["look", i] for i in range(3)} == {1}


def test_a_tool_that_wants_to_end_the_program_fails_the_runs_that_ask_it() -> None:
    def leave(i: int) -> int:
        if i == 1:
            raise SystemExit(3)
        return i

    text = "tool look(i: int) -> int reads db\n\nflow main(n: int) -> int:\n    return look(n % 2)\n"
    environment = evolve(World().environment(), tools={"look": leave})
    results = together(compiled(text), environment, [{"n": n} for n in range(60)])
    assert [ended(each).status for each in results] == ["ok", "failed"] * 30
    problem = ended(results[1]).problem
    assert problem is not None
    assert (problem.code, problem.line) == ("E0801", 4)


def test_quick_plain_functions_are_called_without_threads_once_they_are_known_to_be_quick() -> None:
    threads = []

    def look(i: int) -> int:
        threads.append(threading.current_thread())
        return i

    text = "tool look(i: int) -> int reads db\n\nflow main(n: int) -> int:\n    return look(n)\n"
    environment = evolve(World().environment(), tools={"look": look})
    together(compiled(text), environment, [{"n": n} for n in range(400)], width=1)
    assert len(threads) == 400
    assert threads[0] is not threading.current_thread()
    assert threads.count(threading.current_thread()) > 0


def test_asking_again_after_a_failure_is_another_call_which_is_shared_in_turn() -> None:
    text = """\
tool flaky(i: int) -> int reads web

flow main(n: int) -> int:
    with retry(1):
        return flaky(n % 2)
"""
    world = World()
    results = together(compiled(text), world.environment(), [{"n": n} for n in range(10)])
    assert [ended(each).result for each in results] == [n % 2 for n in range(10)]
    assert world.made == {("flaky", 0): 2, ("flaky", 1): 2}


def test_the_run_that_makes_a_call_pays_for_it_and_the_others_say_so() -> None:
    plan = compiled(HEADER + "flow main(n: int) -> int:\n    return judge(n) + judge(7)\n")
    world = World()
    lines = [{"n": n % 2 + 1} for n in range(10)]
    results = [ended(each) for each in together(plan, world.environment(price=Price(1.0, 1.0)), lines)]
    assert sum(world.made.values()) == 3
    assert sum(result.calls for result in results) == 3
    assert sum(result.shared for result in results) == 17
    assert sum(result.tokens_out for result in results) == 9
    assert sum(result.cost_usd for result in results) == pytest.approx(9 + sum(r.tokens_in for r in results))
    assert results[0].to_json().get("shared") is None
    assert results[9].to_json()["shared"] == 2
    events = [event for event in results[9].trace.events() if event.kind == "shared"]  # type: ignore[attr-defined]
    assert [event.operation for event in events] == ["judge", "judge"]
    assert {event.attributes["run"] for event in events} <= {result.run for result in results}


def test_a_budget_counts_what_is_told_as_it_would_count_the_call() -> None:
    text = (
        HEADER
        + "@budget(3 calls)\nflow main(n: int) -> int:\n    return sum([judge(x + 1) for x in range(n)])\n"
    )
    plan = compiled(text.replace("@budget(3 calls)", "@budget(calls=3)"))
    lines = [{"n": 1}, {"n": 4}, {"n": 2}, {"n": 4}]
    results = [ended(each).status for each in together(plan, World().environment(), lines)]
    singles = [alone(plan, World().environment(), line).status for line in lines]
    assert results == singles
    assert "over-budget" in singles


def test_what_is_not_licensed_is_made_by_every_run() -> None:
    text = """\
tool look(i: int) -> int reads db
tool fetch(url: str) -> str reads web
tool send(text: str) -> none writes web

@model("m")
llm guess(i: int) -> int:
    \"\"\"Guess {i}\"\"\"

flow main(n: int) -> int:
    page = fetch("a")
    send("b")
    return look(1) + guess(2) + len(page)
"""
    world = World()
    together(compiled(text), world.environment(), [{"n": n} for n in range(5)])
    assert world.made["fetch", "a"] == 5  # the program writes what it reads
    assert world.made["send", "b"] == 5
    assert world.made["guess", "Guess 2"] == 5
    assert world.made["look", 1] == 1


def test_nothing_is_shared_where_the_compiler_did_not_say_so() -> None:
    world = World()
    together(compiled(FAILING, level=0), world.environment(), [{"n": 1}] * 5)
    assert world.made["look", 1] == 5


def test_an_idempotent_write_is_made_again_only_after_another_one() -> None:
    plan = compiled(HEADER + "flow main(n: int) -> int:\n    return put(n)\n")
    world = World()
    together(plan, world.environment(), [{"n": n} for n in (1, 1, 1, 2, 2, 1, 1)], width=1)
    assert world.made == {("put", 1): 2, ("put", 2): 1}


def test_ballots_of_a_vote_stay_apart_in_a_batch() -> None:
    plan = compiled(HEADER + "flow main(n: int) -> int:\n    return vote(judge(4), max=3, lead=3)\n")
    world = World()
    results = together(plan, world.environment(), [{"n": n} for n in range(5)])
    assert world.made["judge", "Judge 4"] == 3
    assert len({request.step for request in world.prompts}) == 3
    assert {ended(each).result for each in results} == {7}


@pytest.mark.parametrize(("call", "times", "wall"), [("fetch", 1, 1000), ("recall", 2, 800)])
def test_a_run_out_of_time_leaves_a_tool_going_and_hands_a_model_over(
    call: str, times: int, wall: float
) -> None:
    text = f"""\
tool look(i: int) -> int reads db
tool fetch(url: int) -> str reads web

@cached
@model("m")
llm recall(i: int) -> str:
    \"\"\"Recall {{i}}\"\"\"

flow main(wait: int) -> str:
    if wait == 0:
        with timeout(300ms):
            return {call}(1)
    return {call}(1 + 0 * look(0))
"""
    world = World()
    results = [
        ended(each) for each in together(compiled(text), world.environment(), [{"wait": n} for n in range(3)])
    ]
    assert [result.status for result in results] == ["failed", "ok", "ok"]
    assert results[0].problem is not None
    assert results[0].problem.code == "E0714"
    assert sum(world.made.values()) == times + 1
    assert results[1].wall_ms == pytest.approx(wall)


def test_a_tool_that_is_asked_once_more_goes_on_for_others_as_well() -> None:
    made: list[int] = []

    async def fetch(url: int) -> str:
        made.append(url)
        await asyncio.sleep(0.01 if url else 1)
        return "page"

    text = """\
tool fetch(url: int) -> str reads web

flow main(url: int, hurry: bool) -> str:
    if hurry:
        with timeout(300ms):
            return fetch(url)
    return fetch(url)
"""
    known = [{"url": n, "hurry": False} for n in range(1, 31)]
    lines = [*known, {"url": 0, "hurry": True}, {"url": 0, "hurry": False}]
    results = together(compiled(text, 3), Environment(tools={"fetch": fetch}), lines, 2)
    assert [ended(each).status for each in results[-2:]] == ["failed", "ok"]
    assert ended(results[-1]).wall_ms == pytest.approx(1000, rel=0.05)
    assert made.count(0) == 2


def test_embeddings_of_equal_texts_are_one_request() -> None:
    plan = compiled('flow main(n: int) -> f32[2, 2]:\n    return embed(["a", str(n % 2)])\n')
    world = World()
    environment = evolve(world.environment(), provider="counting")
    results = together(plan, environment, [{"n": n} for n in range(6)])
    assert [ended(each).status for each in results] == ["ok"] * 6
    assert [texts for name, texts in world.made if name == "embed"] == [("a", "0", "a", "1")]
    assert sum(count for (name, _), count in world.made.items() if name == "embed") == 1


@pytest.mark.parametrize("level", [0, 2])
def test_simulated_answers_of_a_steady_model_belong_to_the_question(level: int) -> None:
    from flowc.runtime.environment import Environment

    text = (
        HEADER
        + "flow main(n: int) -> int:\n    return judge(n) + 1000 * judge(n + 0) + 1000000 * recall(n)\n"
    )
    plan = compiled(text, level)
    lines = [{"n": n % 3} for n in range(9)]
    environment = Environment(provider="simulated", seed=5)
    results = [ended(each).result for each in together(plan, environment, lines, width=3)]
    assert results == [alone(compiled(text, 2 - level), environment, line).result for line in lines]
    assert len(set(results)) > 1


def test_a_batch_that_nobody_listens_to_any_more_is_cancelled() -> None:
    world = World()

    async def go() -> int:
        loaded = load(compiled(FAILING), world.environment())
        results = run_each(loaded, "main", [{"n": n} for n in range(50)], width=2)
        await anext(results)
        await results.aclose()
        before = sum(world.made.values())
        await asyncio.sleep(100)
        return sum(world.made.values()) - before

    assert in_virtual_time(go) == 0


def test_a_value_without_a_fingerprint_ends_the_batch_instead_of_holding_it_up() -> None:
    value: list[Any] = []
    value.append(value)

    async def go() -> None:
        await run_many(load(compiled(FAILING), World().environment()), "main", [{"n": value}])

    with pytest.raises(RecursionError):
        in_virtual_time(lambda: asyncio.wait_for(go(), 100))


def test_at_most_the_width_goes_on_at_once_and_what_does_not_fit_is_told_in_its_place() -> None:
    world = World()
    lines: list[dict[str, Any]] = [{"n": 0}, {"n": "x"}, {"n": 1}, {}]

    async def go() -> list[object]:
        return list(await run_many(load(compiled(FAILING), world.environment()), "main", lines, width=1))

    results = in_virtual_time(go)
    assert [isinstance(each, FlowError) for each in results] == [False, True, False, True]


@pytest.mark.parametrize(
    ("call", "order"), [("guess(n)", [1, 1, 1, 2, 2, 3]), ("guess(n) + put(n)", [1, 2, 1, 3, 2, 1])]
)
def test_equal_lines_begin_together_unless_the_flow_writes(call: str, order: list[int]) -> None:
    plan = compiled(f"{HEADER}flow main(n: int) -> int:\n    return {call}\n")
    world = World()
    lines = [{"n": n} for n in (1, 2, 1, 3, 2, 1)]
    results = together(plan, world.environment(), lines, width=1)
    assert [int(request.prompt.split()[1]) for request in world.prompts] == order
    singles = [alone(plan, World().environment(), line).result for line in lines]
    assert [ended(each).result for each in results] == singles


@pytest.mark.parametrize(
    ("node", "operation", "fits"),
    [
        ("tool", tool("f", effects=[Effect("reads", "db")]), True),
        ("tool", tool("f", effects=[Effect("writes", "db", idempotent=True)]), True),
        ("tool", tool("f", effects=[Effect("writes", "db")]), False),
        ("generate", evolve(llm("f"), temperature=0.0), True),
        ("generate", llm("f", cached=True), True),
        ("generate", llm("f"), False),
        ("human", evolve(llm("f"), kind="human"), False),
    ],
)
def test_a_plan_that_shares_what_may_differ_is_refused(node: str, operation: Operation, fits: bool) -> None:
    body = Builder()
    made = body.one(node, operation="f", segments=["?"], share="batch")
    written = plan_of(body.region(made), operations=[operation])
    if fits:
        check_plan(written)
        return
    with pytest.raises(FlowError) as refused:
        check_plan(written)
    assert "cannot share `f`" in refused.value.problem.why


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 8))
def test_of_the_next_different_lines_one_each_begins_before_their_equals(
    lines: list[int], width: int
) -> None:
    order = list(
        in_order(
            plan_of(Builder().region(), Parameter("n", INT)).functions["main"],
            [{"n": n} for n in lines],
            width,
        )
    )
    assert sorted(order) == list(range(len(lines)))
    begun = [lines[number] for number in order]
    different = list(dict.fromkeys(lines))
    assert list(dict.fromkeys(begun)) == different
    for start in range(0, len(different), width):
        near = different[start : start + width]
        first = begun.index(near[0])
        assert begun[first : first + len(near)] == near
        assert set(begun[first : first + sum(map(lines.count, near))]) == set(near)


def test_a_batch_of_a_flow_that_does_not_exist_is_refused_at_once() -> None:
    async def go() -> None:
        await run_many(load(compiled(FAILING), World().environment()), "other", [{"n": 1}])

    with pytest.raises(FlowError) as refused:
        in_virtual_time(go)
    assert refused.value.problem.code == "E0701"


def test_the_usual_width_keeps_the_places_of_a_model_filled() -> None:
    plan = compiled(HEADER + "flow main(n: int) -> int:\n    return judge(n)\n")
    for places, wanted in ((None, USUAL_WIDTH), (4, USUAL_WIDTH), (100, 200), (10_000, WIDEST)):
        environment = World().environment(max_in_flight=places)
        assert usual_width(load(plan, environment)) == wanted
