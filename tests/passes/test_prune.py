"""prune: what is asked for changes only where nobody reads it, and what is read stays as it was."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.passes.pipelines import PIPELINES
from flowc.runtime.coerce import Tables
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.plan_json import dumps, loads
from flowc.runtime.providers.base import Request
from flowc.runtime.providers.simulated import value_of
from flowc.runtime.types import BOOL, INT, STR, List, Record
from tests.runtime.worlds import Scripted, virtually

VERDICT = """
record Verdict:
    reasoning: str
    score: int
    quote: str

llm judge(text: str, unused: list[str] = []) -> Verdict:
    \"\"\"Judge {text}.\"\"\"

tool fetch(url: str) -> list[str] reads web

"""


def remarks(body: str) -> list[str]:
    compiled = driver.compile_text(VERDICT + body, "main.flow")
    return [remark.message for remark in compiled.remarks if remark.pass_name == "prune"]


def test_every_call_counts() -> None:
    read, whole = "    v = judge(t)\n", "    w = judge(t + t)\n"
    result = "    return w if v.score > 1 else Verdict(t, 1, t)\n"
    for body in (read + whole + result, whole + read + result):
        assert any("goes on whole" in each for each in remarks(f"flow main(t: str) -> Verdict:\n{body}"))
    main = "flow main(t: str, xs: list[str]) -> int:\n"
    assert any("no hole" in each for each in remarks(f"{main}    return judge(t, xs).score\n"))
    called = remarks(f"{main}    return judge(xs[0], xs).score + judge(t, xs).score\n")
    assert not any("no hole" in each for each in called), "one of the prompts is made of it"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "flow main(t: str) -> int:\n    return judge(t).score\n",
            "no longer asked for `quote`.* 200 tokens less",
        ),
        (
            "flow main(t: str) -> int:\n    return judge(t).score\n",
            "`reasoning`.* stays, since it comes before `score`",
        ),
        (
            "flow main(t: str) -> Verdict:\n    v = judge(t)\n    return v if v.score > 1 else judge(t)\n",
            "goes on whole on line 1[2-5]",
        ),
        ("flow main(t: str) -> int:\n    return judge(t).score\n", "no hole for `unused`"),
        (
            "flow main(t: str) -> int:\n    return judge(t, fetch(t)).score\n",
            "the call stays, since it may fail",
        ),
    ],
)
def test_a_remark_says_what_left_or_why_it_stays(body: str, said: str) -> None:
    assert any(re.search(said, message) for message in remarks(body)), remarks(body)


@pytest.mark.parametrize(
    "result",
    [
        "[v.quote for v in verdicts]",
        "[str(v) for v in verdicts]",
        "[v.quote for v in verdicts + [judge(text)]]",
    ],
)
def test_an_answer_that_is_read_to_its_end_or_goes_on_whole_is_asked_for_whole(result: str) -> None:
    asked = "    verdicts = [judge(t) for t in [text]]\n"
    body = f"flow main(text: str) -> list[str]:\n{asked}    return {result}\n"
    compiled = driver.compile_text(VERDICT + body, "main.flow")
    assert compiled.plan.operations["judge"].pruned == ()


def test_members_that_are_not_asked_for_may_come_all_the_same() -> None:
    body = "flow main(text: str) -> int:\n    return judge(text).score\n"
    plan = driver.compile_text(VERDICT + body, "main.flow").plan
    assert loads(dumps(plan)) == plan
    asked: list[Request] = []

    async def answer(request: Request) -> str:
        asked.append(request)
        return '{"value": {"reasoning": "so", "score": 4, "quote": "more than was asked for"}}'

    environment = Environment(provider="scripted", providers={"scripted": Scripted(answer)})
    assert virtually(plan, environment, text="x").result == 4
    assert asked[0].schema is not None
    assert "quote" not in str(asked[0].schema)
    assert "reasoning" in str(asked[0].schema)

    async def unknown(request: Request) -> str:
        return '{"value": {"reasoning": "so", "score": 4, "other": 1}}'

    environment = Environment(provider="scripted", providers={"scripted": Scripted(unknown)})
    problem = virtually(plan, environment, text="x").problem
    assert problem is not None
    assert problem.code == "E0811"


TYPES = {"int": INT, "str": STR, "bool": BOOL, "list[int]": List(INT)}
PROVIDERS = ("simulated", "offline")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=6), st.data(), st.integers(0, 10**6))
def test_the_fields_that_are_kept_are_those_that_the_whole_record_would_have(
    types: list[str], data: st.DataObject, seed: int
) -> None:
    fields = tuple((f"f{number}", TYPES[type_]) for number, type_ in enumerate(types))
    kept = data.draw(st.integers(1, len(fields)))
    tables = Tables({"Whole": fields, "Narrow": fields[:kept]}, {})
    whole = value_of(Record("Whole"), tables, random.Random(seed))
    narrow = value_of(Record("Narrow"), tables, random.Random(seed))
    assert isinstance(whole, dict)
    assert isinstance(narrow, dict)
    assert list(whole.items())[:kept] == list(narrow.items())


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(TYPES)), min_size=2, max_size=5),
    st.data(),
    st.lists(st.sampled_from(["alpha is 3", "beta was not 7.", "c"]), max_size=3),
)
def test_a_program_gives_the_same_with_and_without_the_pass(
    types: list[str], data: st.DataObject, texts: list[str]
) -> None:
    read = data.draw(st.lists(st.integers(0, len(types) - 1), min_size=1, max_size=2))
    record = "".join(f"    f{number}: {type_}\n" for number, type_ in enumerate(types))
    shown = " + ".join(f"str(v.f{number})" for number in read)
    program = (
        f'record R:\n{record}\nllm judge(text: str, more: str) -> R:\n    """Judge {{text}}."""\n\n'
        "flow main(texts: list[str]) -> list[str]:\n"
        '    found = [judge(t, upper(t)) for t in texts if t != "c"]\n'
        f"    return [{shown} for v in found]\n"
    )
    names = [each.name for each in PIPELINES["O2"]]
    for provider in PROVIDERS:
        results = [
            run(
                driver.compile_text(
                    program,
                    "main.flow",
                    options=driver.Options(pipeline=",".join(n for n in names if n != without)),
                ).plan,
                "main",
                {"texts": texts},
                environment=Environment(provider=provider, seed=5),
            ).result
            for without in ("", "prune")
        ]
        assert results[0] == results[1]
