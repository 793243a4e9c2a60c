"""Comprehensions that begin with the first items of a list that a model is still writing."""

import asyncio
import contextlib
import json
from collections.abc import Sequence

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.passes.pipelines import O2, optimise
from flowc.runtime.providers.base import Request, Response, Usage
from tests.runtime.writing import Attempt, Writing, ran

HEADER = """
tool search(query: str) -> str reads web
tool page(name: str) -> str pure
tool note(text: str) -> none writes diary

@retry(2, backoff=100ms)
llm queries(topic: str) -> list[str]:
    \"\"\"Queries about {topic}\"\"\"

llm ask(text: str) -> str:
    \"\"\"{text}\"\"\"

"""
LINES = HEADER.count("\n")
SEARCHES = HEADER + "flow main() -> list[str]:\n    return [search(q) for q in queries('x')]\n".replace(
    "'", '"'
)


def attempt(
    items: Sequence[object],
    cuts: tuple[int, ...] = (),
    broken: int | None = None,
    tail: str = "",
    told: Sequence[object] | None = None,
) -> Attempt:
    """How an answer with these items comes, and which items it seems to have while it does."""

    def text(items: Sequence[object]) -> str:
        return json.dumps({"value": list(items)}) + tail

    return Attempt(text(items), cuts, broken, None if told is None else text(told))


@frozen
class Told:
    """What came of a run: its result or its problem, when, what was searched, and when that began."""

    result: object
    problem: str | None
    seconds: float
    searched: tuple[str, ...]
    begun: tuple[float, ...]
    noted: tuple[str, ...]


def told(text: str, attempts: Sequence[Attempt], level: int = 2, fails: str = "nothing") -> Told:
    searched: list[str] = []
    begun: list[float] = []
    noted: list[str] = []

    async def search(query: str) -> str:
        searched.append(query)
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1.0)
        if query == fails:
            raise ValueError("nothing found")
        return query.upper()

    async def note(text: str) -> None:
        noted.append(text)

    tools = {"search": search, "page": search, "note": note}
    done, seconds = ran(text, Writing(attempts, ["queries"]), tools, level)
    problem = done.problem.code if done.problem else None
    return Told(done.result, problem, seconds, tuple(searched), tuple(begun), tuple(noted))


SPOKEN = attempt(["a", "b", "c"], (16, 21))


def test_elements_begin_with_the_first_item_and_not_after_the_last() -> None:
    assert SPOKEN.heard() == ['{"value": ["a", ', '"b", ', '"c"]}']
    early, late = told(SEARCHES, [SPOKEN]), told(SEARCHES, [SPOKEN], level=1)
    assert early.result == late.result == ["A", "B", "C"]
    assert early.searched == late.searched == ("a", "b", "c")
    assert early.begun == pytest.approx((1.0, 2.0, 3.0))
    assert min(late.begun) == pytest.approx(3.0)


def test_what_was_begun_with_an_answer_that_failed_is_given_up() -> None:
    attempts = [attempt(["a", "b"], (16,), broken=1), attempt(["c", "d"], (16,))]
    early = told(SEARCHES, attempts)
    assert early.result == ["C", "D"]
    assert early.searched == ("a", "c", "d")


def test_items_of_another_answer_than_the_one_that_was_heard_do_not_count() -> None:
    early = told(SEARCHES, [attempt(["a", "b"], (16,), told=["x", "b"])])
    assert early.result == ["A", "B"]
    assert early.searched == ("x", "a", "b")


class Deaf(Writing):
    """A provider whose first attempt does not hear that it is over, and tells of an answer at `until`."""

    until: float = 0.0

    async def generate(self, request: Request) -> Response:
        """The attempt that nobody waits for any more; the next is answered in one part."""
        if request.attempt > 1:
            await asyncio.sleep(1.0)
            return Response(self.attempts[0].text, Usage(1, 1))
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < self.until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(self.until - now)
        assert request.stream is not None
        for part in ('{"value": ["late"', ', "b"]}'):
            request.stream(part)
        return Response('{"value": []}', Usage(1, 1))


@pytest.mark.parametrize("until", [4.0, 9.0])
def test_what_is_told_of_an_attempt_that_is_over_begins_nothing(until: float) -> None:
    """Neither beside the next attempt, nor when the frame of the call is no more."""
    header = HEADER.replace("@retry(2,", "@timeout(2s)\n@retry(2,")
    body = """flow found(topic: str) -> list[str]:
    return [search(q) for q in queries(topic)]

flow main() -> str:
    all = [found(topic) for topic in ["x"]]
    return page(all[0][0])
"""
    searched: list[str] = []

    async def search(query: str) -> str:
        searched.append(query)
        return query.upper()

    async def page(name: str) -> str:
        await asyncio.sleep(10.0)
        return name

    provider = Deaf([attempt(["a", "b"])], ["queries"])
    provider.until = until
    done, _ = ran(header + body, provider, {"search": search, "page": page, "note": page})
    assert (done.result, searched) == ("A", ["a", "b"])


def test_what_writes_begins_with_the_whole_answer_where_something_beside_it_begins_early() -> None:
    body = """flow main() -> list[str]:
    qs = queries("x")
    first = [search(q) for q in qs]
    second = [note(q) for q in qs]
    return first
"""
    early = told(HEADER + body, [attempt(["a", "b"], (16,), broken=1), attempt(["c"])])
    assert (early.result, early.searched, early.noted) == (["C"], ("a", "c"), ("c",))


def test_an_element_that_fails_early_fails_when_its_turn_has_come() -> None:
    early = told(SEARCHES, [SPOKEN], fails="a")
    late = told(SEARCHES, [SPOKEN], level=0, fails="a")
    assert early.problem == late.problem is not None
    again = told(SEARCHES, [attempt(["a", "b"], (16,), broken=1), attempt(["c"])], fails="a")
    assert again.result == ["C"]


ITEMS = st.lists(st.sampled_from(("a", "b", "c, ]", 'q"\\', "nothing")), max_size=5)
ATTEMPTS = st.lists(
    st.builds(
        attempt,
        ITEMS | st.lists(st.integers(0, 3), min_size=1, max_size=2),
        st.lists(st.integers(0, 80), max_size=6).map(tuple),
        st.sampled_from((None, None, None, 1, 3)),
        st.sampled_from(("", "", "", " and more")),
        st.none() | ITEMS,
    ),
    min_size=1,
    max_size=3,
)
PROGRAMS = (
    SEARCHES,
    HEADER + 'flow main() -> list[str]:\n    return [ask(page(q)) for q in queries("x") if len(q) < 4]\n',
    HEADER + 'flow main() -> list[str]:\n    return [ask(q) for q in queries("x")]\n',
    HEADER + 'flow main() -> list[str]:\n    qs = queries("x")\n    a = [search(q) for q in qs]\n'
    "    b = [page(q) for q in qs]\n    return a + b + qs\n",
    HEADER + 'flow main() -> list[str]:\n    qs = queries("x")\n    a = [search(q) for q in qs]\n'
    "    b = [note(q) for q in qs]\n    return a\n",
    HEADER + 'flow main() -> list[str]:\n    out: list[str] = []\n    for q in queries("x"):\n'
    '        out = out + [try search(q) else "none"]\n        note(q)\n    return out\n',
    HEADER + 'flow main() -> list[str]:\n    return try [search(q) for q in queries("x")] else ["failed"]\n',
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PROGRAMS), ATTEMPTS)
def test_however_an_answer_comes_the_result_is_that_without_streaming(
    text: str, attempts: list[Attempt]
) -> None:
    wanted, found = told(text, attempts, 0), told(text, attempts, 2)
    assert (found.result, found.problem) == (wanted.result, wanted.problem)
    assert found.seconds <= wanted.seconds + 1e-9


def remarks(body: str) -> str:
    module = driver.lowered(driver.check_text(HEADER + body, "main.flow"), driver.Options())
    return "\n".join(each.message for each in optimise(module, O2).remarks if each.pass_name == "stream")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[search(q) for q in qs]", "each element begins as soon as `queries` has written it"),
        ("[note(q) for q in qs]", f"its whole list: `note` on line {LINES + 3} writes diary"),
        ("[search(q + qs[0]) for q in qs]", "they read all of it"),
    ],
)
def test_a_remark_says_whether_elements_begin_early_and_if_not_why(body: str, said: str) -> None:
    text = f'flow main() -> int:\n    qs = queries("x")\n    return len({body})\n'
    assert said in remarks(text)


def test_nothing_begins_early_under_a_budget() -> None:
    body = SEARCHES.removeprefix(HEADER)
    assert "must not take from the budget" in remarks("@budget(calls=9)\n" + body)
    attempts = [attempt(["a", "b"], (16,), broken=1), attempt(["c"], (16,))]
    within = told(HEADER + "@budget(calls=9)\n" + body, attempts)
    assert (within.result, within.searched) == (["C"], ("c",))
