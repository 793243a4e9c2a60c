"""What begins with a field of a record, or a sentence of a text, that a model is still writing."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.passes.pipelines import O2, optimise
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import run_plan
from flowc.runtime.plan_json import dumps, from_json
from flowc.runtime.result import RunResult
from flowc.runtime.trace.summary import steps
from tests.runtime.writing import Attempt, Told, Writing, ran

HEADER = """
tool search(query: str) -> str reads web
tool page(name: str) -> str pure
tool note(text: str) -> none writes diary

record Outline:
    title: str
    items: list[str]
    size: int
    body: str

@retry(2, backoff=100ms)
llm outline(topic: str) -> Outline:
    \"\"\"An outline of {topic}\"\"\"

@retry(2, backoff=100ms)
llm essay(topic: str) -> str:
    \"\"\"An essay about {topic}\"\"\"

llm ask(text: str) -> str:
    \"\"\"{text}\"\"\"

"""
LINES = HEADER.count("\n")

WRITERS = ("outline", "essay")


UNHEARD = ",".join(each.name for each in O2 if each.name != "stream")


def told(
    text: str,
    attempts: Sequence[Attempt],
    level: int = 2,
    fails: str = "nothing",
    options: driver.Options | None = None,
) -> Told:
    done = Told()

    async def search(query: str) -> str:
        done.begun.append((query, asyncio.get_running_loop().time()))
        await asyncio.sleep(1.5)
        if query == fails:
            raise ValueError("nothing found")
        done.ended.append(query)
        return query.upper()

    async def note(text: str) -> None:
        done.noted.append(text)

    tools = {"search": search, "page": search, "note": note}
    provider = Writing(attempts, WRITERS, "<{0.prompt} {0.step} {0.seed}>".format, done.begun)
    done.end(*ran(text, provider, tools, level, options))
    return done


def written(
    title: str = "sea",
    items: Sequence[str] = ("a", "b"),
    size: object = 3,
    body: str = "text",
    **more: object,
) -> dict[str, object]:
    return {"title": title, "items": list(items), "size": size, "body": body, **more}


def in_order(*names: str, answer: dict[str, object] | None = None) -> str:
    whole = written() if answer is None else answer
    return json.dumps({name: whole[name] for name in dict.fromkeys((*names, *whole))})


def cut_behind(text: str, *marks: str) -> Attempt:
    """An answer that comes in parts, each of which ends with one of these."""
    return Attempt(text, tuple(text.index(mark) + len(mark) for mark in marks))


TITLE = (
    HEADER
    + """flow main() -> str:
    r = outline("x")
    return search(r.title) + r.body
"""
)


@pytest.mark.parametrize("names", [("title",), ("size", "title", "items"), ("title", "body", "items")])
@pytest.mark.parametrize("wrap", ["{}", '{{"value": {}}}', "```json\n{}\n```"])
def test_a_call_begins_with_the_field_that_it_reads_and_not_with_the_last(
    names: tuple[str, ...], wrap: str
) -> None:
    text = wrap.format(in_order(*names))
    place = text.index('"title"') + text[text.index('"title"') :].index(",") + 1
    attempt = Attempt(text, (place, place, place, place))
    early, late = told(TITLE, [attempt]), told(TITLE, [attempt], 0)
    assert early.result == late.result == "SEAtext"
    assert early.at("sea") == pytest.approx([1.0])
    assert late.at("sea") == pytest.approx([5.0])
    assert (early.seconds, late.seconds) == pytest.approx((5.0, 6.5))


def test_what_follows_a_call_that_began_early_begins_early_as_well() -> None:
    body = """flow main() -> str:
    r = outline("x")
    found = search(r.title)
    return ask(found) + r.body
"""
    text = in_order("title")
    attempt = Attempt(text, (text.index(",") + 1, *[len(text)] * 4))
    early, late = told(HEADER + body, [attempt]), told(HEADER + body, [attempt], 0)
    assert early.result == late.result  # which says step and seed
    assert (early.at("sea"), early.at("SEA")) == (pytest.approx([1.0]), pytest.approx([2.5]))
    assert early.seconds == pytest.approx(6.0)


def test_elements_over_a_field_begin_with_its_items_and_wait_for_other_fields() -> None:
    body = """flow main() -> list[str]:
    r = outline("x")
    return [search(i) for i in r.items] + [search(r.title + i) for i in r.items]
"""
    attempt = cut_behind(in_order("items"), '"a",', '"b"]', '"sea",')
    early, late = told(HEADER + body, [attempt]), told(HEADER + body, [attempt], 0)
    assert early.result == late.result == ["A", "B", "SEAA", "SEAB"]
    assert [early.at(each) for each in ("a", "b", "seaa", "seab")] == [
        pytest.approx([1.0]),
        pytest.approx([2.0]),
        pytest.approx([3.0]),
        pytest.approx([3.0]),
    ]


def test_what_goes_over_what_elements_gave_begins_once_all_of_them_have() -> None:
    body = """flow main() -> list[str]:
    r = outline("x")
    found = [search(i) for i in r.items]
    return [page(each) for each in found] + [r.body]
"""
    text = in_order("items")
    place = text.index("]") + 2
    early = told(HEADER + body, [Attempt(text, (place, place, place, place))])
    assert early.result == ["A", "B", "text"]
    assert (early.at("a"), early.at("A")) == (pytest.approx([1.0]), pytest.approx([2.5]))
    assert early.seconds == pytest.approx(5.0)


def test_a_field_that_a_region_reads_is_there_for_what_begins_in_it() -> None:
    body = """flow main() -> str:
    r = outline("x")
    found = search(r.title) if len(r.title) > 2 else "short"
    both = [search(r.title + each) for each in ["1", "2"]]
    return found + both[1] + str(r.size)
"""
    attempt = cut_behind(in_order("title"), '"sea",')
    early = told(HEADER + body, [attempt])
    assert early.result == told(HEADER + body, [attempt], 0).result == "SEASEA23"
    assert early.at("sea") == early.at("sea2") == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("splitting", "text", "marks", "items"),
    [
        (
            "sentences()",
            "It rains. It pours! And so on",
            (". ", "! "),
            ("It rains.", "It pours!", "And so on"),
        ),
        ("sentences()", "One\nTwo? Three", ("\n", "? "), ("One", "Two?", "Three")),
        ("lines()", "one\ntwo\r\n\nthree", ("\n", "\r\n"), ("one", "two", "", "three")),
        ('split("--")', "a--b---c", ("a--", "b--"), ("a", "b", "-c")),
        ("split()", "a b  c", ("a ", "b "), ("a", "b", "c")),
    ],
)
def test_elements_begin_with_each_sentence_line_or_part_of_a_text(
    splitting: str, text: str, marks: tuple[str, ...], items: tuple[str, ...]
) -> None:
    program = HEADER + f'flow main() -> list[str]:\n    return [search(s) for s in essay("x").{splitting}]\n'
    attempt = cut_behind(text, *marks)
    early, late = told(program, [attempt]), told(program, [attempt], 0)
    assert early.result == late.result == [item.upper() for item in items]
    assert early.at(items[0]) == pytest.approx([1.0])
    assert early.at(items[1]) == pytest.approx([2.0])
    assert min(at for _, at in late.begun) == pytest.approx(3.0)


def test_what_was_begun_is_given_up_where_the_attempt_fails_or_the_answer_is_another() -> None:
    text = in_order("title")
    place = text.index(",") + 1
    again = Attempt(in_order(answer=written("land")))
    broken = told(TITLE, [Attempt(text, (place, place, place), broken=1), again])
    assert (broken.result, broken.ended) == ("LANDtext", ["land"])
    other = told(TITLE, [Attempt(in_order(answer=written("land")), (), told=text)])
    assert (other.result, other.at("land")) == ("LANDtext", pytest.approx([1.0]))
    unsound = told(TITLE, [Attempt(in_order("title", answer=written(size="many")), (place,)), again])
    assert (unsound.result, unsound.ended) == ("LANDtext", ["land"])


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    text = '{"title": "first", "items": ["a"], "size": 1, "items": ["b"], "title": "sea", "body": "text"}'
    body = '    r = outline("x")\n    return [search(r.title)] + [search(i) for i in r.items]\n'
    program = HEADER + "flow main() -> list[str]:\n" + body
    attempt = cut_behind(text, '"first",', '["a"],', '["b"],')
    early = told(program, [attempt])
    assert early.result == told(program, [attempt], 0).result == ["SEA", "B"]
    assert early.at("first") == pytest.approx([1.0])


def test_a_call_that_fails_early_fails_when_its_turn_has_come() -> None:
    attempt = cut_behind(in_order("title"), '"sea",', '"b"]', "3,")
    early, late = told(TITLE, [attempt], fails="sea"), told(TITLE, [attempt], 0, fails="sea")
    assert early.problem == late.problem == "E0801"
    assert early.seconds == pytest.approx(4.0)
    again = told(
        TITLE,
        [Attempt(attempt.text, attempt.cuts, broken=3), Attempt(in_order(answer=written("b")))],
        2,
        "sea",
    )
    assert again.result == "Btext"
    caught = (
        HEADER + 'flow main() -> str:\n    r = outline("x")\n    return try search(r.title) else r.body\n'
    )
    assert told(caught, [attempt], fails="sea").result == "text"


def test_what_runs_ahead_ends_with_the_run() -> None:
    body = '    with timeout(2s):\n        r = outline("x")\n        return search(r.title) + r.body\n'
    attempt = cut_behind(in_order("title"), '"sea",', '"b"]', "3,")
    early = told(HEADER + "flow main() -> str:\n" + body, [attempt])
    assert early.problem == "E0714"
    assert (early.at("sea"), early.ended) == (pytest.approx([1.0]), [])


def test_a_run_in_which_a_call_ran_ahead_is_told_as_any_other() -> None:
    async def search(query: str) -> str:
        await asyncio.sleep(1.5)
        return query

    attempt = cut_behind(in_order("title"), '"sea",')
    tools = dict.fromkeys(("search", "page", "note"), search)
    runs = [ran(TITLE, Writing([attempt], WRITERS), tools, level)[0] for level in (0, 2)]
    told_steps = [[(step.step, step.critical) for step in steps(run.trace)] for run in runs]
    assert (
        sorted(told_steps[0]) == sorted(told_steps[1]) == [("main/0:outline", True), ("main/1:search", True)]
    )


STRINGS = st.sampled_from(("a", "b. c", 'q"}', "d, ]\n", "nothing", "é\\", "\U0001f600", ""))
ANSWERS = st.builds(
    lambda members, order, wrap, tail: (
        wrap.format(json.dumps({name: members[name] for name in order if name in members})) + tail
    ),
    st.fixed_dictionaries(
        {
            "title": STRINGS,
            "items": st.lists(STRINGS, max_size=3),
            "size": st.integers(0, 5) | st.just("many"),
            "body": STRINGS,
        }
    ),
    st.permutations(["title", "items", "size", "body"]),
    st.sampled_from(("{}", "{}", '{{"value": {}}}', "```json\n{}\n```", '{{"title": "x", "value": {}}}')),
    st.sampled_from(("", "", "", " and more")),
)
ESSAYS = st.lists(st.sampled_from(("a. ", "b", "c!\n", "\r", "\n", " d? ", "--", ".")), max_size=9).map(
    "".join
)


def attempts(answers: st.SearchStrategy[str]) -> st.SearchStrategy[list[Attempt]]:
    cuts = st.lists(st.integers(0, 80), max_size=6).map(tuple)
    broken = st.sampled_from((None, None, None, 1, 3))
    return st.lists(st.builds(Attempt, answers, cuts, broken, st.none() | answers), min_size=1, max_size=3)


RECORDS = tuple(
    HEADER + 'flow main() -> list[str]:\n    r = outline("x")\n' + body
    for body in (
        "    return [search(r.title), r.body]\n",
        "    return [ask(ask(r.title) + r.body)] + r.items\n",
        "    return [ask(search(i)) for i in r.items if len(i) < 4]\n",
        "    return [ask(i + r.title) for i in r.items] + [page(r.body)]\n",
        "    a = [search(i) for i in r.items]\n    b = [page(i) for i in a]\n"
        "    note(r.title)\n    return a + b\n",
        "    note(search(r.title))\n    a = search(r.body)\n    note(a)\n    return [a, str(r.size)]\n",
        '    return [try search(r.title) else "none", ask(search(r.body)) if r.size > 2 else r.title]\n',
        "    out: list[str] = []\n    for i in r.items:\n"
        "        out = out + [search(i)]\n        note(i)\n    return out\n",
        "    a = ask(page(r.title))\n    return [a if a == r.body else search(a + r.body)]\n",
    )
)
TEXTS = tuple(
    HEADER + 'flow main() -> list[str]:\n    t = essay("x")\n' + body
    for body in (
        "    return [ask(search(s)) for s in t.sentences()]\n",
        "    return [search(s) for s in t.lines() if len(s) < 9] + [page(t)]\n",
        '    return [ask(s) for s in t.split("--")] + t.split()\n',
        "    parts = t.split()\n    a = [search(s) for s in parts]\n    note(t)\n"
        "    return a + [page(s) for s in parts]\n",
        '    return try [search(s) for s in t.split("")] else [search(s) for s in t.sentences()]\n',
    )
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(RECORDS).flatmap(lambda text: st.tuples(st.just(text), attempts(ANSWERS)))
    | st.sampled_from(TEXTS).flatmap(lambda text: st.tuples(st.just(text), attempts(ESSAYS)))
)
def test_however_an_answer_comes_the_result_is_that_without_streaming(
    case: tuple[str, list[Attempt]],
) -> None:
    wanted, found = told(*case, options=driver.Options(pipeline=UNHEARD)), told(*case)
    assert (found.result, found.problem, found.noted) == (wanted.result, wanted.problem, wanted.noted)
    assert found.seconds <= wanted.seconds + 1e-9


def remarks(body: str) -> str:
    module = driver.lowered(driver.check_text(HEADER + body, "main.flow"), driver.Options())
    found = [each for each in optimise(module, O2).remarks if each.pass_name == "stream"]
    return "\n".join(f"{each.line - LINES}: {each.message}" for each in found)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("search(r.title)", "3: this begins as soon as `outline` has written `title`"),
        (
            "ask(search(r.title) + r.body)",
            "3: this begins as soon as `outline` has written `body` and `title`",
        ),
        ("len([search(i) for i in r.items])", "has written `items`, each element with its item"),
        ("note(r.title)", f"has written its whole answer: `note` on line {LINES + 3} writes diary"),
        ("ask(r.title + str(r))", "has written its whole answer: it reads all of it"),
    ],
)
def test_a_remark_says_what_begins_with_a_field_and_what_else_waits_why(body: str, said: str) -> None:
    assert said in remarks(f'flow main() -> int:\n    r = outline("x")\n    v = {body}\n    return r.size\n')


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("t.sentences()", "each element begins as soon as `essay` has written its sentence"),
        ("t.lines()", "each element begins as soon as `essay` has written its line"),
        ("t.split(ask(t))", "its whole text: what it is split at is no constant"),
    ],
)
def test_a_remark_says_what_begins_with_a_part_of_a_text(body: str, said: str) -> None:
    text = f'flow main() -> int:\n    t = essay("x")\n    return len([search(s) for s in {body}])\n'
    assert said in remarks(text)


def test_a_text_that_a_branch_splits_is_split_once_the_branch_is_taken() -> None:
    split = "return len([search(s) for s in t.lines()])"
    text = f'flow main(big: bool) -> int:\n    t = essay("x")\n    if big:\n        {split}\n    return 0\n'
    assert "its whole text: it is split in another block" in remarks(text)


def test_what_a_batch_makes_in_turn_does_not_run_ahead_of_it() -> None:
    """The pass marks nothing in a batch; a plan from elsewhere may."""
    body = "flow main() -> list[str]:\n    return [ask(outline(topic).title) for topic in notes]\n"
    body = body.replace("notes", '["x", "y"]')
    assert "whole answer: the calls of all elements are made as one batch" in remarks(body)
    written = json.loads(dumps(driver.compile_text(HEADER + body, "main.flow", level=2).plan))
    (batch,) = (node for node in written["functions"]["main"]["body"]["nodes"] if "regions" in node)
    outline, title, asked = batch["regions"][0]["nodes"]
    assert batch["op"] == "generate_batch"
    outline["settings"]["stream"] = title["settings"]["ahead"] = asked["settings"]["ahead"] = True
    provider = Writing([cut_behind(in_order("title"), '"sea",')], ["outline"])
    assert run_of(written, provider, {}).result == ["answer to sea"] * 2
    assert [prompt for prompt, _ in provider.asked] == ["sea"] * 2


def test_a_text_is_not_split_at_what_is_not_there_yet() -> None:
    """The pass marks no such split; a plan from elsewhere may."""
    text = (
        HEADER
        + """flow main() -> list[str]:
    at = page(",")
    return [search(part) for part in essay("x").split(at)]
"""
    )

    async def search(query: str) -> str:
        return query.upper()

    async def page(name: str) -> str:
        await asyncio.sleep(9.0)
        return name

    written = json.loads(dumps(driver.compile_text(text, "main.flow", level=2).plan))
    for node in written["functions"]["main"]["body"]["nodes"]:
        if (mark := {"generate": "stream", "apply": "ahead", "map": "ahead"}.get(node["op"])) is not None:
            node.setdefault("settings", {})[mark] = True
    tools = {"search": search, "page": page, "note": page}
    done = run_of(written, Writing([Attempt("a b,c", (2, 4))]), tools)
    assert done.result == ["A B", "C"]


def run_of(written: object, provider: Writing, tools: dict[str, Callable[..., Any]]) -> RunResult:
    """How a plan ends that was read from elsewhere."""
    environment = Environment(tools=tools, providers={"writing": provider}, provider="writing")
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(run_plan(from_json(written), "main", {}, environment=environment))
    finally:
        loop.close()


def test_nothing_begins_early_under_a_budget() -> None:
    body = TITLE.removeprefix(HEADER)
    assert "must not take from the budget" in remarks("@budget(calls=9)\n" + body)
    attempt = cut_behind(in_order("title"), '"sea",')
    assert told(HEADER + "@budget(calls=9)\n" + body, [attempt]).at("sea") == pytest.approx([2.0])


def refused(change: Callable[[dict[str, Any]], object]) -> str:
    """Why a plan is refused whose nodes were changed so."""
    body = '    r = outline("x")\n    note(r.title)\n    return [page(search(i)) for i in r.items]\n'
    text = HEADER + "flow inner(text: str) -> none:\n    note(text)\n\nflow main() -> list[str]:\n" + body
    of = json.loads(dumps(driver.compile_text(text, "main.flow").plan))
    change({node["name"]: node for node in of["functions"]["main"]["body"]["nodes"]})
    with pytest.raises(FlowError, match="E0644") as error:
        from_json(of)
    return error.value.problem.why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda nodes: nodes["note"]["settings"].update(ahead=True), "`note` cannot begin before"),
        (lambda nodes: nodes["map"]["settings"].update(ahead="yes"), "`map` cannot begin before"),
        (
            lambda nodes: nodes["map"]["regions"][0]["nodes"][0].update(
                op="call", name="inner", settings={"function": "inner"}
            ),
            "`map` cannot begin before",
        ),
        (lambda nodes: nodes["map"]["settings"].update(stream=True), "`map` gives no answer"),
        (lambda nodes: nodes["outline"]["settings"].update(stream=1), "`outline` gives no answer"),
    ],
)
def test_a_plan_in_which_something_else_runs_ahead_is_refused(
    change: Callable[[dict[str, Any]], object], why: str
) -> None:
    assert why in refused(change)
