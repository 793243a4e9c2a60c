"""The checker stays fast on long and deep programs, and is never surprised."""

import random
import sys
import time
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowc.compiler import syntax
from flowc.compiler.checker import check, check_kernel
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.parser import parse
from flowc.runtime.types import Array, Scalar
from tests.checker.programs import body, codes
from tests.typed_programs import typed_programs

WORK = "tool work(i: int) -> int pure\n\n"


@pytest.fixture
def deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(30_000)
    yield
    sys.setrecursionlimit(before)


def seconds(text: str) -> float:
    """How long checking takes, parsing left out."""
    program = parse(text, "main.flow")
    start = time.perf_counter()
    check(program, Source("main.flow", text))
    return time.perf_counter() - start


SHAPES = {
    "a chain": lambda n: "".join("    x = work(x)\n" for _ in range(n)),
    "a fan": lambda n: "".join(f"    x{i} = work(x) + {i}\n" for i in range(n)),
    "branches": lambda n: "".join(
        f"    if x > {i}:\n        x = work(x)\n    y{i} = x\n" for i in range(n // 3)
    ),
    "loops": lambda n: "".join(f"    for i in range({i}):\n        x = work(x)\n" for i in range(n // 2)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_checking_takes_time_in_proportion_to_the_program(shape: str) -> None:
    def program(count: int) -> str:
        return WORK + f"flow main(x: int) -> int:\n{SHAPES[shape](count)}    return x\n"

    small = min(seconds(program(400)) for _ in range(3))
    large = min(seconds(program(3200)) for _ in range(2))
    assert large < 8 * small * 3


@pytest.mark.usefixtures("deep")
def test_nested_loops_are_followed_once_and_not_once_a_level() -> None:
    lines = ["flow main(x: int) -> int:"]
    for level in range(90):
        lines.append("    " * (level + 1) + f"for i{level} in range(2):")
        lines.append("    " * (level + 2) + "x = work(x)")
    assert seconds(WORK + "\n".join(lines) + "\n    return x\n") < 5


@pytest.mark.usefixtures("deep")
@pytest.mark.parametrize(
    "expression",
    [
        "(" * 900 + "x" + " + 1)" * 900,
        "-" * 900 + "x",
        " + ".join(["x"] * 900),
        "(1 if x > 0 else " * 300 + "2" + ")" * 300,
    ],
)
def test_deep_expressions_are_checked(expression: str) -> None:
    assert codes(body(f"return {expression}", "x: int", "int")) == []


def test_a_program_full_of_errors_tells_fifty_of_them_soon() -> None:
    lines = "\n".join(f"x{i} = wrk(y{i})" for i in range(3000))
    start = time.perf_counter()
    assert len(codes(body(lines))) == 50
    assert time.perf_counter() - start < 10


def _parts(node: object) -> list[object]:
    """Every expression of a tree."""
    found: list[object] = []
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, tuple):
            pending.extend(each)
        elif attrs.has(type(each)) and not isinstance(each, syntax.Span):
            found += [each] if isinstance(each, syntax.Expression) else []
            pending.extend(getattr(each, field.name) for field in attrs.fields(type(each)))
    return found


def _replaced(node: object, old: object, new: object) -> object:
    """The tree with one expression put in the place of another."""
    if node is old:
        return new
    if isinstance(node, tuple):
        return tuple(_replaced(each, old, new) for each in node)
    if not attrs.has(type(node)) or isinstance(node, syntax.Span):
        return node
    values = {field.name: getattr(node, field.name) for field in attrs.fields(type(node))}
    changed = {name: _replaced(value, old, new) for name, value in values.items()}
    return attrs.evolve(node, **changed) if any(changed[n] is not values[n] for n in values) else node


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(typed_programs(budget=6), st.integers(0, 2**32))
def test_a_program_with_two_expressions_exchanged_checks_or_is_told_why_not(
    program: syntax.Program, seed: int
) -> None:
    choose = random.Random(seed)
    broken = program
    for _ in range(3):
        parts = _parts(broken.declarations)
        broken = _replaced(broken, choose.choice(parts), choose.choice(parts))
    try:
        check(broken, Source("broken.flow", ""))
    except CompileError as error:
        assert all(each.title and each.labels for each in error.diagnostics)


def test_a_kernel_is_checked_for_the_types_of_a_call() -> None:
    text = "kernel scale(x: f32[n], k: int) -> f32[n]:\n    return sum(x * k, axis=1)\n"
    program = parse(text, "main.flow")
    kernel = program.declarations[0]
    assert isinstance(kernel, syntax.Callable)
    checked = check_kernel(kernel, [Array("f16", ("a", 1)), Scalar("float")], Source("main.flow", text))
    assert checked.callables["scale"].result == Array("f16", ("a",))
    with pytest.raises(CompileError) as caught:
        check_kernel(kernel, [Array("f16", ("a",)), Scalar("float")], Source("main.flow", text))
    assert [each.code for each in caught.value.diagnostics] == ["E0205"]
