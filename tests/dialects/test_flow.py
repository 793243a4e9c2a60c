"""The flow, agent and plan dialects: text round-trips, verifiers refuse what is wrong, effects are named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.traits import MemoryEffectKind, get_effects
from xdsl.utils.exceptions import ParseError, VerifyException

from flowc.dialects import agent, flow, plan
from flowc.dialects.flow.attributes import EffectItem, EffectsAttr, JsonAttr, LimitsAttr
from flowc.dialects.flow.effects import Effects, NamedResource
from flowc.dialects.text import parse_module, print_module

EVERYTHING = (Path(__file__).parent / "everything.mlir").read_text("utf-8")
"""A module with every operation of the three dialects."""


def func(body: str, result: str = "!flow.int") -> str:
    return f"flow.func @f(x %x: !flow.int) -> {result} effects<> {{\n{body}\n}}"


@pytest.fixture(scope="module")
def module() -> ModuleOp:
    parsed = parse_module(EVERYTHING)
    parsed.verify()
    return parsed


@pytest.mark.parametrize("locations", [False, True])
def test_text_round_trips(module: ModuleOp, locations: bool) -> None:
    printed = print_module(module, locations=locations)
    again = parse_module(printed)
    again.verify()
    assert again.is_structurally_equivalent(module)
    assert print_module(again, locations=locations) == printed


def test_the_sample_holds_every_operation(module: ModuleOp) -> None:
    found = {type(op) for op in module.walk()}
    assert set(flow.OPERATIONS) | set(agent.OPERATIONS) | set(plan.OPERATIONS) <= found


BROKEN = {
    "must return !flow.str": func("flow.return %x : !flow.int", "!flow.str"),
    "the items of this list must be !flow.str": func(
        "%l = flow.list(%x) : (!flow.int) -> !flow.list<!flow.str>\nflow.return %x : !flow.int"
    ),
    "a branch of flow.if must yield": func(
        "%b = flow.constant true : i1\n%i = flow.if(%b) : (i1) -> !flow.int {\n flow.yield %x : !flow.int\n"
        "} else {\n flow.yield %b : i1\n}\nflow.return %i : !flow.int"
    ),
    "flow.map needs a list and a width of at least 1": func(
        "%l = flow.list(%x) : (!flow.int) -> !flow.list<!flow.int>\n"
        "%m = flow.map width 0(%l) : (!flow.list<!flow.int>) -> !flow.list<!flow.int> {\n"
        "^bb0(%e: !flow.int):\n flow.yield %e : !flow.int\n}\nflow.return %x : !flow.int"
    ),
    "agent.generate_batch needs an agent.generate": func(
        "%l = flow.list(%x) : (!flow.int) -> !flow.list<!flow.int>\n"
        "%m = agent.generate_batch width 2(%l) : (!flow.list<!flow.int>) -> !flow.list<!flow.int> {\n"
        "^bb0(%e: !flow.int):\n flow.yield %e : !flow.int\n}\nflow.return %x : !flow.int"
    ),
    "agent.generate_batch cannot hold agent.tool_call": func(
        "%l = flow.list(%x) : (!flow.int) -> !flow.list<!flow.int>\n"
        "%m = agent.generate_batch width 2(%l) : (!flow.list<!flow.int>) -> !flow.list<!flow.int> {\n"
        "^bb0(%e: !flow.int):\n %p = agent.prompt <[]>() : () -> !agent.prompt_value\n"
        " %g = agent.generate @ask(%p) effects<llm> : (!agent.prompt_value) -> !flow.int\n"
        " %t = agent.tool_call @look(%g) effects<> : (!flow.int) -> !flow.int\n"
        " flow.yield %t : !flow.int\n}\nflow.return %x : !flow.int"
    ),
    "flow.apply reads a value not made yet": func(
        '%a = flow.apply "neg"(%b) : (!flow.int) -> !flow.int\n'
        '%b = flow.apply "neg"(%x) : (!flow.int) -> !flow.int\nflow.return %a : !flow.int'
    ),
    "the body of flow.for must yield": func(
        "%l = flow.list(%x) : (!flow.int) -> !flow.list<!flow.int>\n"
        "flow.for(%l) : (!flow.list<!flow.int>) -> () {\n"
        "^bb0(%e: !flow.int):\n flow.yield %e : !flow.int\n}\n"
        "flow.return %x : !flow.int"
    ),
    "flow.transaction cannot hold agent.tool_call": func(
        "%k = flow.transaction -> (!flow.int) {\n"
        ' %t = agent.tool_call @put(%x) effects<writes "db"> : (!flow.int) -> !flow.int\n'
        " flow.yield %t : !flow.int\n}\nflow.return %x : !flow.int"
    ),
    "the region of flow.transaction must yield": func(
        "%k = flow.transaction -> (!flow.int) {\n flow.yield\n}\nflow.return %x : !flow.int"
    ),
    "item 2 of": func(
        "%t = flow.tuple(%x) : (!flow.int) -> !flow.tuple<[!flow.int]>\n"
        "%i = flow.item 2(%t) : (!flow.tuple<[!flow.int]>) -> !flow.int\nflow.return %i : !flow.int"
    ),
    "this prompt has 1 holes and 0 values": func(
        '%p = agent.prompt <[{"hole" = "q"}]>() : () -> !agent.prompt_value\nflow.return %x : !flow.int'
    ),
    "changes labels, not the type": func(
        '%e = flow.endorse <"why">(%x) : (!flow.int) -> !flow.str\nflow.return %x : !flow.int'
    ),
    "has no setting `colour`": 'agent.tool @t() -> !flow.str effects<> settings {"colour" = 1}',
    "a record needs one type": 'flow.record_decl @R ["a", "a"] [!flow.str, !flow.str]',
    "the members of an enum must differ": 'flow.enum_decl @E ["a", "a"]',
}


@pytest.mark.parametrize("reason", BROKEN)
def test_verifiers_say_what_is_wrong(reason: str) -> None:
    with pytest.raises(VerifyException, match=reason):
        parse_module(BROKEN[reason]).verify()


REFUSED = {
    "is no effect": "agent.tool @t() -> !flow.str effects<shouts>",
    "and its resource do not fit": "agent.tool @t() -> !flow.str effects<reads>",
    "there is no limit `patience`": "agent.tool @t() -> !flow.str effects<> limits<patience = 3>",
    "a limit is given twice": "agent.tool @t() -> !flow.str effects<> limits<calls = 3, calls = 4>",
    "a constant was expected": func("%c = flow.constant <> : !flow.str\nflow.return %x : !flow.int"),
    "nests deeper": func(
        f"%c = flow.constant {'[' * 120}{']' * 120} : !flow.json\nflow.return %x : !flow.int"
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_the_parser_refuses_what_no_attribute_can_be(reason: str) -> None:
    with pytest.raises((ParseError, VerifyException), match=reason):
        parse_module(REFUSED[reason])


def test_effects_are_on_named_resources(module: ModuleOp) -> None:
    calls = {op.name: op for op in module.walk() if op.name.startswith("agent.")}
    effects = get_effects(calls["agent.tool_call"])
    assert effects is not None
    assert {(each.kind, each.resource) for each in effects} == {
        (MemoryEffectKind.READ, NamedResource("web")),
        (MemoryEffectKind.WRITE, NamedResource("mail")),
    }


def test_a_summary_joins_what_is_inside(module: ModuleOp) -> None:
    main = next(op for op in module.ops if op.name == "flow.func" and len(op.regions[0].block.args) == 3)
    summary = Effects().of(main)
    assert summary.reads == {"web"}
    assert summary.writes == {"mail"}
    assert summary.llm
    assert summary.human
    assert not summary.commutes_with_itself


json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_constants_of_any_kind_round_trip(value: object) -> None:
    attribute = JsonAttr.of(value)  # type: ignore[arg-type]
    constant = flow.ConstantOp(attribute.value, flow.JsonType())
    printed = print_module(ModuleOp([constant]))
    (again,) = parse_module(printed).ops
    assert isinstance(again, flow.ConstantOp)
    assert again.value == attribute


def test_numbers_and_truths_are_different_constants() -> None:
    assert len({JsonAttr.of(1), JsonAttr.of(1.0), JsonAttr.of(True)}) == 3
    with pytest.raises(ValueError, match="Out of range float"):
        JsonAttr.of(float("inf"))


def test_effects_and_limits_verify_as_they_are_made() -> None:
    with pytest.raises(VerifyException):
        EffectsAttr((EffectItem("reads"),))
    with pytest.raises(VerifyException):
        LimitsAttr((("patience", 3),))
