"""From IR to plan: instructions, order, captured slots, and nothing for what changes nothing."""

from hypothesis import given, settings

from flowc.compiler import driver
from flowc.runtime.plan import Node, Plan, Region
from flowc.runtime.plan_check import check_plan
from flowc.runtime.plan_json import dumps, loads
from tests.passes.flow_text import programs

PROGRAM = """\
record Hit:
    text: str

tool search(q: str, limit: int = 20) -> list[Hit] reads web
tool send(to: str, body: str) -> none writes mail

@model("small")
@retry(2, backoff=200ms)
llm answer(q: str, hits: list[Hit]) -> str?:
    \"\"\"Answer {q} from {hits}\"\"\"

@timeout(30s)
flow main(q: str, to: str) -> str:
    hits = search(q)
    first = answer(q, hits)
    others = [answer(hit.text, hits) for hit in hits]
    if first is none:
        return "nothing"
    send(to, first)
    send(to, f"{len(others)} more")
    return first
"""


def plan_of(text: str, level: int) -> Plan:
    plan = driver.compile_text(text, "main.flow", level=level).plan
    check_plan(plan)
    return plan


def nodes(region: Region) -> list[Node]:
    """All nodes of a region, those inside others too."""
    return [inner for node in region.nodes for inner in (node, *(n for r in node.regions for n in nodes(r)))]


def named(plan: Plan, name: str) -> list[Node]:
    return [node for node in nodes(plan.functions["main"].body) if node.name == name]


def test_operations_carry_what_a_call_needs() -> None:
    plan = plan_of(PROGRAM, 2)
    answer = plan.operations["answer"]
    assert (answer.kind, answer.model, answer.limits.retries, answer.limits.backoff) == (
        "llm",
        "small",
        2,
        0.2,
    )
    assert plan.operations["search"].parameters[1].default == 20
    assert plan.functions["main"].limits.timeout == 30.0
    assert plan.records["Hit"][0][0] == "text"
    assert [effect.kind for effect in plan.operations["send"].effects] == ["writes"]


def test_a_prompt_is_part_of_its_call() -> None:
    (call, *_) = named(plan_of(PROGRAM, 2), "answer")
    assert call.op == "generate"
    assert call.settings["segments"] == [
        "Answer ",
        {"input": 0, "name": "q"},
        " from ",
        {"input": 1, "name": "hits"},
    ]
    assert call.settings["arguments_from"] == 2
    assert call.inputs == (*call.inputs[:2], *call.inputs[:2])


def test_program_order_at_o0_and_effect_order_at_o2() -> None:
    sequential, parallel = plan_of(PROGRAM, 0), plan_of(PROGRAM, 2)
    body = sequential.functions["main"].body
    for index, node in enumerate(body.nodes[1:], 1):
        produced = set(body.nodes[index - 1].outputs)
        captured = {outer for region in node.regions for outer, _ in region.captures}
        assert index - 1 in node.after or produced & {*node.inputs, *captured}
    assert all(not node.after for node in parallel.functions["main"].body.nodes)
    first, second = named(parallel, "send")
    region = next(r for n in nodes(parallel.functions["main"].body) for r in n.regions if first in r.nodes)
    assert second.after == (region.nodes.index(first),)


def test_a_comprehension_runs_side_by_side_only_where_effects_allow() -> None:
    assert named(plan_of(PROGRAM, 0), "map")[0].settings["width"] == 1
    assert named(plan_of(PROGRAM, 2), "map")[0].settings["width"] == 64


def test_conversions_that_change_nothing_have_no_node() -> None:
    assert not [node for node in nodes(plan_of(PROGRAM, 0).functions["main"].body) if node.op == "cast"]


def test_every_node_knows_its_line_and_what_matters_has_a_rank() -> None:
    found = nodes(plan_of(PROGRAM, 2).functions["main"].body)
    assert all(12 <= node.line <= 22 for node in found)
    assert all(node.rank > 0 for node in found)
    search, answer = named(plan_of(PROGRAM, 2), "search")[0], named(plan_of(PROGRAM, 2), "answer")[0]
    assert search.rank > answer.rank


@settings(max_examples=25, deadline=None)
@given(programs())
def test_plans_check_and_survive_json(text: str) -> None:
    for level in (0, 2):
        plan = plan_of(text, level)
        assert loads(dumps(plan)) == plan
