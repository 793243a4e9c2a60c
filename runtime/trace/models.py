"""What the models of a run did: calls, tokens, money, and how long calls waited before each of them."""

from collections import defaultdict
from typing import Any

from attrs import frozen

from flowc.runtime.trace.model import Trace


@frozen
class ModelUse:
    """All calls of one model. Times are seconds.

    `cached` of the tokens of prompts were not computed again. A call waited before the gate (limits of
    flowc.toml) and in the queue of the provider; `waited` is both together, `longest` for the call that
    waited most.
    """

    provider: str
    model: str
    calls: int
    tokens_in: int
    cached: int
    tokens_out: int
    cost_usd: float
    waited: float
    longest: float


def model_uses(trace: Trace) -> tuple[ModelUse, ...]:
    """The models of a run, the dearest first."""
    spent: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for kind, _, _, _, _, more in trace.log:
        if kind == "spent":
            spent[more["provider"], more["model"]].append(more)
    found = [
        ModelUse(
            provider,
            model,
            len(calls),
            sum(call["tokens_in"] for call in calls),
            sum(call["cached"] for call in calls),
            sum(call["tokens_out"] for call in calls),
            sum(call["cost_usd"] for call in calls),
            sum(map(_waited, calls)),
            max(map(_waited, calls)),
        )
        for (provider, model), calls in spent.items()
    ]
    return tuple(sorted(found, key=lambda use: (-use.cost_usd, -use.tokens_in, use.provider, use.model)))


def _waited(call: dict[str, Any]) -> float:
    seconds: float = call["waited_s"] + call["queued_s"]
    return seconds
