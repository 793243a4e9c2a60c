"""hedge: which calls may be asked once more when they are late.

The runtime asks a call again once it has taken longer than 95 of 100 did, and takes the first answer. That is
meant for what may be done twice without a trace: model calls, embeddings, tools that only read. A write is
left alone even where it is idempotent: the asking that lost could end after a later write.

A call is left alone, too, where what a late one is expected to gain by it is worth less than asking twice:
where calls take about as long as each other, a late one is nearly done. After Dean and Barroso, "The tail at
scale", 2013.
"""

from collections.abc import Collection
from dataclasses import dataclass

from attrs import define
from xdsl.dialects.builtin import ModuleOp

from flowc.dialects.agent.calls import GenerateOp, ToolCallOp
from flowc.dialects.flow.attributes import JsonAttr
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.model import CostModel, cost_model
from flowc.passes.cost.money import WORTH, Prices
from flowc.passes.cost.spreads import LATE_SHARE, is_sure, mean, saved_by_asking_again, seconds_of
from flowc.passes.facts import callee_of, name_of, operations_of_flows
from flowc.passes.framework import Findings, FlowPass, Report, check_lines, check_worth, line_of
from flowc.passes.spending import COUNTED, PAID, Spending, Spendings

HEDGE = "hedge"
"""The attribute of calls that may be asked once more: what the budgets around them pay for beside that."""
LEAST = 0.005
"""Seconds below which nothing is worth asking for."""
ONCE, AGAIN = "once", "once more when late"


@dataclass(frozen=True)
class HedgePass(FlowPass):
    """Marks the calls that are asked once more when they are late, but for those on the lines `without`;
    `worth` in $ a second saved.
    """

    name = "hedge"
    worth: float = WORTH
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_worth(self.worth)
        check_lines(self.without)

    def run(self, module: ModuleOp) -> Report:
        """Runs `hedge`."""
        return hedge(module, self.worth, self.without)


def hedge(module: ModuleOp, worth: float = WORTH, without: Collection[int] = ()) -> Report:
    """Marks calls; says which may not be asked twice or are not worth it, and why."""
    costs = cost_model(module)
    spendings = Spendings(costs.declarations, Effects())
    state = _State(worth, costs, Prices(module), spendings, Findings("hedge"))
    for op in operations_of_flows(module):
        if isinstance(op, GenerateOp | ToolCallOp) and line_of(op) not in without:
            _call(op, state)
    return state.findings.report()


@define
class _State:
    worth: float
    costs: CostModel
    prices: Prices
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
    decision = _decided(op, state)
    state.findings.decisions.append(decision)
    if decision.choice == ONCE:
        state.findings.remark(op, f"{name_of(op)} is asked once only: asking twice is expected to cost more")
        return
    op.attributes[HEDGE] = JsonAttr.of(list(known.others))
    state.findings.fired += 1
    when = "where it takes longer than 95 of 100 calls did"
    state.findings.remark(op, f"{name_of(op)} is asked once more {when}")


def _decided(op: GenerateOp | ToolCallOp, state: _State) -> Decision:
    """Whether a late call is worth a second asking: seconds saved against the dollars of that. No gain is
    claimed where too few calls were seen: then the runtime asks nothing twice before it has seen enough.
    """
    seconds = seconds_of(op, state.costs)
    usual, saved, price = mean(seconds), saved_by_asking_again(seconds), state.prices.of(op)
    worth_it = saved >= LEAST and saved * state.worth > price
    sure = is_sure(seconds)
    late = LATE_SHARE if sure else 0.0
    gain = late * (saved - price / state.worth) if worth_it else 0.0
    return Decision(
        "ask again",
        line_of(op),
        AGAIN if worth_it else ONCE,
        (
            Alternative(ONCE, 1e3 * usual, price),
            Alternative(AGAIN, 1e3 * (usual - late * saved), (1.0 + late) * price),
        ),
        gain=1e3 * gain,
        sure=sure,
        subject=name_of(op),
        basis=f"{seconds.samples} calls seen" if seconds.samples else "no call seen",
    )


def _own_reason(op: GenerateOp | ToolCallOp, summary: Summary, state: _State) -> str:
    """Why a call may not be asked twice, as far as that lies in the call itself."""
    if summary.writes:
        return f"it writes {', '.join(sorted(summary.writes))}"
    declaration = state.costs.declarations.get(callee_of(op))
    limits = (
        dict(declaration.limits.data) if declaration is not None and declaration.limits is not None else {}
    )
    return "its own budget covers one asking" if limits.keys() & {*PAID, *COUNTED} else ""
