"""The offline provider: it answers from what it is given, says where from, and gives the same everywhere."""

import asyncio
from typing import Any

import numpy
import pytest

from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.plan import Json, Parameter
from flowc.runtime.providers.base import EmbedRequest, ModelSettings
from flowc.runtime.providers.lexical import DIMENSION, sentences, stem
from flowc.runtime.providers.offline import Offline
from flowc.runtime.types import BOOL, FLOAT, INT, STR, Enum, List, Optional, Record, Type
from tests.runtime.plans import Builder, llm, plan

PASSAGES = [
    {
        "id": "with",
        "text": "The with statement wraps a block with a context manager. "
        "If the block raises an exception, its type, value and traceback are passed to __exit__. "
        "When __exit__ returns a true value, the exception is suppressed.",
    },
    {
        "id": "for",
        "text": "The for statement iterates over the elements of a sequence. It takes 3 clauses at most.",
    },
    {
        "id": "del",
        "text": "Deletion of a target list deletes each target, from left to right. Coffee costs 4.50 today.",
    },
]
RECORDS = {
    "Passage": (("id", STR), ("text", STR)),
    "Finding": (("answer", STR), ("sources", List(STR)), ("holds", BOOL), ("price", Optional(FLOAT))),
}
ENUMS = {"Verdict": ("yes", "no", "unsure"), "Topic": ("loops", "context_manager", "deletion")}


def ask(question: str, result: Type, task: str = "Answer from the passages: ") -> Any:
    body = Builder()
    asked, passages = body.parameter(), body.parameter()
    segments: list[Json] = [task, {"input": 0, "name": "question"}, "\n", {"input": 1, "name": "passages"}]
    answer = body.one("generate", asked, passages, operation="ask", segments=segments)
    of = plan(
        body.region(answer),
        Parameter("question", STR),
        Parameter("passages", List(Record("Passage"))),
        operations=[llm("ask", result=result)],
        result=result,
        records=RECORDS,
        enums=ENUMS,
    )
    outcome = run(of, "main", {"question": question, "passages": PASSAGES}, environment=Environment())
    assert outcome.problem is None, outcome.problem
    return outcome.result


def test_a_text_is_answered_with_the_best_sentences_and_the_mark_of_their_passage() -> None:
    answer = ask("How does the with statement handle an exception?", STR)
    assert "passed to __exit__" in answer
    assert "[with]" in answer
    assert "Coffee" not in answer


def test_what_the_passages_do_not_speak_of_is_not_known() -> None:
    assert ask("Who painted the Sistine chapel?", STR) == "I don't know."


@pytest.mark.parametrize(
    ("question", "verdict"),
    [
        ("The for statement iterates over the elements of a sequence", "yes"),
        ("The for statement never iterates over the elements of a sequence", "no"),
        ("Volcanoes erupt in spring", "unsure"),
    ],
)
def test_a_verdict_follows_overlap_and_negation(question: str, verdict: str) -> None:
    assert ask(question, Enum("Verdict")) == verdict


def test_an_enum_gets_the_member_that_the_material_speaks_of_most() -> None:
    assert ask("Which topic does a context manager belong to?", Enum("Topic")) == "context_manager"


def test_a_number_is_read_from_the_best_sentence() -> None:
    assert ask("How many clauses does the for statement take?", INT) == 3
    assert ask("What does coffee cost today?", FLOAT) == 4.5


def test_a_score_without_a_number_to_read_lies_on_the_scale_of_the_task() -> None:
    task = "Rate from 1 to 5 how well the passages answer: "
    fitting = ask("exception traceback passed to __exit__", INT, task)
    foreign = ask("volcano", INT, task)
    assert 1 <= foreign < fitting <= 5


def test_records_are_filled_field_by_field() -> None:
    finding = ask("When is the exception suppressed by __exit__?", Record("Finding"))
    assert "suppressed" in finding.answer
    assert finding.sources == ["with"]


def test_the_answer_says_what_made_it() -> None:
    body = Builder()
    answer = body.one(
        "generate", body.constant("Why?"), operation="ask", segments=[{"input": 0, "name": "q"}]
    )
    of = plan(body.region(answer), operations=[llm("ask")], result=STR)
    outcome = run(of, "main", environment=Environment())
    notes = [event.attributes["note"] for event in outcome.trace.events() if event.kind == "note"]
    assert len(notes) == 1
    assert "offline" in str(notes[0])


def test_sentences_keep_abbreviated_numbers_together_and_split_at_stops() -> None:
    found = [sentence.text for sentence in sentences("It costs 4.50 now. Is it dear? Yes!\n\n- one\n- two")]
    assert found == ["It costs 4.50 now.", "Is it dear?", "Yes!", "- one", "- two"]


def test_endings_do_not_tell_words_apart() -> None:
    assert len({stem(word) for word in ("handle", "handles", "handled", "handling")}) == 1
    assert stem("exceptions") == stem("exception") != stem("except")


def embed(*texts: str) -> numpy.ndarray:
    embedding = asyncio.run(Offline().embed(EmbedRequest(texts, ModelSettings())))
    return numpy.asarray(embedding.vectors)


def test_vectors_are_normalised_deterministic_and_near_for_near_texts() -> None:
    texts = ("the with statement and exceptions", "exceptions in a with statement", "deleting a list", "")
    rows = embed(*texts)
    assert rows.shape == (4, DIMENSION)
    assert rows.dtype == numpy.float32
    assert numpy.allclose(numpy.linalg.norm(rows[:3], axis=1), 1.0, atol=1e-5)
    assert not rows[3].any()
    assert rows[0] @ rows[1] > 2 * abs(rows[0] @ rows[2])
    assert numpy.array_equal(rows, embed(*texts))
