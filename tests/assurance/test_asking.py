"""Calls that are merged, fused or asked anew: what comes to the same may pass, and what does not is seen."""

import json
from collections.abc import Callable
from random import Random

import pytest

from flowc.compiler.parser import parse
from flowc.compiler.reference import Event
from flowc.passes import merge_calls
from flowc.passes.pipelines import PIPELINES, optimise
from flowc.testing.oracles import programs as oracles
from flowc.testing.oracles.asking import answered, asked, counted, operations_called, others
from flowc.testing.oracles.programs import Disagreement, meaning, subject
from flowc.testing.oracles.running import Way
from flowc.testing.strategies.answers import ENVIRONMENT, answer

HEAD = "flow main(a: int, b: int, name: str, numbers: list[int], flag: bool) -> int:\n"
CHAIN = "    d = draft(1, name)\n    r = refine(2, d)\n    return grade(3, r) + a\n"
FUSED = (
    "Answer step by step, with one field for each step.\n\nThe field `draft`:\ndraft 1: ada.\n\n"
    "The field `grade`:\ngrade 3: (the field `draft`).\n"
)


def given(body: str) -> oracles.Subject:
    return subject(parse(f"{ENVIRONMENT.lstrip()}\n{HEAD}{body}", "given.flow"))


def generated(prompt: str, name: str = "draft_then_grade") -> Event:
    return Event("generate", name, json.dumps([prompt]), (("llm", None),))


def test_a_prompt_with_several_questions_is_answered_one_after_the_other() -> None:
    drafted = answer("draft", {"tag": 1, "text": "ada"})
    assert answered(FUSED) == {"draft": drafted, "grade": answer("grade", {"tag": 3, "text": drafted})}
    for prompt in ("The field `draft`:\nwhat now?\n", "draft 1: ada."):
        with pytest.raises(ValueError, match="nobody understands"):
            answered(prompt)


def test_a_fused_call_asks_what_the_calls_ask_that_it_stands_for() -> None:
    drafted = answer("draft", {"tag": 1, "text": "ada"})
    apart = [generated("draft 1: ada.", "draft"), generated(f"grade 3: {drafted}.", "grade")]
    assert others([generated(FUSED)]) == others(apart)
    assert counted([generated(FUSED)]) == counted(apart)
    assert operations_called([generated(FUSED)]) == operations_called(apart) == {"draft": 1, "grade": 1}
    assert asked(generated(FUSED)) != asked(generated(FUSED.replace("grade 3", "grade 4")))


@pytest.mark.parametrize("level", [0, 2, 3])
def test_chains_of_questions_come_to_the_same_fused_or_not(level: int) -> None:
    reached = oracles.run_as(given(CHAIN), Way(level=level, heard=True))
    assert bool(reached.fired["fuse-calls"]) == (level > 1)
    found = oracles.passes_keep(given(CHAIN), Random(1))
    assert found.modules


def test_a_question_that_is_left_out_of_a_chain_is_seen() -> None:
    chain, short = given(CHAIN), given(CHAIN.replace("refine(2, d)", "d"))
    assert oracles.difference(chain.wanted, short.wanted) is not None


def tried(right: oracles.Subject) -> None:
    """Holds a program to its meaning after the passes of several pipelines."""
    for chance in range(6):
        oracles.passes_keep(right, Random(chance))


Fault = Callable[[pytest.MonkeyPatch], None]


def blind_to_writes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge_calls._State, "seen", lambda self, summary: ((), self.slept))


def blind_to_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge_calls._State, "seen", lambda self, summary: ((), 0))


def blind_to_people(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge_calls.Licence, "allows", lambda self, op, summary: True)


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (blind_to_writes, "    x = peek(1)\n    keep(2, a)\n    return x * 3 + peek(1)\n"),
        (blind_to_time, "    x = fetch(1, a)\n    sleep(1ms)\n    return x + fetch(1, a)\n"),
        (blind_to_people, "    return (1 if allow(1, name) else 2) + (3 if allow(1, name) else 4)\n"),
        (blind_to_people, "    return rate(1, name) + rate(1, name)\n"),
    ],
)
def test_a_merge_without_licence_is_seen(fault: Fault, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = given(body)
    tried(right)
    fault(monkeypatch)
    with pytest.raises(Disagreement, match="merge-calls"):
        tried(right)


def test_merged_calls_come_to_the_same() -> None:
    right = given(
        "    pin(1, a)\n    x = fetch(2, a)\n    pin(1, a)\n    return x + fetch(2, a) + recall(3, x)\n"
    )
    module = right.module.clone()
    done = optimise(module, PIPELINES["O2"])
    assert sum(each.fired for each in done.statistics if each.name == "merge-calls") == 2
    oracles.assert_same(right.wanted, meaning(module))
