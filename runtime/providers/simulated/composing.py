"""What a simulated model will say to a request, decided by the seed before any time passes.

Nothing here depends on how busy a server is or on when a call comes, so the answers of a program are the same
under every server, quota and latency.
"""

import json
import math
import random

from attrs import frozen

from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import ProviderError, Request, Usage, estimate_tokens
from flowc.runtime.providers.simulated.answers import text_of, value_of
from flowc.runtime.providers.simulated.behaviour import Behaviour
from flowc.runtime.randomness import seed_of

UNUSED = Usage()
ABSURD = (-1, 10**15)
"""Counts of tokens that no call has."""
MOST_WRITTEN = 100_000
"""Of a longer answer only so many tokens are written out; the others take their time all the same."""


@frozen(eq=False)
class Composed:
    """An answer to come. `latency` is the time to the first token of a model without a server, `usage` what
    the provider will report, `tokens` how many are really made; `times` is a source of chance for waiting
    times.
    """

    latency: float
    error: ProviderError | None
    times: random.Random
    text: str = ""
    tokens: int = 1
    finish: str = "stop"
    usage: Usage = UNUSED


def composed(request: Request, behaviour: Behaviour, seed: int) -> Composed:
    """The answer to a request, or the fault in its place."""
    call = (seed, request.operation, request.prompt, request.step, request.attempt)
    chance = random.Random(seed_of(*call))
    times = random.Random(seed_of(*call, "times"))
    latency = waited(chance, behaviour)
    error = fault(chance, behaviour)
    waits = times
    if request.hedge:  # asked once more: the same answer, at a time of its own
        waits = random.Random(seed_of(*call, "times", request.hedge))
        latency = waited(waits, behaviour)
    if error is not None:
        return Composed(latency, error, waits)
    wanted = max(1, round(chance.gauss(1.0, 0.25) * behaviour.answer_tokens))
    if behaviour.lengths is not None:
        wanted = max(1, round(behaviour.lengths.sample(times)))
    if request.schema is None:
        text = text_of(chance, min(wanted, MOST_WRITTEN))
    else:
        text = json.dumps({"value": value_of(request.result, request.tables, chance)}, ensure_ascii=False)
    tokens = max(1, estimate_tokens(text))
    if request.schema is None and wanted > MOST_WRITTEN:
        tokens = wanted
    finish = "stop"
    limit = request.max_tokens
    if chance.random() < behaviour.truncated or (limit is not None and tokens > limit):
        tokens = min(tokens, limit or tokens)
        text, finish = text[: max(1, tokens * 4 // 2)], "length"
    elif chance.random() < behaviour.not_json:
        text = "Sure! Here is what you asked for: " + text[1:]
    elif chance.random() < behaviour.wrong_schema and request.schema is not None:
        text = json.dumps({"value": {"unexpected": True}})
    if behaviour.lengths is not None and finish == "stop":
        tokens = max(tokens, wanted) if limit is None else max(tokens, min(wanted, limit))
    usage = Usage(estimate_tokens(request.prompt), tokens)
    if behaviour.wrong_usage and chance.random() < behaviour.wrong_usage:
        usage = Usage(chance.choice(ABSURD), chance.choice(ABSURD))
    return Composed(latency, None, waits, text, tokens, finish, usage)


def waited(chance: random.Random, behaviour: Behaviour) -> float:
    """Seconds to the first token of a model without a server."""
    return chance.lognormvariate(math.log(behaviour.first_token), behaviour.spread)


def fault(chance: random.Random, behaviour: Behaviour) -> ProviderError | None:
    """A fault of the endpoint, as often as the behaviour says."""
    for code, share, message, after in (
        ("E0820", behaviour.rate_limited, "the endpoint takes no more requests now", 2.0),
        ("E0821", behaviour.server_error, "the endpoint failed", None),
        ("E0822", behaviour.reset, "the connection to the endpoint broke", None),
    ):
        if chance.random() < share:
            problem = Problem(code, message, "a simulated fault", "`@retry` bridges short failures")
            return ProviderError(problem, after=after)
    return None
