"""Lowering keeps meaning: the IR of a program does what the syntax tree says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.reference import evaluate
from flowc.dialects.flow.control import IfOp
from tests.lower.tree_walk import Walker
from tests.passes.flow_text import GeneratedWorld, programs


@settings(max_examples=80, deadline=None)
@given(programs(), st.integers(0, 4))
def test_the_ir_does_what_the_tree_says(text: str, n: int) -> None:
    checked = driver.check_text(text, "generated.flow")
    world, other = GeneratedWorld(), GeneratedWorld()
    try:
        wanted, failed = Walker(checked.program, world).flow("main", [n]), False
    except (ArithmeticError, ValueError):
        wanted, failed = None, True
    outcome = evaluate(driver.lowered(checked, driver.Options()), "main", {"n": n}, other)
    assert (outcome.failure is not None) == failed
    assert outcome.value == wanted
    assert other.calls == world.calls


def value_of(program: str, **arguments: object) -> object:
    module = driver.lowered(driver.check_text(program, "main.flow"), driver.Options())
    outcome = evaluate(module, "main", arguments, GeneratedWorld())
    assert outcome.failure is None, outcome.failure
    return outcome.value


EARLY = """\
flow main(n: int) -> int:
    if n > 1:
        return 1
    if n > 0:
        return 2
    return 3
"""


def test_a_usual_early_return_needs_no_flag() -> None:
    program = EARLY
    module = driver.lowered(driver.check_text(program, "main.flow"), driver.Options())
    assert all(len(op.res) == 1 for op in module.walk() if isinstance(op, IfOp))
    assert [value_of(program, n=n) for n in (2, 1, 0)] == [1, 2, 3]


@pytest.mark.parametrize("count", [3, 50, 200])
def test_many_early_returns_do_not_nest(count: int) -> None:
    lines = [f"    if n == {i}:\n        return {i * 2}\n    a += {i}\n" for i in range(count)]
    program = "flow main(n: int) -> int:\n    a = 0\n" + "".join(lines) + "    return a\n"
    assert value_of(program, n=count - 1) == 2 * (count - 1)
    assert value_of(program, n=-1) == sum(range(count))


@pytest.mark.parametrize("chosen", [0, 41, 99, 500])
def test_a_long_chain_of_branches_does_not_nest(chosen: int) -> None:
    lines = [f"    elif n == {i}:\n        a = {i * 2}\n" for i in range(1, 100)]
    program = "flow main(n: int) -> int:\n    if n == 0:\n        a = 0\n" + "".join(lines)
    program += "    else:\n        return 7\n    return a\n"
    assert value_of(program, n=chosen) == (7 if chosen == 500 else 2 * chosen)


def test_choices_nested_without_end_are_refused() -> None:
    program = "flow main(n: int) -> int:\n    return "
    program += "".join(f"({i} if n == {i} else " for i in range(300)) + "n" + ")" * 300 + "\n"
    checked = driver.check_text(program, "main.flow")
    with pytest.raises(CompileError) as caught:
        driver.compile_checked(checked)
    assert [each.code for each in caught.value.diagnostics] == ["E0540"]


def test_deep_expressions_are_lowered() -> None:
    assert value_of("flow main(n: int) -> int:\n    return " + " + ".join(["n"] * 900) + "\n", n=2) == 1800
    assert (
        value_of("flow main(n: int) -> int:\n    return " + "(1 + " * 400 + "n" + ")" * 400 + "\n", n=2)
        == 402
    )


BODIES = """\
# 3: a break keeps what was assigned before it
for x in [3, 1, 2]:
    if x == 1:
        break
    found = x
return found

# 11: a break keeps what its own branch assigned
for x in [3, 1, 2]:
    if x == 1:
        found = 10 + x
        break
return found

# 4: continue skips the rest of a round
for x in [1, 2, 3]:
    if x == 2:
        continue
    found += x
return found

# 12: a return leaves both loops
for x in [1, 2]:
    for y in [1, 2]:
        if x * y == 2:
            return x * 10 + y
return 0

# 3: a while ends at a break
while found < 100 up to 5:
    found += 1
    if found == 3:
        break
return found

# 8: a while ends at its bound
while true up to 4:
    found += 2
return found

# 9: what fails is tried another way, with the variables as they were
try:
    found = 4
    found = 1 // (found - 4)
    return 5
else:
    found += 9
return found

# 6: a return leaves a limited block
with timeout(5s):
    if found == 0:
        return 6
    found = 2
return found

# 2: a tuple is taken apart
a, b = zip([1], [2])[0]
return a * b
"""


@pytest.mark.parametrize("case", BODIES.split("\n\n"))
def test_control_leaves_where_it_says(case: str) -> None:
    title, *lines = case.strip().splitlines()
    wanted = int(title.removeprefix("# ").partition(":")[0])
    body = "\n".join(f"    {line}" for line in ["found = 0", *lines])
    assert value_of(f"flow main() -> int:\n{body}\n") == wanted
