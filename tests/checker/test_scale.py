"""The checker stays fast on long and deep programs, and is never surprised."""

import contextlib
import random
import sys
from collections.abc import Iterator
from types import FrameType

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowc.compiler import syntax
from flowc.compiler.checker import check
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.parser import parse
from flowc.testing.strategies.programs import typed_programs
from tests.checker.programs import body, codes

WORK = "tool work(i: int) -> int pure\n\n"


@pytest.fixture
def deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(30_000)
    yield
    sys.setrecursionlimit(before)


def calls_made(text: str) -> int:
    """How many function calls checking takes: a measure of work that does not depend on the machine."""
    program, count = parse(text, "main.flow"), 0

    def seen(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        check(program, Source("main.flow", text))
    finally:
        sys.setprofile(None)
    return count


SHAPES = {
    "a chain": lambda n: "".join("    x = work(x)\n" for _ in range(n)),
    "a fan": lambda n: "".join(f"    x{i} = work(x) + {i}\n" for i in range(n)),
    "branches": lambda n: "".join(
        f"    if x > {i}:\n        x = work(x)\n    y{i} = x\n" for i in range(n // 3)
    ),
    "loops": lambda n: "".join(f"    for i in range({i}):\n        x = work(x)\n" for i in range(n // 2)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_checking_takes_work_in_proportion_to_the_program(shape: str) -> None:
    def program(count: int) -> str:
        return WORK + f"flow main(x: int) -> int:\n{SHAPES[shape](count)}    return x\n"

    assert calls_made(program(1200)) < 4 * 1.1 * calls_made(program(300))


@pytest.mark.usefixtures("deep")
def test_nested_loops_are_followed_once_and_not_once_a_level() -> None:
    def program(depth: int) -> str:
        lines = ["flow main(x: int) -> int:"]
        for level in range(depth):
            lines.append("    " * (level + 1) + f"for i{level} in range(2):")
            lines.append("    " * (level + 2) + "x = work(x)")
        return WORK + "\n".join(lines) + "\n    return x\n"

    assert calls_made(program(80)) < 16 * calls_made(program(20))


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


def test_a_program_full_of_errors_tells_fifty_of_them() -> None:
    def program(count: int) -> str:
        return body("\n".join(f"x{i} = wrk(y{i})" for i in range(count)))

    def told(text: str) -> int:
        return len(codes(text))

    assert told(program(60)) == told(program(2000)) == 50


def _parts(node: object) -> list[object]:
    """The expressions of a tree, but those that the syntax restricts to one kind."""
    found: list[object] = []
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, tuple):
            pending.extend(each)
        elif attrs.has(type(each)) and not isinstance(each, syntax.Span):
            found += [each] if isinstance(each, syntax.Expression) else []
            names = [field.name for field in attrs.fields(type(each))]
            pending.extend(getattr(each, name) for name in names if name not in ("limits", "prompt"))
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
    with contextlib.suppress(CompileError):
        check(broken, Source("broken.flow", ""))
