"""stream: what can begin with a part of what a model writes begins with it, not after the last word.

The call is marked, and the runtime reads its answer while it comes: the items of a list, the lines or
sentences of a text, the fields of a record, the steps of a plan. What needs no more than that, writes nothing
and asks no person may begin so: if the answer turns out to be none, what was begun is given up, and nothing
is left of it. A comprehension that batch-calls made a single operation becomes a map again, since its
elements do not come together. Of a plan those steps may begin whose tools are pure, or read what no tool of
the plan writes.
"""

from collections.abc import Collection
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from flowc.dialects.agent.calls import GenerateOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow.compute import ApplyOp, ConstantOp
from flowc.dialects.flow.effects import Effects, of_items
from flowc.dialects.flow.types import ListType, PlanType, RecordType, StrType
from flowc.passes.facts import name_of, operations_of_flows
from flowc.passes.framework import Findings, FlowPass, Report, check_lines, line_of
from flowc.passes.stream_fields import stream_fields
from flowc.passes.stream_items import STREAM, against, mapped, mark, readers_of
from flowc.passes.stream_plans import stream_plans

NAME = "stream"

SPLITTING = {"lines": "line", "sentences": "sentence", "split": "part"}
"""The functions whose items are complete before the text is, and what an item of each is."""


@dataclass(frozen=True)
class StreamPass(FlowPass):
    """Lets what reads items, fields, sentences or steps begin as soon as a model has written them.

    The answers of calls on the lines `without` are waited for.
    """

    name = NAME
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_lines(self.without)

    def run(self, module: ModuleOp) -> Report:
        """Runs `stream`."""
        return stream(module, self.without)


def stream(module: ModuleOp, without: Collection[int] = ()) -> Report:
    """Marks the calls whose answers may be read early; says of other readers why they wait."""
    findings = Findings(NAME)
    effects = Effects()
    tools = {
        op.sym_name.data: of_items(op.effects.data) for op in module.ops if isinstance(op, DeclarationOp)
    }
    said: set[Operation] = set()
    for call in reversed(operations_of_flows(module)):
        if not isinstance(call, GenerateOp) or STREAM in call.attributes or line_of(call) in without:
            continue
        match call.result.type:
            case ListType():
                _stream_items(call, call, effects, findings)
            case StrType():
                for split in _splits(call):
                    _stream_items(call, split, effects, findings)
            case RecordType():
                stream_fields(call, effects, findings, said)
            case PlanType():
                stream_plans(call, tools, findings)
    findings.remarks.sort(key=lambda remark: remark.line)
    return findings.report()


def _splits(call: GenerateOp) -> list[ApplyOp]:
    """What makes a list of a text that is a call's answer."""
    users = dict.fromkeys(use.operation for use in call.result.uses)
    return [
        op
        for op in users
        if isinstance(op, ApplyOp) and op.function.data in SPLITTING and op.operands[0] is call.result
    ]


def _stream_items(
    call: GenerateOp, source: GenerateOp | ApplyOp, effects: Effects, findings: Findings
) -> None:
    """Marks what goes over the items of `source`: an answer that is a list, or what one is split into."""
    text = isinstance(source, ApplyOp)
    name, whole = name_of(call), "text" if text else "list"
    for reader in readers_of(source.results[0]):
        if reason := _against_split(call, source) or against(source.results[0], reader, effects):
            findings.remark(reader, f"the elements begin once {name} has written its whole {whole}: {reason}")
            continue
        item = f"its {SPLITTING[source.function.data]}" if isinstance(source, ApplyOp) else "it"
        findings.remark(reader, f"each element begins as soon as {name} has written {item}")
        findings.fired += 1
        mark(call, *([source] if text else []), mapped(reader))


def _against_split(call: GenerateOp, source: Operation) -> str:
    """Why a text is not split while it comes; empty where it may be."""
    if source is call:
        return ""
    if source.parent_block() is not call.parent_block():
        return "it is split in another block"
    if not all(isinstance(value.owner, ConstantOp) for value in source.operands[1:]):
        return "what it is split at is no constant"
    return ""
