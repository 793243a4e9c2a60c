"""Decorated functions run: results equal those of the plain functions, in the program's own classes."""

import asyncio
import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowc

m, n, d = flowc.dims("m n d")


class Colour(enum.Enum):
    red = "r"
    green = "g"


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    colour: Colour = Colour.red


@flowc.tool(effects="pure")
def double(x: int) -> int:
    return 2 * x


@flowc.tool(effects="reads points")
def points(count: int) -> list[Point]:
    return [Point(float(i), 2.0 * i, Colour.green if i % 2 else Colour.red) for i in range(count)]


@flowc.tool(effects="pure")
def length(point: Point) -> float:
    assert isinstance(point, Point), "tools get the classes they are annotated with"
    return (point.x**2 + point.y**2) ** 0.5


@flowc.flow
def lengths(count: int) -> list[float]:
    return [length(p) for p in points(count) if p.colour == Colour.green]


@flowc.flow
def last(count: int) -> Point:
    return points(count)[-1]


@flowc.flow
def arithmetic(a: int, b: int, xs: list[int], word: str) -> list[int]:
    total = 0
    for i, x in enumerate(xs):
        if x < 0:
            continue
        if x > 50:
            break
        total += x * (i + a) - b // 3
    best = max(a, b) if a != b else len(word)
    found = [double(x) + total for x in xs if x % 2 == 0]
    counts = [total, best, len(word.upper()), -a % 7]
    return found + counts


@flowc.kernel
def cosine(q: flowc.f32[m, d], r: flowc.f32[n, d]) -> flowc.f32[m, n]:
    q = q / np.sqrt(np.sum(q * q, axis=1, keepdims=True) + 1e-6)
    r = r / np.sqrt(np.sum(r * r, axis=1, keepdims=True) + 1e-6)
    return q @ r.T


@flowc.kernel
def rearranged(x: flowc.f64[m, n]) -> flowc.f64[n, m]:
    limited = np.clip(x, -0.5, 0.5)
    turned = np.transpose(limited, (1, 0)) + limited.transpose(1, 0)
    doubled = np.concatenate([x, x]).astype(np.float64)
    return turned + sum(x)[:, None] + doubled.sum() * np.sqrt(4)


@flowc.human
def approve(what: str) -> bool:
    """May {what} be done?"""


@flowc.flow
def ask(what: str) -> str:
    return "done" if approve(what) else "left"


def test_records_and_enums_come_back_as_the_classes_of_the_program() -> None:
    assert last(4) == Point(3.0, 6.0, Colour.green)
    assert lengths(4) == lengths.function(4)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(-(10**20), 10**20),
    st.integers(-100, 100),
    st.lists(st.integers(-9, 60), max_size=8),
    st.text(alphabet="abcdef", max_size=5),
)
def test_a_flow_gives_what_the_plain_function_gives(a: int, b: int, xs: list[int], word: str) -> None:
    assert arithmetic(a, b, xs, word) == arithmetic.function(a, b, xs, word)


def test_a_kernel_gives_what_the_plain_function_gives() -> None:
    random = np.random.default_rng(1)
    q = random.standard_normal((3, 16), dtype=np.float32)
    r = random.standard_normal((5, 16), dtype=np.float32)
    np.testing.assert_allclose(cosine(q, r), cosine.function(q, r), rtol=1e-5, atol=1e-6)


@flowc.kernel
def best(x: flowc.f32["n"]) -> tuple[flowc.f32[2], flowc.i64[2]]:
    return flowc.topk(x, 2)


@flowc.tool(effects="pure")
def counted(word: str) -> tuple[Point, int]:
    return Point(0.5, 2.0, Colour.green), len(word)


@flowc.flow
def both_of(word: str) -> tuple[Point, int]:
    return counted(word)


def test_a_kernel_gives_several_results_also_into_buffers() -> None:
    x, values, places = np.float32([1, 5, 3]), np.empty(2, np.float32), np.empty(2, np.int64)
    assert [each.tolist() for each in best(x)] == [[5.0, 3.0], [1, 2]]
    found = best(x, out=(None, places))
    assert (found[0].tolist(), found[1] is places, places.tolist()) == ([5.0, 3.0], True, [1, 2])
    assert best(x, out=(values, places))[0] is values


def test_the_parts_of_a_tuple_come_back_as_the_classes_of_the_program() -> None:
    assert both_of("abc") == (Point(0.5, 2.0, Colour.green), 3)


def test_a_kernel_may_clip_turn_and_join_arrays_and_add_axes_as_numpy_does() -> None:
    x = np.random.default_rng(2).standard_normal((3, 4))
    np.testing.assert_allclose(rearranged(x), rearranged.function(x), rtol=1e-12)


def test_the_coroutine_form_runs_on_the_running_loop() -> None:
    async def several() -> list[Any]:
        return await asyncio.gather(*(lengths.run(i) for i in range(5)))

    assert asyncio.run(several()) == [lengths.function(i) for i in range(5)]


def test_people_are_answered_for_by_values_and_by_functions() -> None:
    assert ask.using(answers={"approve": True})("it") == "done"
    assert ask.using(answers={"approve": lambda prompt: "nothing" in prompt})("nothing") == "done"
    assert ask.using(answers={"approve": "no"})("it") == "left"


def test_a_report_counts_what_ran() -> None:
    report = lengths.report(4)
    assert report.status == "ok"
    assert report.calls == 3


def test_a_failing_tool_raises_a_coded_error() -> None:
    @flowc.tool(effects="pure")
    def broken(x: int) -> int:
        raise ValueError("no luck")

    @flowc.flow
    def outer(x: int) -> int:
        return broken(x)

    with pytest.raises(flowc.FlowError, match="no luck"):
        outer(1)


def test_wrong_arguments_are_those_of_a_python_call() -> None:
    with pytest.raises(TypeError):
        lengths()  # type: ignore[call-arg]
    with pytest.raises(flowc.FlowError):
        lengths("many")  # type: ignore[arg-type]


def test_check_gives_diagnostics_and_runs_nothing() -> None:
    @flowc.flow
    def wrong(x: int) -> str:
        return x + 1  # type: ignore[return-value]

    found = wrong.check()
    assert [diagnostic.severity for diagnostic in found] == ["error"]
    assert "return x + 1" in str(found)
    assert lengths.check() == ()


def test_stages_can_be_printed() -> None:
    assert "flowchart" in lengths.emit("mermaid")
    assert "flow.func" in lengths.emit("flow")
    with pytest.raises(ValueError, match="mermaid"):
        lengths.emit("spirv")


@dataclass
class Note:
    text: str
    tags: list[str] = field(default_factory=list)
    weight: float = 0.5


@attrs.frozen
class Pinned:
    text: str
    marks: list[str] = attrs.field(factory=list)
    place: int = 7


class Pair(NamedTuple):
    left: str
    right: str = "r"


@flowc.flow
def noted(text: str) -> list[Note]:
    return [Note(text), Note(text=text, weight=1.0), Note(text, ["a"])]


@flowc.flow
def pinned(text: str) -> Pinned:
    return Pinned(text, place=8)


@flowc.flow
def paired(text: str) -> Pair:
    return Pair(text)


def test_fields_that_are_left_out_have_the_defaults_of_their_class() -> None:
    assert noted("x") == [Note("x"), Note("x", weight=1.0), Note("x", ["a"])]
    assert pinned("x") == Pinned("x", place=8)
    assert paired("x") == Pair("x")


def test_only_functions_written_in_python_can_be_decorated() -> None:
    with pytest.raises(TypeError, match="len"):
        flowc.jit(len)(np.ones(2))


@flowc.tool(effects="pure", associative=True)
def joined(first: str, second: str) -> str:
    return f"({first}{second})"


@flowc.flow(associative=True)
def joined_by_a_flow(first: str, second: str) -> str:
    return joined(first, second)


@flowc.llm(associative=True)
def merged(first: str, second: str) -> str:
    """Say both: {first} {second}"""


@flowc.flow
def folded(notes: list[str]) -> str:
    text = "-"
    for note in notes:
        text = joined(text, note)
    return text


@flowc.flow
def folded_by_a_flow(notes: list[str]) -> str:
    text = "-"
    for note in notes:
        text = joined_by_a_flow(text, note)
    return text


@flowc.flow
def folded_by_a_model(notes: list[str]) -> str:
    text = "-"
    for note in notes:
        text = merged(text, note)
    return text


@pytest.mark.parametrize("fold", [folded, folded_by_a_flow])
def test_a_loop_of_what_is_associative_is_a_tree_in_which_the_order_is_kept(fold: Any) -> None:
    assert fold(list("abcdefg")) == "(((-a)(bc))((de)(fg)))"


def test_a_model_may_be_associative_as_tools_and_flows_are() -> None:
    rounds = folded_by_a_model.emit("opt")
    assert "flow.for" not in rounds
    assert "agent.generate_batch" in rounds  # a level of the tree at once


def test_what_is_associative_combines_two_values_of_its_own_type() -> None:
    @flowc.tool(effects="pure", associative=True)
    def counted(first: str, second: str) -> int:
        return len(first + second)

    @flowc.flow
    def count(text: str) -> int:
        return counted(text, text)

    with pytest.raises(flowc.CompileError, match="E0426"):
        count("a")
