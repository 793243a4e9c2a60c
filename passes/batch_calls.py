"""batch-calls: a map over a model becomes one batched operation, embeddings of a moment one request.

A map whose body asks models one after the other, with nothing beside the questions but what fills their
prompts and takes the answers apart, goes to the runtime as `agent.generate_batch`: as many calls at once as
before, in the same places of the trace, but nothing waits for each element in the engine, and a provider's
endpoint for many requests can take all calls.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp, SymbolRefAttr
from xdsl.ir import Operation, SSAValue

from flowc.dialects.agent.calls import GenerateBatchOp, GenerateOp, PromptOp, SleepOp
from flowc.dialects.array.ops import ArrayOperation
from flowc.dialects.flow import compute
from flowc.dialects.flow.control import IfOp, MapOp, YieldOp
from flowc.passes.batch_embeds import batch_embeds
from flowc.passes.cost.model import CostModel, cost_model
from flowc.passes.facts import DISPATCHED, name_of, operations_of_flows, reads
from flowc.passes.framework import (
    Findings,
    FlowPass,
    Report,
    check_lines,
    line_of,
    place_before,
    replace_with,
)
from flowc.passes.map_decisions import batch_decision

PACKAGING = (
    compute.AbsentOp,
    compute.ApplyOp,
    compute.CastOp,
    compute.ConstantOp,
    compute.DictOp,
    compute.FieldOp,
    compute.ItemOp,
    compute.ListOp,
    compute.RecordOp,
    compute.SelectOp,
    compute.TupleOp,
    compute.Relabelling,
    PromptOp,
    YieldOp,
)
"""What may stand beside the call: it takes microseconds, and never waits."""


@dataclass(frozen=True)
class BatchCallsPass(FlowPass):
    """Makes the calls of a map one operation, but of the maps on the lines `without`."""

    name = "batch-calls"
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_lines(self.without)

    def run(self, module: ModuleOp) -> Report:
        """Runs `batch_calls`."""
        return batch_calls(module, self.without)


def batch_calls(module: ModuleOp, without: Collection[int] = ()) -> Report:
    """Batches the model calls and the embeddings of maps; says of the other maps what keeps them."""
    findings = Findings("batch-calls")
    costs: CostModel | None = None
    for op in operations_of_flows(module):
        if not isinstance(op, MapOp) or op.width.value.data == 1 or line_of(op) in without:
            continue
        calls = [inner for inner in op.walk() if isinstance(inner, GenerateOp) and _map_around(inner) is op]
        if not calls:
            continue
        name = name_of(calls[0])
        if hindrance := _hindrance(op, calls):
            findings.remark(op, f"the calls of {name} are made one by one: {hindrance}")
        else:
            findings.remark(op, f"{name}: one batched call, {op.width.value.data} at once")
            findings.fired += 1
            costs = costs or cost_model(module)
            findings.decisions.append(batch_decision(op, costs, name))
            _batch(op)
    batch_embeds(module, findings)
    return findings.report()


def _map_around(op: Operation) -> Operation | None:
    """The innermost operation around another one that is no branch."""
    outer = op.parent_op()
    while isinstance(outer, IfOp):
        outer = outer.parent_op()
    return outer


def _hindrance(op: MapOp, calls: Sequence[GenerateOp]) -> str:
    """Why the calls of a map cannot be one operation; nothing where they can."""
    inside = [inner for inner in op.walk() if inner is not op]
    other = next((inner for inner in inside if not isinstance(inner, (*PACKAGING, GenerateOp, IfOp))), None)
    if other is not None:
        apart = "in a comprehension of its own it is no hindrance"
        return f"each element also {_doing(other)} on line {line_of(other)}; {apart}"
    answers: set[SSAValue] = set()
    latest: set[SSAValue] = set()
    for inner in inside:
        if isinstance(inner, IfOp) and inner.condition in answers:
            return f"the branch on line {line_of(inner)} waits for an answer"
        if isinstance(inner, GenerateOp):
            if answers and not any(value in latest for value in inner.operands):
                return f"each element also asks {name_of(inner)} on line {line_of(inner)}, beside it"
            latest = set()
        for known in (answers, latest):
            if isinstance(inner, GenerateOp) or any(value in known for value in reads(inner)):
                known.update(inner.results)
    return ""


def _doing(op: Operation) -> str:
    if isinstance(op, SleepOp):
        return "sleeps"
    if isinstance(op, DISPATCHED):
        callee = op.properties.get("callee") or op.properties.get("kernel")
        return (
            f"calls `{callee.root_reference.data}`" if isinstance(callee, SymbolRefAttr) else "embeds texts"
        )
    if isinstance(op, ArrayOperation):
        return "computes with arrays"
    return "goes through a region" if op.regions else f"does `{op.name}`"


def _batch(op: MapOp) -> None:
    body = op.detach_region(op.body)
    made = GenerateBatchOp(
        list(op.inputs),
        op.result.type.element,
        body,
        width=op.width.value.data,
        filtered=op.filtered is not None,
    )
    replace_with(op, [place_before(op, made).result])
