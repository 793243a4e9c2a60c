"""Decorated functions become the tree that the same program in the language has."""

import ast
import enum
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.parser import parse
from flowc.compiler.python.program import Built, build
from flowc.compiler.syntax import Callable, Hole, Name, Template

LIMIT = 3
m, n, d = flowc.dims("m n d")


class Verdict(enum.Enum):
    yes = 1
    no = 2


@dataclass(frozen=True)
class Passage:
    id: str
    text: flowc.Untrusted[str]
    after: "Passage | None" = None


class Pair(NamedTuple):
    left: int
    right: float


@flowc.tool(effects="reads web")
def search(query: str, limit: int = 20) -> list[Passage]:
    return [Passage(query, str(limit))]


@flowc.llm(model="small", retry=2, backoff=0.2)
def answer(question: str, passages: list[Passage]) -> str:
    """Answer {question} from {[p.text for p in passages]}.

    Say {{nothing}} else.
    """


@flowc.kernel
def cosine(q: flowc.f32[m, d], r: flowc.f32[n, d]) -> flowc.f32[m, n]:
    q = q / np.sqrt(np.sum(q * q, axis=1, keepdims=True) + 1e-6)
    return q @ r.T


@flowc.flow(timeout=30, budget=0.02, tokens=1000)
def ask(question: str, k: int = 8) -> Verdict:
    """Asks."""
    hits = search(question, limit=LIMIT)
    texts: list[str] = []
    with flowc.limit(timeout=3, calls=3):
        for i, hit in enumerate(hits):
            if hit.id == "x" and i > 3:
                break
            elif i == k:
                continue
            else:
                texts += [hit.text]
    try:
        text = flowc.vote(answer(question, hits), max=5, lead=2)
    except Exception:
        text = f"none of {k + 1}"
    return Verdict.yes if text.lower() == "yes" else Verdict.no


SAME = '''
record Passage:
    id: str
    text: untrusted str
    after: Passage?

enum Verdict: yes, no

tool search(query: str, limit: int = 20) -> list[Passage] reads web

@model("small")
@retry(2, backoff=0.2s)
llm answer(question: str, passages: list[Passage]) -> str:
    """Answer {question} from {[p.text for p in passages]}.

    Say {{nothing}} else.
    """

@timeout(30.0s)
@budget($0.02, tokens=1000)
flow ask(question: str, k: int = 8) -> Verdict:
    """Asks."""
    hits = search(question, limit=3)
    texts: list[str] = []
    with timeout(3.0s), budget(calls=3):
        for i, hit in enumerate(hits):
            if hit.id == "x" and i > 3:
                break
            elif i == k:
                continue
            else:
                texts += [hit.text]
    try:
        text = vote(answer(question, hits), max=5, lead=2)
    else:
        text = f"none of {k + 1}"
    return Verdict.yes if text.lower() == "yes" else Verdict.no
'''


def by_name(declarations: Any) -> dict[str, Any]:
    return {declaration.name: declaration for declaration in declarations}


def test_a_decorated_program_is_the_tree_of_the_same_program_in_the_language() -> None:
    assert by_name(build(ask).program.declarations) == by_name(parse(SAME, "same.flow").declarations)


def test_spans_point_at_the_python_source() -> None:
    built = build(ask)
    lines = Path(__file__).read_text(encoding="utf-8").split("\n")
    flow = by_name(built.program.declarations)["ask"]
    span = flow.body[0].span
    assert (
        lines[span.line - 1][span.column - 1 : span.end_column - 1] == "hits = search(question, limit=LIMIT)"
    )


def test_holes_of_a_prompt_point_at_the_docstring() -> None:
    prompt = by_name(build(ask).program.declarations)["answer"].prompt
    assert isinstance(prompt, Template)
    lines = Path(__file__).read_text(encoding="utf-8").split("\n")
    hole = next(part for part in prompt.parts if isinstance(part, Hole))
    assert isinstance(hole.expression, Name)
    span = hole.expression.span
    assert lines[span.line - 1][span.column - 1 : span.end_column - 1] == "question"


def test_numpy_functions_are_the_built_ins_of_their_names() -> None:
    body = by_name(build(cosine).program.declarations)["cosine"].body
    same = parse(
        "kernel cosine(q: f32[m, d], r: f32[n, d]) -> f32[m, n]:\n"
        "    q = q / sqrt(sum(q * q, axis=1, keepdims=true) + 1e-6)\n"
        "    return q @ r.T\n",
        "same.flow",
    )
    assert body == by_name(same.declarations)["cosine"].body


def test_a_callable_that_is_no_flow_gets_a_flow_around_it() -> None:
    built = build(answer)
    wrapper = by_name(built.program.declarations)[built.entry]
    assert isinstance(wrapper, Callable)
    assert wrapper.kind == "flow"
    assert wrapper.parameters == by_name(built.program.declarations)["answer"].parameters


def test_tools_are_bound_to_their_functions() -> None:
    assert build(ask).tools == {"search": search.function}


def test_variables_of_enclosing_functions_are_seen() -> None:
    factor = 4

    @flowc.tool(effects="pure")
    def scaled(x: int) -> int:
        return x * factor

    @flowc.flow
    def outer(x: int) -> int:
        return scaled(x) + factor

    assert set(by_name(build(outer).program.declarations)) == {"scaled", "outer"}


def test_a_literal_of_texts_is_an_enum() -> None:
    @flowc.llm
    def judge(claim: str) -> Literal["good", "bad"]:
        """Is {claim} good or bad?"""

    declarations = by_name(build(judge).program.declarations)
    assert declarations["good_or_bad"].members == ("good", "bad")


def refused(definition: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(CompileError) as caught:
        build(definition)
    return [(found.code, found.title, found.help) for found in caught.value.diagnostics]


def test_what_the_language_lacks_is_named_with_what_to_write_instead() -> None:
    @flowc.flow
    def wrong(q: str) -> str:
        while True:
            q = q + q
        f = sorted(q, key=lambda x: x)
        import os

        y = {1, 2}
        print(q)
        (a, b), c = f, y
        return [q].append(os, a, b, c)

    found = refused(wrong)
    codes = [code for code, _, _ in found]
    assert codes == ["E0081", "E0082", "E0081", "E0082", "E0085", "E0081", "E0082"]
    assert all(help for code, _, help in found)


def test_parameters_need_types() -> None:
    @flowc.flow
    def wrong(q, r: np.ndarray, s: list, *rest: int):  # type: ignore[no-untyped-def]
        return q

    found = refused(wrong)
    assert [code for code, _, _ in found] == ["E0088", "E0083", "E0084", "E0084", "E0083"]
    assert "flowc.f32" in found[2][2]


def test_a_tuple_is_no_parameter_and_is_not_written_in_a_kernel() -> None:
    @flowc.flow
    def longest(words: tuple[str, ...]) -> str:
        return words[0]

    @flowc.kernel
    def both(x: flowc.f32["n"]) -> tuple[flowc.f32["n"], flowc.f32["n"]]:
        return x + 1, x * 2

    assert [(code, "list[T]" in help) for code, _, help in refused(longest)] == [("E0084", True)]
    assert [(code, "flowc.jit" in help) for code, _, help in refused(both)] == [("E0082", True)]


def test_a_model_needs_a_prompt() -> None:
    @flowc.llm
    def wrong(q: str) -> str: ...

    assert [code for code, _, _ in refused(wrong)] == ["E0089"]


def test_a_hole_must_be_an_expression() -> None:
    @flowc.llm
    def wrong(q: str) -> str:
        """Answer {q and}."""

    assert [code for code, _, _ in refused(wrong)] == ["E0090"]


def test_effects_must_be_effects() -> None:
    @flowc.tool(effects="reads")
    def wrong(q: str) -> str:
        return q

    @flowc.flow
    def outer(q: str) -> str:
        return wrong(q)

    assert [code for code, _, _ in refused(outer)] == ["E0091"]


def test_a_function_without_source_is_refused() -> None:
    space: dict[str, Any] = {}
    exec(compile(ast.parse("def made(q: str) -> str:\n    return q"), "<made>", "exec"), space)
    assert [code for code, _, _ in refused(flowc.flow(space["made"]))] == ["E0080"]


def test_errors_carry_the_drawn_diagnostic() -> None:
    @flowc.flow
    def wrong(q: str) -> str:
        return math.gamma(q)

    with pytest.raises(CompileError) as caught:
        build(wrong)
    note = "".join(caught.value.__notes__)
    assert "return math.gamma(q)" in note
    assert "test_front_end.py" in note


def test_building_twice_gives_equal_programs() -> None:
    first: Built = build(ask)
    assert build(ask).program == first.program


def test_a_dict_grows_by_put() -> None:
    @flowc.flow
    def lengths(words: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for word in words:
            found = flowc.put(found, word, len(word))
        return found

    assert lengths(["a", "bc", "a"]) == {"a": 1, "bc": 2}
    assert flowc.put({"a": 1}, "b", 2) == {"a": 1, "b": 2}


def test_a_text_is_split_into_sentences_in_a_flow_and_outside() -> None:
    @flowc.flow
    def shouted(text: str) -> list[str]:
        return [each.upper() for each in flowc.sentences(text)]

    assert shouted("It rains. So?") == ["IT RAINS.", "SO?"]
    assert flowc.sentences("It rains. So?") == ["It rains.", "So?"]


def test_what_a_module_lacks_is_said_of_the_module() -> None:
    @flowc.flow
    def wrong(words: list[str]) -> int:
        return flowc.lenght(words)  # type: ignore[attr-defined, no-any-return]

    [(code, title, _)] = refused(wrong)
    assert (code, title) == ("E0086", "the module `flowc` has no such name")
