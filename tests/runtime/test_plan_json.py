"""Plans as JSON, and what is no plan."""

import json
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest
from attrs import evolve

from flowc.runtime.errors import FlowError
from flowc.runtime.plan import Effect, Function, Limits, Parameter, Plan, Region
from flowc.runtime.plan_check import check_plan, entry
from flowc.runtime.plan_json import dumps, from_json, loads, to_json
from flowc.runtime.types import INT, STR, Enum, List, Record
from tests.runtime.plans import Builder, llm, plan, tool


def example() -> Any:
    inner = Builder()
    element = inner.parameter()
    asked = inner.one("generate", element, operation="ask", segments=["Why ", {"input": 0, "name": "x"}])
    inner.tool("note", inner.use(0), after=[0], rank=2.5, line=3)
    body = Builder()
    body.parameter()
    values = body.one("map", body.constant(["a", "b"]), regions=[inner.region(asked)], width=4)
    return plan(
        body.region(values),
        Parameter("x", INT, 3, True),
        operations=[
            llm("ask", limits=Limits(timeout=2.0, money=0.5, retries=3)),
            tool("note", INT, effects=[Effect("writes", "log", True, "unnote")]),
        ],
        result=List(STR),
        records={"P": (("a", INT), ("v", Enum("V")))},
        enums={"V": ("yes", "no")},
        limits=Limits(calls=9, memory=1000),
    )


def test_what_is_written_reads_back_equal() -> None:
    of = example()
    assert loads(dumps(of)) == of
    assert dumps(loads(dumps(of))) == dumps(of)


def broken(change: Callable[[Any], object]) -> str:
    """The code with which a changed plan is refused."""
    written = json.loads(dumps(example()))
    change(written)
    with pytest.raises(FlowError) as refused:
        from_json(written)
    return refused.value.problem.code


def body(written: Any) -> Any:
    return written["functions"]["main"]["body"]


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.pop("functions"),
        lambda w: body(w).update(size=1),
        lambda w: body(w).update(size="three"),
        lambda w: body(w).update(results=[99]),
        lambda w: body(w)["nodes"][0].update(out=[0]),
        lambda w: body(w)["nodes"][0].update(op="explode"),
        lambda w: body(w)["nodes"][0].update(regions=[]),
        lambda w: body(w)["nodes"][0].update({"in": [-1]}),
        lambda w: body(w)["nodes"][0].update(after=[0]),
        lambda w: body(w)["nodes"][0].update(after=[7]),
        lambda w: body(w)["nodes"][0]["regions"][0].update(captures=[[40, 0]]),
        lambda w: body(w)["nodes"][0]["regions"][0].update(results=[]),
        lambda w: body(w)["nodes"][0]["settings"].update(filtered=True),
        lambda w: w["operations"].pop("ask"),
        lambda w: w["operations"]["ask"].update(result={"list": 3}),
        lambda w: w["operations"]["ask"]["limits"].update(patience=3),
        lambda w: w.update(records={"P": 3}),
    ],
)
def test_a_changed_plan_is_refused(change: Callable[[Any], object]) -> None:
    assert broken(change) == "E0644"


def test_a_newer_format_is_refused_as_such() -> None:
    assert broken(lambda w: w.update(format=99)) == "E0645"


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "null"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(FlowError, match="E0644"):
        loads(text)


def test_a_flow_that_calls_itself_is_refused() -> None:
    inner = Builder()
    called = inner.one("call", function="loop")
    loop = Function("loop", (), INT, inner.region(called))
    with pytest.raises(FlowError, match="E0644"):
        check_plan(evolve(example(), functions={"loop": loop}))


def test_a_region_has_no_slots_that_nobody_writes() -> None:
    def grow(of: Any) -> None:
        of["functions"]["main"]["body"]["size"] = 10**12

    assert broken(grow) == "E0644"


def test_a_plan_is_checked_in_time_linear_in_its_size() -> None:
    once, twice = (steps_of(partial(check_plan, hostile(count))) for count in (100, 200))
    assert twice < 2.2 * once


def hostile(count: int) -> Plan:
    """Nodes that run ahead and call a long flow, branches that start early, a long chain of flows."""
    inner, many, branching = Builder(), Builder(), Builder()
    applied = [inner.apply("lower", inner.constant("A")) for _ in range(count)]
    called = [many.one("call", function="inner", ahead=True) for _ in range(count)]
    for _ in range(count):
        begun = branching.one("speculate")
        empty = (Builder().region(), Builder().region())
        branching.node("if", branching.constant(True), begun, outputs=0, regions=empty, early=[[], []])
    regions = {"inner": inner.region(applied[0]), "many": many.region(called[0])}
    regions["branching"] = branching.region(branching.constant("B"))
    regions |= {f"f{at}": one_call(f"f{at + 1}") for at in range(10 * count)}
    regions[f"f{10 * count}"] = inner.region(applied[0])
    functions = {name: Function(name, (), STR, body, Limits()) for name, body in regions.items()}
    return evolve(example(), functions=functions)


def steps_of(work: Callable[[], object]) -> int:
    """How many instructions of Python some work takes, whatever else the machine does."""
    steps = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps


def one_call(function: str) -> Region:
    body = Builder()
    return body.region(body.one("call", function=function))


def test_the_flow_to_run_is_main_or_the_only_one() -> None:
    of = example()
    assert entry(of, None).name == "main"
    only = evolve(of.functions["main"], name="only")
    assert entry(evolve(of, functions={"only": only}), None).name == "only"
    for functions, name in (({"a": only, "b": only}, None), ({}, None), (of.functions, "other")):
        with pytest.raises(FlowError, match="E0701"):
            entry(evolve(of, functions=functions), name)


def test_types_of_records_survive() -> None:
    of = evolve(example(), records={"T": (("children", List(Record("T"))),)})
    assert from_json(to_json(of)).records == of.records


def test_a_batch_of_no_list_is_refused() -> None:
    inner = Builder()
    asked = inner.one("generate", operation="ask", segments=["Why?"])
    of = Builder()
    of.one("generate_batch", regions=[inner.region(asked)], width=4)
    made = plan(of.region(of.constant([])), operations=[llm("ask")], result=List(STR))
    with pytest.raises(FlowError, match="no list"):
        check_plan(made)
