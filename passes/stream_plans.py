"""Plans that a model is still writing: which of their steps may begin before the plan is complete."""

from collections.abc import Mapping

from xdsl.ir import SSAValue

from flowc.dialects.agent.calls import ExecuteOp, GenerateOp, tools_of
from flowc.dialects.flow.effects import Summary, join
from flowc.passes.facts import name_of
from flowc.passes.framework import Findings, block_of
from flowc.passes.order import is_guarded
from flowc.passes.stream_items import FOR_NOTHING, has_budget, mark


def stream_plans(call: GenerateOp, tools: Mapping[str, Summary], findings: Findings) -> None:
    """Marks a call that writes a plan, and what runs the plan, where steps of it may begin early."""
    for plan in _plans(call.result):
        early, late = _begins(plan, tools)
        if reason := _against(call, plan, early, late):
            message = f"the steps begin once {name_of(call)} has written its whole plan: {reason}"
        else:
            mark(call, plan)
            findings.fired += 1
            message = f"steps that call {_named(early)} begin as soon as {name_of(call)} has written them"
            message += f"; those of {_named(late)} wait for the whole plan" if late else ""
        findings.remark(plan, message)


def _plans(value: SSAValue) -> list[ExecuteOp]:
    """What runs a plan."""
    return [op for op in dict.fromkeys(use.operation for use in value.uses) if isinstance(op, ExecuteOp)]


def _begins(plan: ExecuteOp, tools: Mapping[str, Summary]) -> tuple[list[str], list[str]]:
    """The tools of a plan of which calls may begin before it is complete, and the others."""
    names = [tool.data for tool in tools_of(plan)]
    written = join(tools[name] for name in names).writes
    early = [name for name in names if tools[name].commutes_with_itself and not tools[name].reads & written]
    return early, [name for name in names if name not in early]


def _against(call: GenerateOp, plan: ExecuteOp, early: list[str], late: list[str]) -> str:
    """Why the steps of a plan wait for its end; empty where they need not."""
    if not early:
        return f"{_named(late)} may write, or read what the plan may write; a `pure` tool need not wait"
    block = block_of(plan)
    if block is not call.parent_block():
        return "it is run in another block"
    if late and is_guarded(block):
        return "a failure is caught around them, and what was written must not depend on when it comes"
    return FOR_NOTHING if has_budget(plan) else ""


def _named(tools: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in tools)
