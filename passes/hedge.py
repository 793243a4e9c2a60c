"""hedge: which calls may be asked once more when they are late.

The runtime asks a call again once it has taken longer than 95 of 100 did, and takes the first answer. That is
meant for what may be done twice without a trace: model calls, embeddings, tools that only read. A write is
left alone even where it is idempotent: the asking that lost could end after a later write.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from attrs import define
from xdsl.dialects.builtin import ModuleOp

from flowc.dialects.agent.calls import GenerateOp, ToolCallOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow.attributes import JsonAttr
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.facts import callee_of, name_of, operations_of_flows
from flowc.passes.framework import Findings, FlowPass, Report
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
    state = _State(declarations, Spendings(declarations, Effects()), Findings("hedge"))
    for op in operations_of_flows(module):
        if isinstance(op, GenerateOp | ToolCallOp):
            _call(op, state)
    return state.findings.report()


@define
class _State:
    declarations: Mapping[str, DeclarationOp]
    spendings: Spendings
    findings: Findings


def _call(op: GenerateOp | ToolCallOp, state: _State) -> None:
    summary = state.spendings.effects.of(op)
    if HEDGE in op.attributes or summary.pure:
        return
    known = state.spendings.around(op) if summary.llm else Spending()
    reason = _own_reason(op, summary, state) or known.unknown
    if reason:
        state.findings.remark(op, f"{name_of(op)} is asked once only: {reason}")
        return
    op.attributes[HEDGE] = JsonAttr.of(list(known.others))
    state.findings.fired += 1
    when = "where it takes longer than 95 of 100 calls did"
    state.findings.remark(op, f"{name_of(op)} is asked once more {when}")


def _own_reason(op: GenerateOp | ToolCallOp, summary: Summary, state: _State) -> str:
    """Why a call may not be asked twice, as far as that lies in the call itself."""
    if summary.writes:
        return f"it writes {', '.join(sorted(summary.writes))}"
    declaration = state.declarations.get(callee_of(op))
    limits = (
        dict(declaration.limits.data) if declaration is not None and declaration.limits is not None else {}
    )
    return "its own budget covers one asking" if limits.keys() & {*PAID, *COUNTED} else ""
