"""share-prefix: paragraphs move only where the program says so, holes never leave theirs."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.dialects.agent.calls import GenerateOp, PromptOp
from flowc.passes.paragraphs import joined, paragraphs, place_word

TEXTS = st.sampled_from(
    ["Be brief.", "Do {} now", "Rules: {}", "Text: {}, {}", "x\ny", "{}", "    code\n  more", "  {}"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5), st.data())
def test_paragraphs_in_another_order_are_the_same_paragraphs(written: list[str], data: st.DataObject) -> None:
    numbers = iter(range(100))
    parts: list[str | int] = []
    for piece in re.split(r"(\{\})", "\n\n".join(written)):
        parts += [next(numbers)] if piece == "{}" else [piece] if piece else []
    found = paragraphs(parts)
    assert joined(found) == parts
    moved = data.draw(st.permutations(found))
    assert sorted(map(str, paragraphs(joined(moved)))) == sorted(map(str, found))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Judge the text above.\n\nText: x", "above"),
        ("Text: x\n\nThe FOLLOWING rules hold.", "FOLLOWING"),
        ("First, read.\n\nThen write.", "First"),
        ("1. Read.\n\n2. Write.", "1."),
        ("Here is the text:\n\nx", "text:"),
        ("The previous answer counts.\n\nx", "previous"),
        ("Read the text.\n\nRules:", ""),
        ("Nextdoor, lastingly, overfollowing.\n\nx", ""),
    ],
)
def test_a_paragraph_that_speaks_of_its_place_is_found(text: str, word: str) -> None:
    assert place_word(paragraphs([text])) == word


def prompts(prompt: str, decorator: str, *, body: str = "[judge(t, rules) for t in texts]") -> list[str]:
    program = (
        f'{decorator}\nllm judge(text: str, rules: str) -> str:\n    """{prompt}"""\n\n'
        f"flow main(texts: list[str], rules: str) -> list[str]:\n    return {body}\n"
    )
    module = driver.optimised(driver.check_text(program, "main.flow"), driver.Options())
    shown = []
    for op in module.walk():
        if isinstance(op, GenerateOp) and isinstance(op.prompt.owner, PromptOp):
            parts = [
                part if isinstance(part, str) else "{" + part["hole"] + "}" for part in op.prompt.owner.parts
            ]
            prefix = op.attributes.get("prefix")
            shared = prefix.value.data if prefix is not None else 0
            shown.append("".join(parts[:shared]) + "|" + "".join(parts[shared:]))
    return shown


def test_texts_come_first_then_what_is_shared_then_the_rest() -> None:
    prompt = "T {text}.\n\n    R {rules}.\n\n    Be brief.\n\n    Both {rules} {text}"
    assert prompts(prompt, "@reorder") == ["Be brief.\n\nR {rules}.\n\nT |{text}.\n\nBoth {rules} {text}"]


def test_without_a_licence_nothing_moves() -> None:
    assert prompts("T {text}.\n\n    R {rules}.", "@cached") == ["T |{text}.\n\nR {rules}."]


def test_a_hole_never_leaves_its_paragraph_even_if_all_else_could_go_before_it() -> None:
    assert prompts("T {text} by {rules}.\n\n    Be brief.", "@reorder") == [
        "Be brief.\n\nT |{text} by {rules}."
    ]


@pytest.mark.parametrize("word", ["above", "the following", "first", "earlier"])
def test_what_refers_to_its_place_is_refused_even_with_a_licence(word: str) -> None:
    stays = f"T {{text}}.\n\n    Judge {word} text by {{rules}}."
    assert prompts(stays, "@reorder") == [f"T |{{text}}.\n\nJudge {word} text by {{rules}}."]


def test_a_single_call_has_nobody_to_share_a_hole_with() -> None:
    one = prompts("Be brief.\n\n    R {rules}. T {text}", "@reorder", body="[judge(texts[0], rules)]")
    assert one == ["Be brief.\n\nR |{rules}. T {text}"]


def test_what_a_loop_changes_is_not_shared_by_its_rounds() -> None:
    program = (
        'llm go_on(rules: str, text: str) -> str:\n    """{rules} {text}"""\n\n'
        "flow main(rules: str) -> str:\n    text = rules\n    for i in range(3):\n"
        "        text = go_on(text, rules)\n    return text\n"
    )
    module = driver.optimised(driver.check_text(program, "main.flow"), driver.Options())
    calls = [op for op in module.walk() if isinstance(op, GenerateOp)]
    assert [op.attributes.get("prefix") for op in calls] == [None]
