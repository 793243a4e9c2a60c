"""What the scheduler asks the predictor that a plan carries: how long answers get, and when a call is late.

Where the predictor knows too little it says nothing, and everything is as in a plan without one. Nothing here
changes an answer or what a budget holds: a reservation of tokens a minute orders calls in time, no more.
"""

import math

from flowc.runtime.admission.gate import Gate
from flowc.runtime.expectations import Quantiles
from flowc.runtime.expected import call_of, expected_seconds, expected_tokens
from flowc.runtime.latencies import CLEARLY, FEWEST
from flowc.runtime.providers.base import Request, estimate_tokens, name_of
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.tails import LATE, at

COUNTS_MOST = ("openai",)
"""Providers whose endpoints count against the tokens a minute what a call asks for, not what it gets."""


def answer_expected(engine: Engine, request: Request) -> Quantiles | None:
    """The tokens of an answer; None where too few calls were seen."""
    plan = engine.session.plan
    operation = plan.operations.get(request.operation)
    if plan.expectations is None or operation is None:
        return None
    prompt, model = estimate_tokens(request.prompt), request.model
    found = expected_tokens(operation, prompt, plan.expectations, model.provider, name_of(model))
    return found if found.samples >= FEWEST else None


def answer_reserved(request: Request, gate: Gate, expected: Quantiles | None) -> int:
    """How many tokens of an answer a call takes from the tokens a minute until it has ended.

    The most that it may answer, where the endpoint counts that, too, where little is known, or where the
    endpoint has refused calls. An answer without a limit is taken to be as long as the longest so far, and
    before there was one as long as expected, unless each such call would wait for a minute of its own.
    """
    most = request.max_tokens
    trusted = gate.pace.most is None and not (most is not None and request.model.provider in COUNTS_MOST)
    if expected is None or not trusted:
        return most if most is not None else gate.longest
    wanted = math.ceil(expected.high)
    if most is not None:
        return min(wanted, most)
    limit = gate.tokens.limit
    alone = limit is not None and wanted + estimate_tokens(request.prompt) >= limit
    return gate.longest if gate.longest or alone else wanted


def late_after(
    engine: Engine, name: str, alias: str, prompt: int, beside: float, provider: str
) -> float | None:
    """Seconds after which a call is later than 95 of 100: those of this process, and before there are enough
    of them, those that the plan has from earlier runs, with so many calls `beside` it, or as many as there
    were if that is more. None where these are too few as well, or where too many were late by them.
    """
    key, latencies = (name, alias), engine.session.latencies
    known = latencies.late(key)
    plan = engine.session.plan
    operation = plan.operations.get(name)
    if known is not None or plan.expectations is None or operation is None or not latencies.can_spare(key):
        return known
    model = name_of(engine.session.model(alias)) if alias else None
    seen = call_of(name, plan.expectations, provider, model)
    usual = 0.0 if seen is None else seen.beside
    beside = max(beside, usual)
    found = expected_seconds(operation, prompt, plan.expectations, provider, beside, model)
    if found.samples < FEWEST or not found.middle:
        return None
    return at(found, LATE) * CLEARLY
