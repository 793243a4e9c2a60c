"""hedge: which calls may be asked once more when they are late.

The runtime asks a call again once it has taken longer than 95 of 100 did, and takes the first answer. That is
meant for what may be done twice without a trace: model calls, embeddings, tools that only read. A write is
left alone even where it is idempotent: the asking that lost could end after a later write.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp

from flowc.dialects.agent.calls import GenerateOp, ToolCallOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow.attributes import JsonAttr
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.facts import blocks_inside
from flowc.passes.framework import FlowPass, Remark, Report, line_of
from flowc.passes.spending import COUNTED, PAID, Spending, Spendings

HEDGE = "hedge"
"""The attribute of calls that may be asked once more: what the budgets around them pay for beside that."""


@dataclass(frozen=True)
class HedgePass(FlowPass):
    """Marks the calls that are asked once more when they are late."""

    name = "hedge"

    def run(self, module: ModuleOp) -> Report:
        """Runs `hedge`."""
        return hedge(module)


def hedge(module: ModuleOp) -> Report:
    """Marks calls; says which may not be asked twice, and why."""
    declarations = {op.sym_name.data: op for op in module.ops if isinstance(op, DeclarationOp)}
    state = _State(declarations, Spendings(declarations, Effects()))
    for function in module.ops:
        if isinstance(function, FuncOp):
            for block in blocks_inside(function):
                for op in block.ops:
                    if isinstance(op, GenerateOp | ToolCallOp):
                        _call(op, state)
    return Report(state.fired, tuple(state.remarks))


@define
class _State:
    declarations: Mapping[str, DeclarationOp]
    spendings: Spendings
    fired: int = 0
    remarks: list[Remark] = field(factory=list)


def _call(op: GenerateOp | ToolCallOp, state: _State) -> None:
    name, summary = op.callee.root_reference.data, state.spendings.effects.of(op)
    if HEDGE in op.attributes or summary.pure:
        return
    known = state.spendings.around(op) if summary.llm else Spending()
    reason = _own_reason(name, summary, state) or known.unknown
    if reason:
        state.remarks.append(Remark("hedge", line_of(op), f"`{name}` is asked once only: {reason}"))
        return
    op.attributes[HEDGE] = JsonAttr.of(list(known.others))
    state.fired += 1
    message = f"`{name}` is asked once more where it takes longer than 95 of 100 calls did"
    state.remarks.append(Remark("hedge", line_of(op), message))


def _own_reason(name: str, summary: Summary, state: _State) -> str:
    """Why a call may not be asked twice, as far as that lies in the call itself."""
    if summary.writes:
        return f"it writes {', '.join(sorted(summary.writes))}"
    declaration = state.declarations.get(name)
    limits = (
        dict(declaration.limits.data) if declaration is not None and declaration.limits is not None else {}
    )
    return "its own budget covers one asking" if limits.keys() & {*PAID, *COUNTED} else ""
