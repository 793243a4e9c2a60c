"""A chain of model calls as one call: the same answer, where the model answers each part alike."""

import os
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.compiler.reference import evaluate
from flowc.dialects.agent.calls import GenerateOp
from flowc.dialects.agent.declarations import LlmOp
from flowc.passes.fuse_calls import FuseCallsPass
from flowc.passes.pipelines import optimise, parse_pipeline
from flowc.testing.oracles.worlds import AnsweringWorld

MORE = int(os.environ.get("FLOWC_EXAMPLES", "1"))
LLMS = ("first", "second", "third")


class ChainWorld(AnsweringWorld):
    """A model that answers by a function of its arguments, and answers the steps of a fused call in turn."""

    def generate(self, name: str, prompt: str, arguments: Mapping[str, object]) -> object:
        """A text; of a fused call one for each step."""
        steps = name.removesuffix("_2").removesuffix("_3").split("_then_")
        given = list(arguments.values())
        found: list[str] = []
        for step in steps:
            taken = given[:1] if found else given[:2]
            del given[: len(taken)]
            found.append(f"{step}({', '.join(map(str, [*found[-1:], *taken]))})")
        if len(steps) == 1:
            return found[0]
        members: dict[str, object] = {}
        for step, text in zip(steps, found, strict=True):
            member, number = step, 2
            while member in members:
                member, number = f"{step}_{number}", number + 1
            members[member] = text
        return members


@st.composite
def chains(draw: st.DrawFn) -> str:
    """A program with calls about the answers of other calls, some of them fusable."""
    lines: list[str] = []
    for name in LLMS:
        heads = draw(st.sampled_from((("@fusable",), ("@fusable",), (), ("@fusable", "@retry(2)"))))
        lines += [
            *heads,
            f"llm {name}(text: str, k: int) -> str:",
            f'    """{name}: {{text}} and {{k}}"""',
            "",
        ]
    lines += ["tool note(text: str) -> none writes diary", "", "flow main(q: str) -> str:"]
    values = ["q"]
    for number in range(draw(st.integers(2, 6))):
        about = draw(st.sampled_from((values[-1], values[-1], values[-1], draw(st.sampled_from(values)))))
        name = draw(st.sampled_from(LLMS))
        lines.append(f"    v{number} = {name}({about}, {draw(st.integers(0, 2))})")
        values.append(f"v{number}")
        if draw(st.integers(0, 5)) == 0:
            lines.append(f'    note("{number}")')
    kept = [values[-1], *draw(st.lists(st.sampled_from(values), max_size=1))]
    return "\n".join([*lines, f"    return {' + '.join(kept)}"]) + "\n"


@settings(max_examples=40 * MORE, deadline=None)
@given(chains())
def test_fused_chains_give_what_the_chain_gives(text: str) -> None:
    checked = driver.check_text(text, "chain.flow")
    before = driver.optimised(checked, driver.Options(level=1))
    wanted = evaluate(before, "main", {"q": "what"}, ChainWorld())
    calls = sum(isinstance(op, GenerateOp) for op in before.walk())
    module = driver.optimised(checked, driver.Options(level=1))
    report = optimise(module, (FuseCallsPass(),))
    found = evaluate(module, "main", {"q": "what"}, ChainWorld())
    assert found.value == wanted.value
    assert [e for e in found.trace if e.name == "note"] == [e for e in wanted.trace if e.name == "note"]
    left = sum(isinstance(op, GenerateOp) for op in module.walk())
    assert (left < calls) == (report.statistics[0].fired > 0)
    whole = driver.optimised(checked, driver.Options(level=3))
    assert evaluate(whole, "main", {"q": "what"}, ChainWorld()).value == wanted.value


def test_what_a_chain_lacks_is_said_with_what_it_would_save() -> None:
    text = '''\
@fusable
llm first(text: str) -> str:
    """Outline {text}"""

llm second(text: str) -> str:
    """Write {text}"""

flow main(q: str) -> str:
    return second(first(q))
'''
    compiled = driver.compile_text(text, "chain.flow")
    (remark,) = [each for each in compiled.remarks if each.pass_name == "fuse-calls"]
    assert remark.line == 9
    assert "would save about 310 ms" in remark.message
    assert "`second` would have to say `@fusable`" in remark.message


def test_a_fused_answer_has_room_for_all_its_parts() -> None:
    text = '''\
@fusable
@model("small", max_tokens=100)
llm first(text: str) -> str:
    """Outline {text}"""

@fusable
@model("small", max_tokens=200)
llm second(text: str) -> str:
    """Write {text}"""

flow main(q: str) -> str:
    return second(first(q))
'''
    module = driver.optimised(driver.check_text(text, "chain.flow"), driver.Options(level=1))
    optimise(module, (FuseCallsPass(),))
    (fused,) = [op for op in module.walk() if isinstance(op, LlmOp) and "_then_" in op.sym_name.data]
    assert fused.setting["max_tokens"] == 300


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        (('@model("a", temperature=0)', '@model("a", temperature=0.5)'), "their temperature differs"),
        (('@model("a")', '@model("b")'), "their model differs"),
        (('@model("a", temperature=0)', '@model("a", temperature=0)'), ""),
    ],
)
def test_calls_that_are_asked_in_other_ways_stay_apart(heads: tuple[str, str], said: str) -> None:
    llms = "".join(
        f'@fusable\n{head}\nllm {name}(text: str) -> str:\n    """{name}: {{text}}"""\n\n'
        for name, head in zip(LLMS, heads, strict=False)
    )
    text = f"{llms}flow main(q: str) -> str:\n    return second(first(q))\n"
    module = driver.lowered(driver.check_text(text, "main.flow"), driver.Options())
    findings = optimise(module, parse_pipeline("cse,fuse-calls"))
    messages = [each.message for each in findings.remarks if each.pass_name == "fuse-calls"]
    assert not said or any(said in each for each in messages)
    assert (len([op for op in module.walk() if isinstance(op, GenerateOp)]) == 1) == (not said)
