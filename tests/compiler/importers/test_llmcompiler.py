"""Plans of LLMCompiler become programs that check and run, or diagnostics."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flowc.cli import main
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import check_text
from flowc.compiler.importers.llmcompiler import convert

PLAN = """
Thought: find both, then compare
1. search("cheetah")
2. math("cheetah max speed in km/h if 1.3 times slower?", ["$1"])
3. search(In Cold Blood, the film)
5. math('max($2, ${3}) / {4} of "it"')
7. join()
<END_OF_PLAN>
whatever follows
"""


def codes(plan: str) -> list[str]:
    with pytest.raises(CompileError) as caught:
        convert(plan, "plan.txt")
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def body(plan: str) -> list[str]:
    """The statements of the flow."""
    text = convert(plan, "plan.txt")
    check_text(text, "plan.flow")
    return [line.strip() for line in text[text.index("flow main") :].splitlines()[1:]]


def test_steps_become_calls_and_references_become_names_or_holes() -> None:
    assert body(PLAN) == [
        'step1 = search("cheetah")',
        'step2 = math("cheetah max speed in km/h if 1.3 times slower?", [step1])',
        'step3 = search("In Cold Blood, the film")',
        'step5 = math(f"max({step2}, {step3}) / {{4}} of \\"it\\"", [])',
        "return answer(question, [step1, step2, step3, step5])",
    ]


def test_a_step_may_stand_before_what_it_takes() -> None:
    assert body('1. math("$3")\n2. search("b")\n3. search("$2")') == [
        'step2 = search("b")',
        "step3 = search(step2)",
        "step1 = math(step3)",
        "return [step1, step2, step3]",
    ]


def test_arguments_of_several_kinds_give_a_parameter_the_type_that_holds_them() -> None:
    assert body("1. f(1)\n2. f(2.5)\n3. g('a')\n4. g(['b', '$1'])\n5. h(1)\n6. h('$1')")[:6] == [
        "step1 = f(1.0)",
        "step2 = f(2.5)",
        'step3 = g(["a"])',
        'step4 = g(["b", step1])',
        'step5 = h("1")',
        "step6 = h(step1)",
    ]


@pytest.mark.parametrize("name", ["flow", "len", "answer", "main", "step3", "str", "question", "float"])
def test_a_tool_with_a_name_of_the_language_gets_another(name: str) -> None:
    assert len(body(f'1. {name}("a")\n2. search("$1")\n3. join()')) == 3


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        ("", ["E0660"]),
        ("first search", ["E0660"]),
        ("1. search('a'\n2. search('b)\n3. math(['c')\nfourth", ["E0661", "E0661", "E0661", "E0660"]),
        ("1. f('a')\n1. f('b')\n2. f('$9')", ["E0662", "E0663"]),
        ("1. f('a')\n2. join()\n3. f('$2')", ["E0663"]),
        ("1. f('$1')", ["E0664"]),
        ("1. f('$2')\n2. f('$3')\n3. f('${1}')", ["E0664"]),
        ("1. f('a')\n2. f('\ud800')", ["E0045"]),
    ],
)
def test_all_that_is_wrong_with_a_plan_is_said(plan: str, wanted: list[str]) -> None:
    assert codes(plan) == wanted


def test_the_mark_of_the_end_may_stand_behind_a_step() -> None:
    assert body("1. f('a')\n2. join()<END_OF_PLAN>\nnonsense") == body("1. f('a')\n2. join()")
    assert body("1. f('a <END_OF_PLAN>')")[0] == 'step1 = f("a <END_OF_PLAN>")'


def test_lists_in_lists_are_text_however_deep() -> None:
    deep = "[" * 5000 + "]" * 5000
    assert f'"{deep}",' in body(f"1. f({deep})")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12)


@st.composite
def plans(draw: st.DrawFn) -> tuple[str, int]:
    """A plan whose steps refer to others before or after them in no ring, with the number of steps."""
    count = draw(st.integers(1, 6))
    order = draw(st.permutations(range(1, count + 1)))
    lines = []
    for place, number in enumerate(order):
        known = [f"${other}" for other in order[:place]] + [f"${{{other}}}" for other in order[:place]]
        texts = TEXTS.map(lambda text: text.replace("$", "")) | st.sampled_from(known or ["x"])
        parts = draw(st.lists(texts, max_size=3))
        quoted = [json.dumps(part, ensure_ascii=False) for part in parts]
        kind = draw(st.sampled_from(["texts", "list", "number"]))
        inside = {"texts": ", ".join(quoted), "list": f"[{', '.join(quoted)}]", "number": "3"}[kind]
        lines.append((number, f"{number}. {draw(st.sampled_from(['look', 'sum', 'for_']))}({inside})"))
    ending = ["99. join()"] if draw(st.booleans()) else []
    return "\n".join([line for _, line in draw(st.permutations(lines))] + ending), count


@given(plans())
def test_every_plan_becomes_a_program_that_checks(plan: tuple[str, int]) -> None:
    text, count = plan
    assert len(body(text)) == count + 1


@pytest.mark.parametrize(
    "character", ["\0", "\x0b", "\r", "\x1b", "\x85", "\u200b", "\u2028", "\u202e", "\ufeff"]
)
def test_what_is_invisible_in_a_text_is_escaped(character: str) -> None:
    escaped = f"\\u{ord(character):04x}" if ord(character) > 255 else f"\\x{ord(character):02x}"
    shown = {"\\x0d": "\\r"}.get(escaped, escaped)
    plan = f'1. f("a{character}b")\n2. f("$1{character}", [\'{character}\'])'
    assert body(plan)[:2] == [
        f'step1 = f("a{shown}b", [])',
        f'step2 = f(f"{{step1}}{shown}", ["{shown}"])',
    ]


@given(st.text(max_size=60) | st.text("1. f($2'\"[]){}\\,\n", max_size=60))
def test_any_text_is_a_program_or_a_diagnostic(text: str) -> None:
    with suppress(CompileError):
        check_text(convert(text, "plan.txt"), "plan.flow")


@pytest.mark.skipif("FLOWC_DATA" not in os.environ, reason="FLOWC_DATA names no folder of data sets")
def test_the_published_plans_are_programs_or_lack_a_bracket() -> None:
    plans = json.loads(Path(os.environ["FLOWC_DATA"], "llmcompiler/plans.json").read_text())
    found = {}
    for each in plans:
        try:
            found[each["plan"]] = len([line for line in body(each["plan"]) if line.startswith("step")])
        except CompileError as error:
            found[each["plan"]] = [diagnostic.code for diagnostic in error.diagnostics]
    assert sorted(found.values(), key=str) == [2, 2, 2, 7, 8, ["E0661"] * 3]


def test_an_imported_plan_runs_on_the_simulated_provider(tmp_path: Path) -> None:
    program = tmp_path / "plan.flow"
    runner = CliRunner()
    made = runner.invoke(main, ["import", "llmcompiler", "-", "-o", str(program)], input=PLAN)
    assert (made.exit_code, made.output) == (0, "")
    words = [
        "run",
        str(program),
        "--provider",
        "simulated",
        "--seed",
        "7",
        "question=why?",
        "--output-format=json",
    ]
    ran = runner.invoke(main, words)
    answer = json.loads(ran.stdout)
    assert (ran.exit_code, answer["status"]) == (0, "ok")
