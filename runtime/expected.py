"""What a call is expected to take: from the plan's expectations, or, where they say nothing, from structure.

What follows from structure are orders of magnitude, good for saying which of two calls takes longer; the wide
spread beside them says so.
"""

from collections.abc import Mapping

from flowc.runtime.expectations import (
    NOTHING,
    CallExpectation,
    Expectations,
    Quantiles,
    StepExpectation,
    TimeLaw,
    bounded,
    step_key,
)
from flowc.runtime.plan import Node, Operation
from flowc.runtime.types import BOOL, INT, JSON, STR, Dict, Enum, List, Optional, PlanOf, Record, Type

SIMULATED = "simulated"
"""The provider under which tools are simulated, too; what others do is done by the same tools and people."""
UNSURE = Quantiles(0.25, 1.0, 4.0)
"""The spread of what follows from structure alone."""
BY_STRUCTURE = TimeLaw("", "", "", first=0.3, read=0.00005, written=0.015, spread=UNSURE)
"""The law of time of a model of which nothing is known: a hosted one of middling size."""
HOLE_TOKENS = 200
"""Tokens of what fills a hole of a prompt."""
EMBED_SECONDS = 0.05
PERSON_SECONDS = 60.0
TOOL_SECONDS: Mapping[str, float] = {"pure": 0.001, "reads": 0.1, "writes": 0.1}
"""Seconds of a tool by the greatest of its effects."""


def expected_tokens(
    operation: Operation,
    prompt: float,
    expectations: Expectations | None = None,
    provider: str | None = None,
    model: str | None = None,
) -> Quantiles:
    """The tokens of the answer of a model to a prompt of so many tokens.

    With `provider` or `model`, what others answered does not count; without, the likeliest one's does.
    """
    seen = call_of(operation.name, expectations, provider, model)
    if seen is not None and seen.answer is not None:
        found = seen.answer.tokens(prompt)
    else:
        found = UNSURE.times(answer_tokens(operation.result))
    return found if operation.max_tokens is None else found.at_most(max(operation.max_tokens, 0))


def expected_seconds(
    operation: Operation,
    prompt: float = HOLE_TOKENS,
    expectations: Expectations | None = None,
    provider: str | None = None,
    beside: float | None = None,
    model: str | None = None,
) -> Quantiles:
    """The seconds of a call, waiting before the gate left out; of a model for a prompt of so many tokens,
    with so many other calls beside it, usual ones where nothing is said.
    """
    seen = call_of(operation.name, expectations, provider, model)
    if operation.kind == "llm":
        law = law_of(operation.model, expectations, provider, seen, model)
        answer = expected_tokens(operation, prompt, expectations, provider, model)
        if beside is None:
            beside = 0.0 if seen is None else seen.beside
        low, middle, high = (
            law.seconds(prompt, count, beside) for count in (answer.low, answer.middle, answer.high)
        )
        samples = min(answer.samples, law.spread.samples)
        spread = law.spread if seen is None or seen.answer is None else seen.factor
        return bounded(low, middle, high, samples).with_spread(spread)
    if seen is not None and seen.seconds is not None:
        return seen.seconds
    if operation.kind in ("human", "event"):
        return UNSURE.times(PERSON_SECONDS)
    if operation.latency is not None:
        return UNSURE.times(operation.latency)
    kinds = [effect.kind for effect in operation.effects] or ["pure"]
    return UNSURE.times(max(TOOL_SECONDS.get(kind, 0.0) for kind in kinds))


def expected_prompt(node: Node, seen: CallExpectation | None = None) -> float:
    """The tokens of the prompt of a `generate`: those `seen`, else by its text, four letters a token."""
    if seen is not None and seen.prompt is not None:
        return seen.prompt.middle
    segments = node.settings.get("segments")
    parts = segments if isinstance(segments, list) else [None]
    return sum(len(part) / 4 if isinstance(part, str) else HOLE_TOKENS for part in parts)


def expected_embedding(
    expectations: Expectations | None = None, provider: str | None = None, model: str | None = None
) -> Quantiles:
    """The seconds of a call that turns texts into vectors."""
    seen = call_of("embed", expectations, provider, model)
    return UNSURE.times(EMBED_SECONDS) if seen is None or seen.seconds is None else seen.seconds


def expected_step(node: Node, expectations: Expectations | None) -> StepExpectation | None:
    """How often the inside of a step of control flow runs; None where no run has shown it."""
    steps = (expectations or NOTHING).steps
    return steps.get(step_key(node.op, node.line, node.column)) if steps else None


def call_of(
    name: str, expectations: Expectations | None, provider: str | None = None, model: str | None = None
) -> CallExpectation | None:
    """What is known of the calls of an operation at a provider and its model, or at the likeliest one."""
    for each in (expectations or NOTHING).calls.get(name, ()):
        if not _is_of(each, model):
            continue
        if provider is None or each.provider == provider or (not each.provider and provider != SIMULATED):
            return each
    return None


def _is_of(known: CallExpectation | TimeLaw, model: str | None) -> bool:
    """Whether what is known may be expected of a model; what names none is known of all."""
    return model is None or not known.model or known.model == model


def law_of(
    alias: str | None,
    expectations: Expectations | None,
    provider: str | None = None,
    seen: CallExpectation | None = None,
    model: str | None = None,
) -> TimeLaw:
    """The law of time of a model: the one that answered what was `seen`, else any of its alias; with `model`
    that one's alone.
    """
    laws = [
        law
        for law in (expectations or NOTHING).models
        if (provider is None or law.provider == provider) and _is_of(law, model)
    ]
    for law in laws:
        if seen is not None and (law.provider, law.model) == (seen.provider, seen.model):
            return law
    return next((law for law in laws if law.alias == (alias or "default")), BY_STRUCTURE)


def answer_tokens(type_: Type) -> float:
    """How many tokens an answer of a type takes, of which nothing else is known."""
    if type_ in (STR, JSON):
        return 200.0
    match type_:
        case List(element):
            return 3.0 * answer_tokens(element)
        case Record() | Dict() | PlanOf():
            return 120.0
        case Optional(inner):
            return answer_tokens(inner)
        case Enum():
            return 5.0
    return 5.0 if type_ in (INT, BOOL) else 10.0
