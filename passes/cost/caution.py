"""Costs to rank by, that say no more than is known: times of which few calls were seen come near the usual.

An order by times that are wrong loses to first come, first served; one by the number of calls that are left
never does by much. So where runs have shown some of a program's calls, the logarithm of each time is drawn
towards the mean of all by how uncertain it is beside how much they differ (James and Stein, 1961): of calls
that were seen often the time counts in full, of others less, and where calls differ no more than chance makes
them, that there is a call. Steps in the ranks, within which the first to come goes first, were measured as
well (`python -m benchmarks priorities` has the figures of what is done): they lose what is known of the rest
of the path, and gain nothing.
"""

import math
from collections.abc import Mapping, Sequence

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from flowc.dialects.agent.calls import AskOp, EmbedOp, GenerateOp, ToolCallOp
from flowc.passes.cost.model import CostModel
from flowc.passes.cost.spreads import Called, seconds_of
from flowc.passes.facts import callee_of
from flowc.runtime.expected import UNSURE
from flowc.runtime.history.names import EMBED
from flowc.runtime.tails import TENTH

AT_LARGE = (math.log(UNSURE.high / UNSURE.middle) / TENTH) ** 2
"""The variance of the logarithm of a time of which nothing was seen."""


@define
class CautiousCosts(CostModel):
    """Costs whose calls take `factors` times what the model says, by the name of what is called."""

    factors: Mapping[str, float] = field(factory=dict)

    def cost(self, op: Operation) -> float:
        """The milliseconds of an operation, to rank by."""
        found = CostModel.cost(self, op)
        return found * self.factors.get(_name(op), 1.0) if isinstance(op, Called) else found


def ranking_costs(module: ModuleOp, model: CostModel) -> CostModel:
    """The costs by which the operations of a module are ranked, from those that the model expects."""
    if not model.expected.calls:
        return model
    factors = drawn_together(_seen(module, model))
    return CautiousCosts(model.declarations, model.functions, model.kernels, model.expected, factors=factors)


def _seen(module: ModuleOp, model: CostModel) -> dict[str, tuple[float, float]]:
    """For each name that is called the logarithm of its time, in the mean, and the samples behind it."""
    found: dict[str, list[tuple[float, float]]] = {}
    for op in module.walk():
        if isinstance(op, Called) and (cost := model.cost(op)) > 0.0:
            found.setdefault(_name(op), []).append((math.log(cost), seconds_of(op, model).samples))
    return {name: (_mean([each[0] for each in some]), some[0][1]) for name, some in found.items()}


def drawn_together(times: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """By what to multiply times, of which there are the logarithms and the numbers of samples.

    >>> drawn_together({"often": (0.0, 1e9), "seldom": (2.0, 1e9)})
    {'often': 1.0, 'seldom': 1.0}
    """
    if len(times) < 2:
        return {}
    unsure = {name: AT_LARGE / (samples + 1.0) for name, (_, samples) in times.items()}
    middle = _mean([time for time, _ in times.values()])
    variance = _mean([(time - middle) ** 2 for time, _ in times.values()])
    apart = max(0.0, variance - _mean(list(unsure.values())))
    return {
        name: round(math.exp((middle - time) * (unsure[name] / (apart + unsure[name]))), 6)
        for name, (time, _) in times.items()
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _name(op: GenerateOp | ToolCallOp | AskOp | EmbedOp) -> str:
    return EMBED if isinstance(op, EmbedOp) else callee_of(op)
