"""merge-calls says what it did, what it did not, and what would change that."""

import pytest

from flowc.compiler import driver
from flowc.passes.merge_calls import merge_calls
from flowc.passes.pipelines import optimise, parse_pipeline

HEADER = """\
tool look(key: str) -> str reads db
tool put(key: str) -> none writes db
tool keep(key: str) -> none writes shelf idempotent
tool clear() -> none writes shelf
tool both(key: str) -> none writes shelf idempotent, writes box idempotent
tool undone(key: str) -> none writes box idempotent undo take
tool take(key: str) -> none writes box idempotent
@cached
tool page(url: str) -> str reads db
tool rank(key: str) -> int pure
human approve(draft: str) -> bool:
    \"\"\"May it be sent? {draft}\"\"\"
llm guess(key: str) -> str:
    \"\"\"Guess {key}\"\"\"
@model("m", temperature=0)
llm judge(key: str) -> str:
    \"\"\"Judge {key}\"\"\"

flow main(key: str) -> str:
"""
FIRST = HEADER.count("\n") + 1


def remarks(*lines: str) -> list[tuple[int, str]]:
    """What the pass says of a body, by the line of the body."""
    text = HEADER + "".join(f"    {line}\n" for line in (*lines, "return key"))
    module = driver.lowered(driver.check_text(text, "main.flow"), driver.Options())
    optimise(module, parse_pipeline("cse"))
    return [(each.line - FIRST, each.message) for each in merge_calls(module).remarks]


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        (("look(key)", "look(key)"), 1, f"`look` is called the same as on line {FIRST}: one call"),
        (("look(key)", "put(key)", "look(key)"), 2, "db may have been written in between"),
        (("look(key)", "sleep(1h)", "look(key)"), 2, "db may have been written in between"),
        (("keep(key)", "sleep(1h)", "keep(key)"), 2, "something else may have written shelf in between"),
        (("page(key)", "sleep(1h)", "page(key)"), 2, "one call"),
        (("judge(key)", "sleep(1h)", "judge(key)"), 2, "one call"),
        (("look(key)", "sleep(1h)"), 0, f"`look`: time goes by on line {FIRST + 1}: each run of a batch"),
        (("page(key)", "put(key)", "page(key)"), 2, "one call"),
        (("put(key)", "put(key)"), 1, "merged only where it `writes db idempotent`"),
        (("keep(key)", "keep(key)"), 1, "one call"),
        (("keep(key)", "clear()", "keep(key)"), 2, "something else may have written shelf in between"),
        (("approve(key)", "approve(key)"), 1, "a person is asked each time"),
        (("guess(key)", "guess(key)"), 1, "merged only at temperature 0 or with @cached"),
        (("judge(key)", "judge(key)"), 1, "one call"),
        (("look(key)",), 0, "`look`: the runs of a batch share equal calls"),
        (("rank(key)",), 0, "`rank`: the runs of a batch share equal calls"),
        (("keep(key)",), 0, "`keep`: the runs of a batch share equal calls"),
        (("judge(key)",), 0, "`judge`: the runs of a batch share equal calls"),
        (("page(key)", "put(key)"), 0, "`page`: the runs of a batch share equal calls"),
        (("look(key)", "put(key)"), 0, f"`look`: reads db, which line {FIRST + 1} writes: each run"),
        (("put(key)",), 0, "`put`: writes db: each run of a batch writes for itself unless all are"),
        (("keep(key)", "clear()"), 0, f"`keep`: writes shelf as line {FIRST + 1} does: each run"),
        (("undone(key)",), 0, "`undone`: writes box: each run of a batch writes for itself"),
        (("guess(key)",), 0, "they share at temperature 0 or with @cached"),
    ],
)
def test_remarks_name_the_line_the_reason_and_what_would_license_it(
    lines: tuple[str, ...], line: int, said: str
) -> None:
    found = remarks(*lines)
    assert any(at == line and said in message for at, message in found), found


@pytest.mark.parametrize(
    "lines",
    [
        ("look(key)", "put(key)", "look(key)", "put(key)", "look(key)"),
        ("both(key)", "clear()", "both(key)"),
        ("both(key)", "take(key)", "both(key)"),
    ],
)
def test_each_write_in_between_ends_what_was_known(lines: tuple[str, ...]) -> None:
    assert not [message for _, message in remarks(*lines) if "one call" in message]
    assert [message for _, message in remarks(lines[0], *lines) if "one call" in message]


@pytest.mark.parametrize("lines", [("", "    "), ("    ", "")])
def test_no_write_of_a_transaction_is_one_with_a_write_outside(lines: tuple[str, str]) -> None:
    both = [f"{indent}undone(key)" for indent in lines]
    both.insert(lines.index("    "), "with transaction:")
    assert not [message for _, message in remarks(*both) if "one call" in message]
    assert [message for _, message in remarks("undone(key)", "undone(key)") if "one call" in message]


def test_calls_in_the_two_branches_of_an_if_are_not_said_to_be_repeated() -> None:
    found = remarks('if key == "a":', "    put(key)", "    look(key)", "else:", "    look(key)")
    assert not [message for _, message in found if "called the same" in message]


def test_a_call_of_both_branches_is_said_to_be_made_before_the_condition() -> None:
    found = remarks('if key == "a":', "    look(key)", "else:", "    look(key)")
    assert any("one call, before the condition" in message for _, message in found)
