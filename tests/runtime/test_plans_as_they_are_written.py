"""Plans whose steps begin while a model still writes the rest of them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.passes.pipelines import O2, optimise
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from tests.runtime.writing import Attempt, Told, Writing, ran

HEADER = """
tool search(query: json) -> str reads web
tool page(name: json, depth: int = 1) -> str pure
tool look(name: json) -> str reads diary
tool note(text: json) -> str writes diary
tool mark(text: str) -> str writes diary

@retry(2, backoff=100ms)
llm arrange(goal: str) -> plan[search, page, look, note]:
    \"\"\"How to {goal}?\"\"\"

llm gather(goal: str) -> plan[search, page]:
    \"\"\"What of {goal}?\"\"\"

"""
ARRANGED = HEADER + 'flow main() -> list[json]:\n    return execute(arrange("x"))\n'


def step(id_: str, tool: str, first: object, **more: object) -> dict[str, Any]:
    name = {"search": "query", "note": "text"}.get(tool, "name")
    return {"id": id_, "tool": tool, "arguments": {name: first, **more}}


def attempt(
    steps: Sequence[object],
    cuts: tuple[int, ...] = (),
    broken: int | None = None,
    tail: str = "",
    told: Sequence[object] | None = None,
    wrapped: bool = True,
) -> Attempt:
    """How an answer of these steps comes, and of which steps it seems to be made while it does."""

    def text(steps: Sequence[object]) -> str:
        plan: object = {"steps": list(steps)}
        return json.dumps({"value": plan} if wrapped else plan) + tail

    return Attempt(text(steps), cuts, broken, None if told is None else text(told))


def told(text: str, attempts: Sequence[Attempt], level: int = 2, fails: str = "nothing") -> Told:
    done = Told()

    async def call(said: str) -> str:
        done.begun.append((said, asyncio.get_running_loop().time()))
        await asyncio.sleep(3.0)
        if fails in said:
            raise ValueError("nothing found")
        done.ended.append(said)
        return f"<{said}>"

    async def search(query: object) -> str:
        return await call(f"search {json.dumps(query)}")

    async def page(name: object, depth: int) -> str:
        return await call(f"page {json.dumps(name)} {depth}")

    async def look(name: object) -> str:
        return await call(f"look {json.dumps(name)} at {len(done.noted)}")

    async def note(text: object) -> str:
        done.noted.append(json.dumps(text))
        return await call(f"note {json.dumps(text)}")

    tools = {"search": search, "page": page, "look": look, "note": note, "mark": note}
    done.end(*ran(text, Writing(attempts), tools, level))
    return done


FIRST, SECOND = step("a", "search", "one"), step("b", "page", "$a")
LAST = step("c", "note", ["$b"])


def after(*steps: object) -> int:
    """The place in the answer behind these steps and a comma."""
    return len('{"value": {"steps": [' + ", ".join(map(json.dumps, steps)) + ",")


SPOKEN = attempt([FIRST, SECOND, LAST], (after(FIRST), after(FIRST, SECOND)))


def test_steps_begin_as_they_are_written_and_what_writes_waits_for_the_whole_plan() -> None:
    early, late = told(ARRANGED, [SPOKEN]), told(ARRANGED, [SPOKEN], level=1)
    assert early.result == late.result == ['<search "one">', '<page "<search \\"one\\">" 1>', late.result[2]]
    assert (early.at('search "one"'), late.at('search "one"')) == ([1.0], [3.0])
    assert (early.seconds, late.seconds) == pytest.approx((10.0, 12.0))
    notes = [step("a", "note", "one"), step("b", "look", "two"), FIRST | {"id": "c"}]
    waiting = told(ARRANGED, [attempt(notes, (after(*notes[:1]), after(*notes[:2])))])
    assert (waiting.at('note "one"'), waiting.at('look "two" at 1')) == ([3.0], [6.0])


def test_what_was_begun_with_an_answer_that_failed_is_cancelled() -> None:
    other = step("a", "search", "two")
    attempts = [attempt([FIRST, SECOND], (after(FIRST),), broken=1), attempt([other])]
    early = told(ARRANGED, attempts)
    assert early.result == ['<search "two">']
    assert early.at('search "one"') == [1.0]
    assert early.ended == ['search "two"']


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"id": "b"}, "E0840"),
        (step("b", "remove", "x"), "E0840"),
        (step("a", "page", "x"), "E0840"),
        (step("b", "page", "$z"), "E0841"),
        (step("b", "page", "$b"), "E0841"),
        (step("b", "page", "x", width=1), "E0842"),
        (step("b", "page", "x", depth="far"), "E0842"),
    ],
)
def test_an_unsound_plan_ends_as_if_nothing_had_begun(bad: object, code: str) -> None:
    unsound = attempt([FIRST, bad, LAST], (after(FIRST), after(FIRST, bad)))
    early, late = told(ARRANGED, [unsound]), told(ARRANGED, [unsound], level=0)
    assert early.problem == late.problem == code
    assert early.at('search "one"') == [1.0]
    assert early.ended == late.ended == []
    assert early.seconds <= late.seconds


def test_steps_of_the_plan_that_counts_are_kept_one_by_one_and_the_others_made_anew() -> None:
    changed = step("b", "page", "other")
    reading = step("d", "page", "$b", depth=2)
    heard = attempt(
        [FIRST, changed, reading], (after(FIRST, SECOND, reading),), told=[FIRST, SECOND, reading]
    )
    early = told(ARRANGED, [heard])
    assert early.result == told(ARRANGED, [heard], level=0).result
    assert len(early.at('search "one"')) == 1
    assert early.ended.count('page "other" 1') == 1
    moved = attempt([step("z", "page", "x"), FIRST], (after(FIRST),), told=[FIRST])
    again = told(ARRANGED, [moved])
    assert again.result == told(ARRANGED, [moved], level=0).result
    assert len(again.at('search "one"')) == 2


def test_a_step_that_is_given_up_leaves_what_it_waits_for_alone() -> None:
    heard = attempt([FIRST, step("b", "page", "other")], (after(FIRST, SECOND),), told=[FIRST, SECOND])
    assert told(ARRANGED, [heard]).ended == ['search "one"', 'page "other" 1']


def test_a_step_begins_once_the_later_one_that_it_refers_to_has_begun() -> None:
    steps = [
        step("a", "page", ["$c", "$b"]),
        step("b", "page", "$c"),
        step("c", "search", "x"),
        LAST | {"id": "d"},
    ]
    early = told(ARRANGED, [attempt(steps, (after(*steps[:3]),))])
    assert early.at('search "x"') == [1.0]
    assert early.result == told(ARRANGED, [attempt(steps)], level=0).result
    assert early.seconds == pytest.approx(10.0)


def test_a_step_that_fails_early_fails_when_the_turn_of_the_plan_has_come() -> None:
    cuts = tuple(after(FIRST) + more for more in range(7))
    early = told(ARRANGED, [attempt([FIRST, SECOND], cuts)], fails="one")
    late = told(ARRANGED, [attempt([FIRST, SECOND], cuts)], level=0, fails="one")
    assert early.problem == late.problem == "E0801"
    assert early.seconds == pytest.approx(8.0)
    again = told(
        ARRANGED, [attempt([FIRST], (after(FIRST), 60, 61, 62, 63), broken=5), attempt([])], fails="one"
    )
    assert again.result == []


IDS = st.sampled_from(("a", "b", "c", "d"))
VALUES = (
    IDS.map("${}".format) | st.sampled_from(('q"\\,]', "x", 3)) | st.lists(IDS.map("${}".format), max_size=2)
)
WELL = st.builds(step, IDS, st.sampled_from(("search", "page", "page", "look", "note")), VALUES)
ODD = st.sampled_from(
    (step("e", "remove", 1), {"id": "f"}, 7, step("g", "page", 1, depth="far"), step("h", "page", 1, w=1))
)


@st.composite
def plans(draw: st.DrawFn) -> list[object]:
    """Plans of which most are sound: later steps refer to earlier ones, under ids of their own."""
    steps: list[object] = []
    for number in range(draw(st.integers(0, 5))):
        if draw(st.integers(0, 9)) == 0:
            steps.append(draw(WELL | ODD))
            continue
        near = st.sampled_from([f"${earlier}" for earlier in range(number)]) if number else st.just("x")
        tool = draw(st.sampled_from(("search", "page", "page", "look", "note")))
        steps.append(step(str(number), tool, draw(near | st.lists(near, max_size=2) | st.just("y"))))
    return steps


ATTEMPTS = st.lists(
    st.builds(
        attempt,
        plans(),
        st.lists(st.integers(0, 300), max_size=8).map(tuple),
        st.sampled_from((None, None, None, 1, 3)),
        st.sampled_from(("", "", "", "", " and more")),
        st.none() | st.none() | plans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)
PROGRAMS = (
    ARRANGED,
    HEADER + 'flow main() -> int:\n    return try len(execute(gather("x"))) else 0 - 1\n',
    HEADER + 'flow main() -> list[json]:\n    p = arrange("x")\n    a = execute(p)\n    b = execute(p)\n'
    "    return a + b\n",
    HEADER + 'flow main() -> list[json]:\n    mark("before")\n    a = execute(arrange("x"))\n'
    "    mark(str(len(a)))\n    return a\n",
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PROGRAMS), ATTEMPTS, st.booleans())
def test_however_a_plan_comes_the_result_is_that_without_streaming(
    text: str, attempts: list[Attempt], failing: bool
) -> None:
    fails = "y" if failing and "try" in text else "nothing"  # of several failures, the first in time counts
    wanted, found = told(text, attempts, 0, fails), told(text, attempts, 2, fails)
    assert (found.result, found.problem) == (wanted.result, wanted.problem)
    assert found.noted == wanted.noted
    assert found.seconds <= wanted.seconds + 1e-9


def remarks(body: str) -> str:
    module = driver.lowered(driver.check_text(HEADER + body, "main.flow"), driver.Options())
    return "\n".join(each.message for each in optimise(module, O2).remarks if each.pass_name == "stream")


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (
            'flow main() -> int:\n    return len(execute(arrange("x")))\n',
            "steps that call `search`, `page` begin as soon as `arrange` has written them; "
            "those of `look`, `note` wait for the whole plan",
        ),
        (
            'flow main() -> int:\n    return try len(execute(gather("x"))) else 0\n',
            "`gather` has written them",
        ),
        (
            'flow main() -> int:\n    return try len(execute(arrange("x"))) else 0\n',
            "a failure is caught around",
        ),
        (
            'llm keep() -> plan[look, note]:\n    """Keep."""\n\n'
            "flow main() -> int:\n    return len(execute(keep()))\n",
            "`look`, `note` may write, or read what the plan may write; a `pure` tool need not wait",
        ),
        ('@budget(calls=9)\nflow main() -> int:\n    return len(execute(arrange("x")))\n', "from the budget"),
    ],
)
def test_a_remark_says_which_steps_begin_early_and_if_none_why(flow: str, said: str) -> None:
    assert said in remarks(flow)


def test_no_step_begins_early_under_a_budget() -> None:
    body = ARRANGED.removeprefix(HEADER)
    within = told(HEADER + "@budget(calls=9)\n" + body, [SPOKEN])
    assert within.at('search "one"') == [3.0]


@pytest.mark.parametrize("level", [0, 2])
def test_a_simulated_model_writes_plans_that_run(level: int) -> None:
    plan = driver.compile_text(ARRANGED, "main.flow", level=level).plan
    for seed in range(20):
        result = run(plan, environment=Environment(provider="simulated", seed=seed))
        assert result.status == "ok", result.problem


def test_a_step_that_ignores_its_cancellation_holds_nothing_up() -> None:
    async def stubborn(query: object) -> str:
        try:
            await asyncio.sleep(3.0)
        except asyncio.CancelledError:
            await asyncio.sleep(1.0)
        return f"<{query}>"

    attempts = [attempt([FIRST], (after(FIRST),), broken=1), attempt([step("a", "search", "two")])]
    tools = dict.fromkeys(("search", "page", "look", "note", "mark"), stubborn)
    done, _ = ran(ARRANGED, Writing(attempts), tools)
    assert done.result == ["<two>"]
