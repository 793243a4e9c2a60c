"""stream: what reads a list or a plan that a model writes begins with the first item, not after the last.

The call is marked, and the runtime reads its answer while it comes. A comprehension whose elements write
nothing, and ask no person, may begin so: if the answer turns out to be none, what was begun is given up, and
nothing is left of it. One that batch-calls made a single operation becomes a map again, since its elements
do not come together. Of a plan those steps may begin whose tools are pure, or read what no tool of the plan
writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import Operation, SSAValue

from flowc.dialects.agent.calls import ExecuteOp, GenerateBatchOp, GenerateOp, tools_of
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow import control
from flowc.dialects.flow.attributes import LimitsAttr
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects, Summary, join, of_items
from flowc.dialects.flow.types import ListType, PlanType
from flowc.passes.explain_order import culprit, does, name_of
from flowc.passes.facts import blocks_inside, is_dispatched
from flowc.passes.framework import FlowPass, Remark, Report, block_of, line_of, replace_with, stamp
from flowc.passes.order import is_guarded
from flowc.passes.spending import COUNTED, PAID

NAME = "stream"
STREAM = "stream"
"""The attribute of calls whose answers are read while they come, and of the maps and plans that begin so."""


@dataclass(frozen=True)
class StreamPass(FlowPass):
    """Lets comprehensions, and plans, begin with the first items of what a model writes."""

    name = NAME

    def run(self, module: ModuleOp) -> Report:
        """Runs `stream`."""
        return stream(module)


def stream(module: ModuleOp) -> Report:
    """Marks the calls whose answers may be read early; says of other lists why they are waited for."""
    remarks: list[Remark] = []
    fired = 0
    effects = Effects()
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    blocks = [block for function in functions for block in blocks_inside(function)]
    calls = [op for block in blocks for op in block.ops if isinstance(op, GenerateOp)]
    tools = {
        op.sym_name.data: of_items(op.effects.data) for op in module.ops if isinstance(op, DeclarationOp)
    }
    for call in calls:
        if STREAM in call.attributes:
            continue
        readers = _readers(call.result) if isinstance(call.result.type, ListType) else []
        plans = _plans(call.result) if isinstance(call.result.type, PlanType) else []
        for reader in readers:
            name = call.callee.root_reference.data
            if reason := _against(call, reader, effects):
                message = f"the elements begin once `{name}` has written its whole list: {reason}"
            else:
                _mark(call, reader)
                fired += 1
                message = f"each element begins as soon as `{name}` has written it"
            remarks.append(Remark(NAME, line_of(reader), message))
        for plan in plans:
            name = call.callee.root_reference.data
            early, late = _begins(plan, tools)
            if reason := _against_plan(call, plan, early, late):
                message = f"the steps begin once `{name}` has written its whole plan: {reason}"
            else:
                call.attributes[STREAM] = plan.attributes[STREAM] = UnitAttr()
                fired += 1
                message = f"steps that call {_named(early)} begin as soon as `{name}` has written them"
                message += f"; those of {_named(late)} wait for the whole plan" if late else ""
            remarks.append(Remark(NAME, line_of(plan), message))
    return Report(fired, tuple(remarks))


def _plans(value: SSAValue) -> list[ExecuteOp]:
    """What runs a plan."""
    return [op for op in dict.fromkeys(use.operation for use in value.uses) if isinstance(op, ExecuteOp)]


def _begins(plan: ExecuteOp, tools: Mapping[str, Summary]) -> tuple[list[str], list[str]]:
    """The tools of a plan of which calls may begin before it is complete, and the others."""
    names = [tool.data for tool in tools_of(plan)]
    written = join(tools[name] for name in names).writes
    early = [name for name in names if tools[name].commutes_with_itself and not tools[name].reads & written]
    return early, [name for name in names if name not in early]


def _against_plan(call: GenerateOp, plan: ExecuteOp, early: list[str], late: list[str]) -> str:
    """Why the steps of a plan wait for its end; empty where they need not."""
    if not early:
        return f"{_named(late)} may write, or read what the plan may write; a `pure` tool need not wait"
    block = block_of(plan)
    if block is not call.parent_block():
        return "it is run in another block"
    if late and is_guarded(block):
        return "a failure is caught around them, and what was written must not depend on when it comes"
    if _has_budget(plan):
        return "what is begun for nothing must not take from the budget around them"
    return ""


def _named(tools: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in tools)


def _readers(value: SSAValue) -> list[Operation]:
    """What goes over a list element by element, and waits for something in it."""
    users = dict.fromkeys(use.operation for use in value.uses)
    kinds = (control.ElementwiseOp, control.ForOp)
    return [op for op in users if isinstance(op, kinds) and op.operands[0] is value and is_dispatched(op)]


def _against(call: GenerateOp, reader: Operation, effects: Effects) -> str:
    """Why elements wait for the end of a list; empty where they need not."""
    if isinstance(reader, control.ForOp):
        return "its rounds wait for one another"
    if reader.parent_block() is not call.parent_block():
        return "they stand in another block"
    if len(reader.operands) > 1:
        return "they take items of other lists along"
    if any(
        value is call.result for inner in reader.walk() if inner is not reader for value in inner.operands
    ):
        return "they read all of it"
    summary = effects.of(reader)
    if not summary.commutes_with_itself:
        keeper = culprit(reader, effects)
        return f"{name_of(keeper)} on line {line_of(keeper)} {does(effects.of(keeper))}"
    if _has_budget(reader):
        return "what is begun for nothing must not take from the budget around them"
    return ""


def _has_budget(op: Operation) -> bool:
    at = op.parent_op()
    while at is not None:
        limits = at.properties.get("limits")
        if isinstance(limits, LimitsAttr) and dict(limits.data).keys() & {*PAID, *COUNTED}:
            return True
        at = at.parent_op()
    return False


def _mark(call: GenerateOp, reader: Operation) -> None:
    call.attributes[STREAM] = UnitAttr()
    if not isinstance(reader, GenerateBatchOp):
        reader.attributes[STREAM] = UnitAttr()
        return
    made = control.MapOp(
        list(reader.inputs),
        reader.result.type.element,
        reader.detach_region(reader.body),
        width=reader.width.value.data,
        filtered=reader.filtered is not None,
    )
    stamp(made, reader)
    made.attributes[STREAM] = UnitAttr()
    block_of(reader).insert_op_before(made, reader)
    replace_with(reader, [made.result])
