"""How far the time of a call is off its middle, and what that is worth: the quantiles behind the cost model.

Times are taken to be log-normal on either side of the middle, as those of services and of answers are, about.
"""

from flowc.dialects.agent.calls import AskOp, EmbedOp, GenerateOp, ToolCallOp
from flowc.passes.cost.model import CostModel, tokens
from flowc.passes.facts import callee_of
from flowc.runtime.expectations import Quantiles, TimeLaw, bounded
from flowc.runtime.expected import UNSURE, call_of, law_of
from flowc.runtime.history.names import EMBED
from flowc.runtime.tails import LATE, at

ENOUGH = 20
"""Samples from which a figure is sure: fewer do not show what one call of twenty does."""
LATE_SHARE = 0.05
"""How many of the calls are late: later than 95 of 100."""
_LATER = (1.676, 1.743, 1.82, 1.909, 2.016, 2.154, 2.35, 2.734)
"""The middles of eight equal parts of what is beyond 95 of 100, in deviations."""
_ALL = (-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534)
"""The middles of eight equal parts of all."""

Called = GenerateOp | ToolCallOp | AskOp | EmbedOp


def seconds_of(op: Called, model: CostModel) -> Quantiles:
    """The seconds of a call; `samples` says how many calls they rest on."""
    seen = call_of(EMBED if isinstance(op, EmbedOp) else callee_of(op), model.expected)
    if seen is None:
        return UNSURE.times(model.cost(op) / 1e3)
    if not isinstance(op, GenerateOp) or seen.answer is None:
        return seen.seconds or UNSURE.times(model.cost(op) / 1e3)
    declared = model.declarations.get(callee_of(op))
    alias = None if declared is None else declared.setting.get("model")
    law: TimeLaw = law_of(alias if isinstance(alias, str) else None, model.expected, seen=seen)
    prompt, usual = tokens(op, declared, model.expected)
    answer = seen.answer.tokens(prompt)
    low, middle, high = (law.seconds(prompt, each) for each in (min(answer.low, usual), usual, answer.high))
    samples = min(answer.samples, law.spread.samples)
    return bounded(low, middle, max(middle, high), samples).with_spread(seen.factor)


def mean(seconds: Quantiles) -> float:
    """The mean time."""
    return sum(at(seconds, each) for each in _ALL) / len(_ALL)


def saved_by_asking_again(seconds: Quantiles) -> float:
    """The seconds that a late call is expected to gain where it is asked once more when it is late.

    That is by how much what is left of the first asking is longer than the second, where it is: short where
    calls all take about as long, since then a late one is nearly done.
    """
    begun = at(seconds, LATE)
    left = [at(seconds, each) - begun for each in _LATER]
    again = [at(seconds, each) for each in _ALL]
    return sum(max(0.0, each - other) for each in left for other in again) / (len(left) * len(again))


def is_sure(*parts: Quantiles) -> bool:
    """Whether all figures rest on enough samples."""
    return all(each.samples >= ENOUGH for each in parts)
