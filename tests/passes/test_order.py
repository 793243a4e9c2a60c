"""The order of effects: what must wait waits, what need not does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.dialects.agent.calls import AskOp, GenerateOp, ToolCallOp
from flowc.dialects.flow.control import AttemptOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.order import effect_order

HEADER = """\
tool pure_() -> int pure
tool read_a() -> int reads a
tool read_b() -> int reads b
tool write_a() -> int writes a
tool write_b() -> int writes b

tool nap() -> int sleep

llm model() -> int:
    \"\"\"Say a number\"\"\"

human person() -> int:
    \"\"\"Say a number\"\"\"

"""
CALLS = ("pure_", "read_a", "read_b", "write_a", "write_b", "model", "person", "nap")


def order_of(names: list[str]) -> list[set[int]]:
    """For each call, the positions of all calls before it that it waits for, directly or through others."""
    body = "\n".join(f"    x{i} = {name}()" for i, name in enumerate(names))
    text = f"{HEADER}flow main() -> int:\n{body}\n    return 0\n"
    module = driver.lowered(driver.check_text(text, "main.flow"), driver.Options())
    function = next(op for op in module.ops if isinstance(op, FuncOp))
    edges = effect_order(function.body.block, Effects())
    calls = [op for op in function.body.block.ops if isinstance(op, ToolCallOp | GenerateOp | AskOp)]
    position = {op: i for i, op in enumerate(calls)}
    closed: list[set[int]] = []
    for op in calls:
        direct = {position[each] for each in edges[op] if each in position}
        closed.append(direct.union(*(closed[each] for each in direct)))
    return closed


@pytest.mark.parametrize("kind", ["human", "unknown", "sleep"])
def test_what_asks_people_writes_or_waits_keeps_its_order_with_itself(kind: str) -> None:
    assert not Summary(**{kind: True}).commutes_with_itself
    assert not Summary(writes=frozenset("a")).commutes_with_itself
    assert Summary(reads=frozenset("a"), llm=True).commutes_with_itself


def conflict(first: str, second: str) -> bool:
    """Whether two calls must keep their order: the definition, pair by pair."""
    if first == second == "person":
        return True
    if "nap" in (first, second):
        return "pure_" not in (first, second)
    kinds = [name.partition("_") for name in (first, second)]
    if any(kind not in ("read", "write") for kind, _, _ in kinds):
        return False
    (one, _, resource), (two, _, other) = kinds
    return resource == other and "write" in (one, two)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CALLS), max_size=12))
def test_calls_wait_for_exactly_those_before_them_that_conflict(names: list[str]) -> None:
    wanted: list[set[int]] = []
    for later, name in enumerate(names):
        direct = {earlier for earlier in range(later) if conflict(names[earlier], name)}
        wanted.append(direct.union(*(wanted[each] for each in direct)))
    assert order_of(names) == wanted


def test_unrelated_branches_share_no_barrier() -> None:
    text = HEADER + "flow main(n: int) -> int:\n    a = read_a() if n > 1 else write_b()\n    b = read_b()\n"
    text += "    c = model()\n    d = write_a()\n    return a + b + c + d\n"
    module = driver.optimised(driver.check_text(text, "main.flow"))
    function = next(op for op in module.ops if isinstance(op, FuncOp))
    edges = effect_order(function.body.block, Effects())
    names = {op: op.name for op in edges}
    waits = {str(op.properties.get("callee", names[op])): [names[each] for each in edges[op]] for op in edges}
    assert waits["@model"] == []
    assert waits["@read_b"] == ["flow.if"]
    assert waits["@write_a"] == ["flow.if"]


GUARDED = """\
tool check(i: int) -> int pure
tool look(i: int) -> int reads db
tool send(i: int) -> int writes mail
tool log_(i: int) -> int writes journal

flow main(n: int) -> int:
    try:
        a = check(n)
        b = look(n)
        send(1)
        c = check(n + 1)
        log_(2)
    else:
        c = 0
    return c
"""


def test_where_a_failure_is_caught_writes_wait_for_all_that_may_fail() -> None:
    module = driver.optimised(driver.check_text(GUARDED, "main.flow"))
    attempt = next(op for op in module.walk() if isinstance(op, AttemptOp))
    edges = effect_order(attempt.body.block, Effects())
    calls = [op for op in edges if isinstance(op, ToolCallOp)]
    waits = [{calls.index(each) for each in edges[op]} for op in calls]
    assert waits == [set(), set(), {0, 1}, {2}, {3}]


def test_a_flow_called_where_a_failure_is_caught_is_guarded_itself() -> None:
    text = HEADER + "flow inner() -> int:\n" + "    x = write_a()\n" * 120 + "    return x\n\n"
    text += "flow main() -> int:\n    return try inner() else 0\n"
    module = driver.optimised(driver.check_text(text, "main.flow"))
    guarded = {op.sym_name.data: "guarded" in op.attributes for op in module.ops if isinstance(op, FuncOp)}
    assert guarded == {"inner": True, "main": False}
