"""A picture shows the steps that do work, and exactly which wait for which."""

from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.driver import Options, compile_text
from flowc.compiler.graph.dot import dot
from flowc.compiler.graph.mermaid import mermaid
from flowc.compiler.graph.model import Graph, Step, graph

PROGRAM = """\
tool read(x: int) -> int reads a
tool write(x: int) -> int writes a

flow main(x: int, xs: list[int]) -> int:
    first = read(x)
    second = write(first + 1)
    all = [read(i) for i in xs]
    if second > 3:
        second = write(len(all))
    return second
"""


def picture(text: str) -> Graph:
    compiled = compile_text(text, "main.flow", options=Options(native=False))
    return graph(compiled.plan, "main")


def arrows(drawn: Graph) -> set[tuple[str, str, bool]]:
    label = {step.id: step.label for step in drawn.steps}
    return {(label[arrow.source], label[arrow.target], arrow.ordered) for arrow in drawn.arrows}


def test_values_and_effects_are_arrows_of_two_kinds() -> None:
    drawn = picture(PROGRAM)
    assert ("read", "write", False) in arrows(drawn)
    assert ("write", "read", True) in arrows(drawn)
    assert {box.label for box in drawn.boxes} == {"each, 64 at a time", "then"}


def test_a_pure_computation_is_an_arrow_from_input_to_result() -> None:
    drawn = picture("flow main(x: int) -> int:\n    return x * 2 + 1\n")
    assert arrows(drawn) == {("x", "int", False)}


def test_the_texts_name_every_step_once() -> None:
    drawn = picture(PROGRAM)
    for text in (mermaid(drawn), dot(drawn)):
        for step in drawn.steps:
            assert sum(line.strip().startswith(step.id) and "-" not in line for line in text.split("\n")) == 1


def test_labels_cannot_break_out_of_their_quotes() -> None:
    drawn = Graph("main", [Step("s0", 'a"]; s0 --> s1', "tool", -1)])
    assert mermaid(drawn) == 'flowchart TD\n    s0["a&quot;]; s0 --&gt; s1"]\n'
    assert '[label="a\\"]; s0 --> s1",' in dot(drawn)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=8))
def test_leaving_out_implied_arrows_changes_nobody_s_ancestors(needs: list[list[int]]) -> None:
    lines = ["tool t(x: list[int]) -> int pure", "", "flow main() -> list[int]:"]
    for number, wanted in enumerate(needs):
        used = ", ".join(f"v{i}" for i in sorted(set(wanted)) if i < number)
        lines.append(f"    v{number} = t([{used or number}])")
    lines.append(f"    return [{', '.join(f'v{i}' for i in range(len(needs)))}]")
    compiled = compile_text("\n".join(lines) + "\n", "main.flow", options=Options(level=0, native=False))
    drawn = graph(compiled.plan, "main")
    order = [step.id for step in drawn.steps]
    ancestors: dict[str, set[str]] = {name: set() for name in order}
    for name in order:
        for arrow in drawn.arrows:
            if arrow.target == name:
                ancestors[name] |= {arrow.source} | ancestors[arrow.source]
    expected: list[set[int]] = []
    for number, wanted in enumerate(needs):
        direct = {i for i in wanted if i < number}
        expected.append(direct.union(*(expected[i] for i in direct)))
    for number in range(len(needs)):
        found = {int(name[1:]) for name in ancestors[f"s{number}"]}
        assert found >= expected[number]
