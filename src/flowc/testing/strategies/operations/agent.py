"""Operations of the agent dialect, drawn."""

from collections.abc import Callable

from xdsl.dialects.builtin import ArrayAttr, StringAttr, f64, i1
from xdsl.ir import Operation, SSAValue

from flowc.dialects.agent import calls, declarations
from flowc.dialects.array.types import array_type
from flowc.dialects.flow import types
from flowc.dialects.flow.attributes import Json
from flowc.testing.strategies.operations import flow
from flowc.testing.strategies.operations.making import Making, Recipes


def _prompt(m: Making) -> Operation:
    segments: list[Json] = [{"hole": m.name()} if m.sometimes() else m.text() for _ in m.times(3)]
    holes = sum(isinstance(segment, dict) for segment in segments)
    return calls.PromptOp(segments, m.values([flow.any_type(m) for _ in range(holes)]))


def _prompted(kind: type[calls.PromptedCall], *effects: str) -> Callable[[Making], Operation]:
    def make(m: Making) -> Operation:
        prompt: SSAValue = m.value(calls.PromptType())
        arguments = m.values(flow.some_types(m))
        return kind(m.name(), prompt, arguments, flow.any_type(m), flow.effects(m, *effects))

    return make


def _tool_call(m: Making) -> Operation:
    return calls.ToolCallOp(m.name(), m.values(flow.some_types(m)), flow.any_type(m), flow.effects(m))


def _embed(m: Making) -> Operation:
    result = array_type("f32", m.one(("n", 384), ("", ""), (3, 8)))
    return calls.EmbedOp(
        m.value(types.ListType(types.StrType())), result, m.text() if m.sometimes() else None
    )


def _execute(m: Making) -> Operation:
    plan = types.PlanType(ArrayAttr([StringAttr(m.name()) for _ in m.times()]))
    return calls.ExecuteOp(m.value(plan), types.ListType(flow.any_type(m)), flow.effects(m))


def _batch(m: Making) -> Operation:
    elements, result, filtered = [flow.any_type(m) for _ in m.times(2, 1)], flow.any_type(m), m.sometimes()
    results = (i1, result) if filtered else (result,)
    inside = flow.PACKAGING | {"agent.prompt": _prompt, "agent.generate": _prompted(calls.GenerateOp, "llm")}
    body = m.inner(elements, results, recipes=inside, first="agent.generate")
    lists = m.values([types.ListType(element) for element in elements])
    return calls.GenerateBatchOp(lists, result, body, width=m.number(1, 64), filtered=filtered)


BODY: Recipes = {
    "agent.ask": _prompted(calls.AskOp, "human", "reads"),
    "agent.embed": _embed,
    "agent.execute": _execute,
    "agent.generate": _prompted(calls.GenerateOp, "llm", "reads"),
    "agent.generate_batch": _batch,
    "agent.prompt": _prompt,
    "agent.sleep": lambda m: calls.SleepOp(m.value(f64)),
    "agent.tool_call": _tool_call,
}
"""Operations in the body of a flow."""


def _declared(kind: type[declarations.DeclarationOp]) -> Callable[[Making], Operation]:
    def make(m: Making) -> Operation:
        types_ = flow.some_types(m, 3)
        settings: dict[str, Json] = {
            "model": m.name(),
            "temperature": m.one(0, 0.5, None),
            "cached": m.sometimes(),
            "pruned": [m.name() for _ in m.times()],
            "documentation": m.text(),
            "latency": 1e-3,
        }
        return kind(
            m.symbol(),
            list(zip(flow.parameters(m, len(types_)), types_, strict=True)),
            flow.any_type(m),
            effects=flow.effects(m),
            limits=flow.limits(m) if m.sometimes() else None,
            settings={name: settings[name] for name in settings if m.sometimes()},
        )

    return make


DECLARATIONS: Recipes = {
    "agent.event": _declared(declarations.EventOp),
    "agent.human": _declared(declarations.HumanOp),
    "agent.llm": _declared(declarations.LlmOp),
    "agent.tool": _declared(declarations.ToolOp),
}
"""Operations at the top of a module."""
