"""Where steps stand in plans: paths that lead somewhere, and paths that lead nowhere."""

import pytest

from flowc.compiler.driver import compile_text
from flowc.runtime.durable.moving import Moves
from flowc.runtime.durable.past import GONE
from flowc.runtime.durable.places import block_of, calls_to, first_of, outline
from flowc.runtime.plan import Plan
from tests.durable.world import HEADER

TEXT = """
@timeout(1h)
flow leaf(i: int) -> int:
    return put(i) + look(i)

flow main(n: int) -> int:
    a = leaf(n)
    b = try put(a) else look(a)
    xs = [put(i) for i in range(b)]
    return sum(xs)
"""


def plan_of(text: str = TEXT, level: int = 0) -> Plan:
    return compile_text(HEADER + text, "program.flow", level=level).plan


def path_to(*names: str, text: str = TEXT) -> str:
    """The path of a call, through the calls of these names; in their first blocks and elements."""
    bindings = outline(plan_of(text))
    block, path = bindings.block("main"), "main"
    for at, name in enumerate(names):
        call = next(each for each in block.instructions if name in (each.node.name, each.node.op))
        path += f"/{call.place}"
        inner = block_of(bindings, call, 0)
        if inner is not None and at + 1 < len(names):
            block = inner
            path += "[0]" if call.node.op == "map" else ".0" if len(call.blocks) > 1 else ""
    return path


@pytest.mark.parametrize(
    "names", [("leaf",), ("leaf", "put"), ("attempt",), ("attempt", "put"), ("map", "put")], ids="/".join
)
def test_a_path_leads_through_the_calls_around_a_step(names: tuple[str, ...]) -> None:
    calls = calls_to(outline(plan_of()), "main", path_to(*names))
    assert len(calls) == len(names)
    assert calls[-1].node.name == names[-1] or calls[-1].node.op == names[-1]


def test_a_path_that_a_plan_has_not_leads_nowhere() -> None:
    bindings = outline(plan_of())
    attempt, leaf, many = (path_to(name) for name in ("attempt", "leaf", "map"))
    for path in (
        "main/99:put",
        "main/nothing",
        f"{attempt}.7/0:put",
        f"{attempt}/0:put",
        f"{leaf}/99:put",
        f"{many}[0]/99:put",
        "other/0:put",
        "",
    ):
        assert calls_to(bindings, "main", path) == [], path
    assert calls_to(bindings, "nowhere", "nowhere/0:put") == []
    assert first_of(bindings.block("main"), "/nothing") is None


def test_nothing_can_be_called_in_a_plan_that_is_looked_at() -> None:
    bindings = outline(plan_of())
    function = bindings.function(bindings.plan.operations["put"])
    assert function is not None
    with pytest.raises(AssertionError, match="calls nothing"):
        function(1)


def moved(text: str, *steps: str) -> list[str]:
    moves = Moves(outline(plan_of()), outline(plan_of(text)), "main")
    return [moves.of(step) for step in steps]


def test_steps_move_with_the_calls_around_them() -> None:
    text = TEXT.replace("    a = leaf(n)\n", "    mark(n)\n    a = leaf(n)\n")
    for names in (("leaf", "put"), ("attempt", "put"), ("map", "put")):
        old, new = path_to(*names), path_to(*names, text=text)
        assert moved(text, old, f"{old}!retry") == [new, f"{new}!retry"]
        assert old != new


def test_what_has_no_place_in_the_new_plan_is_gone_and_the_flow_stays() -> None:
    inside, attempt = path_to("leaf", "put"), path_to("attempt")
    without = TEXT.replace("put(i) + look(i)", "look(i)")
    assert moved(without, inside) == [GONE + inside]
    assert moved(TEXT, f"{attempt}.7/0:put") == [f"{GONE}{attempt}.7/0:put"]
    for stays in ("main", "main!deadline", "other/0:put"):
        assert moved(TEXT, stays) == [stays]
