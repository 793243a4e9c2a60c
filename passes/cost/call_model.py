"""From the samples of calls and steps to what is expected of the next ones.

All figures are logarithms until the end, since tokens and times vary by factors. A figure of few samples is
drawn towards what the structure of the program implies, by n / (n + k) with k the variance of the samples
over that of programs at large: the estimate of James and Stein (Efron and Morris, 1975), which needs many
samples where they disagree, and few where they agree. The law of time is fitted to the logarithms by Gauss
and Newton's method with Huber's weights (1964), so that a clock that jumped or a call that hung does not bend
it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TypeVar

from attrs import evolve

from flowc.passes.cost.least_squares import non_negative
from flowc.runtime.expectations import (
    LARGEST,
    AnswerLaw,
    CallExpectation,
    Expectations,
    Quantiles,
    StepExpectation,
    TimeLaw,
    bounded,
)
from flowc.runtime.expected import BY_STRUCTURE, UNSURE, expected_embedding, expected_seconds, expected_tokens
from flowc.runtime.history.names import EMBED
from flowc.runtime.history.samples import SIMULATED, CallSample
from flowc.runtime.history.store import Past
from flowc.runtime.plan import Operation

AT_LARGE = (math.log(UNSURE.high / UNSURE.middle) / 1.2816) ** 2
"""The variance between programs of what structure alone implies; a tenth of a normal is 1.2816 away."""
OF_ONE_MODEL = 0.3**2
"""The variance between operations of how much longer they take than their model's law says."""
GROWTH = 0.5**2
"""The variance between operations of the exponent by which answers grow with prompts."""
CLEAR = 4.0
"""An exponent that is less than two of its deviations from zero is taken to be zero."""
BEFORE = 2.0
"""How many samples what was known before counts for, where a spread is judged."""
ROUNDS = 10.0
"""How often a loop or a map runs, where nothing says it."""
BALLOTS = 3.0
"""How many ballots a vote takes, where nothing says it."""
SUCCEEDS = 0.9
"""How often what is tried succeeds, where nothing says it."""
REFITTED = 8
FITTED = 400
"""Calls, the latest, that a law of time is fitted to."""
MOST_SEEN = 32
"""Of a step's counts so many different ones are kept as they were seen."""
TINY = 1e-9
"""What structure says to be nothing takes so much at least, for logarithms to exist."""
LEAST, MOST = 4.0 * math.log(TINY), math.log(LARGEST)
"""The logarithms between which figures are."""
HUBER = 1.345
"""Residuals beyond so many deviations count less."""
_ANCHORS = ((50.0, 5.0), (500.0, 50.0), (2000.0, 200.0), (500.0, 500.0))
"""Tokens of prompts and answers where a fitted law is held near the one that structure implies."""
T = TypeVar("T")


def expectations(
    operations: Mapping[str, tuple[str, Operation]],
    embeddings: Mapping[str, str],
    steps: Mapping[str, str],
    past: Past,
    provider: str | None = None,
) -> Expectations:
    """What a program's calls and steps should take.

    `operations` has, by their name in the program, those that it declares with their name in the history;
    `embeddings`, by alias, and `steps`, by their key in the plan, have names in the history. What `provider`
    answered comes first, then what was answered last.
    """
    laws: dict[tuple[str, str, str], TimeLaw] = {}
    for alias, rows in past.models.items():
        for (by, model), group in _grouped(rows, provider, "llm"):
            laws[alias, by, model] = time_law(alias, by, model, group)
    calls: dict[str, tuple[CallExpectation, ...]] = {}
    for name, (kept_as, operation) in operations.items():
        groups = _grouped(past.calls.get(kept_as, ()), provider, operation.kind)
        found = tuple(_call(operation, group, laws) for _, group in groups)
        if found:
            calls[name] = found
    vectors = [row for name in embeddings.values() for row in past.calls.get(name, ())]
    embedded = tuple(_embedding(group) for _, group in _grouped(vectors, provider, EMBED))
    if embedded and EMBED not in calls:
        calls[EMBED] = embedded
    counted = {key: step(key, past.steps[name]) for key, name in steps.items() if name in past.steps}
    return Expectations(calls, tuple(laws.values()), counted)


def _grouped(
    rows: Iterable[CallSample], provider: str | None, kind: str
) -> list[tuple[tuple[str, str], list[CallSample]]]:
    """Rows of a kind by provider and model: those of the `provider` asked for first, then the latest.

    Tools and people that were simulated say nothing of real ones.
    """
    real = kind in ("tool", "human") and provider != SIMULATED
    groups: dict[tuple[str, str], list[CallSample]] = {}
    last: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows):
        if row.kind == kind and not (real and row.provider == SIMULATED):
            groups.setdefault((row.provider, row.model), []).append(row)
            last[row.provider, row.model] = number
    return sorted(groups.items(), key=lambda each: (each[0][0] != provider, -last[each[0]]))


def _call(
    operation: Operation, rows: Sequence[CallSample], laws: Mapping[tuple[str, str, str], TimeLaw]
) -> CallExpectation:
    """What the calls of an operation take at one provider."""
    last = rows[-1]
    found = CallExpectation(last.provider, last.model, samples=len(rows))
    if operation.kind != "llm":
        seconds = shrunk([math.log(max(row.seconds, TINY)) for row in rows], expected_seconds(operation))
        return evolve(found, seconds=seconds)
    law = laws.get((last.alias, last.provider, last.model), BY_STRUCTURE)
    beside = median(row.beside for row in rows)
    off = [_times(row, law, row.beside) for row in rows]
    unaware = [_times(row, law, beside) for row in rows]
    return evolve(
        found,
        prompt=_plain([math.log(row.prompt) for row in rows]),
        answer=answer_law(rows, expected_tokens(operation, rows[-1].prompt)),
        factor=_wider(shrunk(off, law.spread, OF_ONE_MODEL), shrunk(unaware, law.spread, OF_ONE_MODEL)),
        beside=beside,
    )


def _times(row: CallSample, law: TimeLaw, beside: float) -> float:
    """How many times longer than its model's law says a call took, as a logarithm."""
    return math.log(row.seconds / max(law.seconds(row.prompt, row.answer, beside), TINY))


def _wider(factor: Quantiles, unaware: Quantiles) -> Quantiles:
    """A factor with the spread of one that does not know how many calls there will be beside."""
    low, high = unaware.low / unaware.middle, unaware.high / unaware.middle
    least, most = min(factor.low, factor.middle * low), max(factor.high, factor.middle * high)
    return bounded(least, factor.middle, most, factor.samples)


def _embedding(rows: Sequence[CallSample]) -> CallExpectation:
    seconds = shrunk([math.log(max(row.seconds, TINY)) for row in rows], expected_embedding())
    return CallExpectation(rows[-1].provider, rows[-1].model, seconds=seconds, samples=len(rows))


def step(key: str, ran: Sequence[int]) -> StepExpectation:
    """How often the inside of a step runs, from how often it did; `key` is the step's in the plan."""
    kind, count = key.split("@")[0], len(ran)
    if kind in ("branch", "try"):
        first = 0.5 if kind == "branch" else SUCCEEDS
        taken = (sum(each == 0 for each in ran) + BEFORE * first) / (count + BEFORE)
        return StepExpectation(None, taken, count)
    usual = UNSURE.times((BALLOTS if kind == "ballots" else ROUNDS) + 1.0)
    found = shrunk([math.log1p(each) for each in ran], usual)
    low, middle, high = (max(0.0, each - 1.0) for each in (found.low, found.middle, found.high))
    seen = sorted(Counter(ran).items())
    return StepExpectation(
        bounded(low, middle, high, count), samples=count, seen=tuple(seen) if len(seen) <= MOST_SEEN else ()
    )


# ---- one figure


def shrunk(logs: Sequence[float], before: Quantiles, variance: float = AT_LARGE) -> Quantiles:
    """The quantiles of what was sampled, as logarithms, drawn towards what was expected `before`; that varies
    so much between programs.
    """
    count = len(logs)
    middle = median(logs)
    least, usual, most = (math.log(max(each, TINY)) for each in (before.low, before.middle, before.high))
    deviation = _deviation([each - middle for each in logs], variance)
    share = count / (count + deviation / variance)
    known = share * middle + (1.0 - share) * usual
    trust = count / (count + BEFORE)
    low = trust * (middle - quantile(logs, 0.1)) + (1.0 - trust) * (usual - least)
    high = trust * (quantile(logs, 0.9) - middle) + (1.0 - trust) * (most - usual)
    return _grown(known - low, known, known + high, count)


def _plain(logs: Sequence[float]) -> Quantiles:
    """The quantiles of what was sampled, of which nothing was expected."""
    low, middle, high = (quantile(logs, share) for share in (0.1, 0.5, 0.9))
    return _grown(low, middle, high, len(logs))


def _grown(low: float, middle: float, high: float, count: int) -> Quantiles:
    """The quantiles of which these are the logarithms, which may be absurd and then are cut off."""
    low, middle, high = (math.exp(min(max(each, LEAST), MOST)) for each in (low, middle, high))
    return bounded(low, middle, high, count)


def _deviation(residuals: Sequence[float], variance: float) -> float:
    """The variance of residuals, of which a few may be wild; `variance` where there are few of them."""
    robust = (1.4826 * median(map(abs, residuals))) ** 2 if residuals else 0.0
    limit = max(9.0 * robust, 1e-12)
    total = sum(min(each * each, limit) for each in residuals)
    return (total + BEFORE * variance) / (len(residuals) + BEFORE)


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile at which the next value lies below with this probability (Weibull, 1939)."""
    ranked = sorted(values)
    at = min(max(share * (len(ranked) + 1) - 1.0, 0.0), len(ranked) - 1.0)
    below = int(at)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (at - below) * (ranked[above] - ranked[below])


# ---- tokens


def answer_law(rows: Sequence[CallSample], before: Quantiles) -> AnswerLaw:
    """The law of the answers of some calls; `before` are the tokens that structure implies."""
    prompts = [math.log(row.prompt) for row in rows]
    answers = [math.log(row.answer) for row in rows]
    usual, middle = median(prompts), median(answers)
    spread = _deviation([each - middle for each in answers], AT_LARGE)
    bound = 3.0 * math.sqrt(spread)
    tilted = [min(max(each - middle, -bound), bound) for each in answers]
    across = sum((x - usual) ** 2 for x in prompts)
    along = sum((x - usual) * y for x, y in zip(prompts, tilted, strict=True))
    known = across + spread / GROWTH
    growth = min(max(along / known, -2.0), 2.0)
    if growth * growth * known < CLEAR * spread:
        growth = 0.0
    level = [y - growth * (x - usual) for x, y in zip(prompts, answers, strict=True)]
    return AnswerLaw(
        shrunk(level, before), math.exp(usual), growth, math.exp(min(prompts)), math.exp(max(prompts))
    )


# ---- time


def time_law(alias: str, provider: str, model: str, rows: Sequence[CallSample]) -> TimeLaw:
    """The law of the seconds of a model's calls, whatever the operation."""
    rows = rows[-FITTED:]
    columns = [_columns(row.prompt, row.answer, row.beside) for row in rows]
    logs = [math.log(row.seconds) for row in rows]
    plain = [BY_STRUCTURE.first, BY_STRUCTURE.read, BY_STRUCTURE.written, 0.0]
    scale = shrunk(_residuals(columns, logs, plain), UNSURE).middle
    prices = [price * scale for price in plain]
    anchors = [_columns(prompt, answer, 0.0) for prompt, answer in _ANCHORS]
    near = [math.log(_product(anchor, prices)) for anchor in anchors]
    for _ in range(REFITTED):
        off = _residuals(columns, logs, prices)
        deviation = _deviation(off, AT_LARGE)
        far = HUBER * math.sqrt(deviation)
        weights = [1.0 / math.sqrt(max(1.0, abs(each) / far)) for each in off]
        weights += [math.sqrt(deviation / AT_LARGE)] * len(anchors)
        tilted, wanted = [], []
        both = zip([*columns, *anchors], [*off, *_residuals(anchors, near, prices)], weights, strict=True)
        for column, residual, weight in both:
            part = weight / _product(column, prices)
            tilted.append([each * part for each in column])
            wanted.append((1.0 + residual) * weight)
        found = non_negative(tilted, wanted)
        if not any(found):
            break
        prices = found
    off = _residuals(columns, logs, prices)
    scale = math.exp(median(off))
    first, read, written, crowd = (min(price * scale, LARGEST) for price in prices)
    spread = shrunk([each - math.log(scale) for each in off], UNSURE, OF_ONE_MODEL)
    return TimeLaw(alias, provider, model, first, read, written, crowd, spread.times(1.0 / spread.middle))


def _columns(prompt: float, answer: float, beside: float) -> tuple[float, float, float, float]:
    """What the prices of a law are multiplied with."""
    return 1.0, prompt, answer, answer * beside


def _product(column: Sequence[float], prices: Sequence[float]) -> float:
    return max(sum(each * price for each, price in zip(column, prices, strict=True)), TINY)


def _residuals(
    columns: Sequence[Sequence[float]], logs: Sequence[float], prices: Sequence[float]
) -> list[float]:
    """How many times longer, as logarithms, calls took than the prices say."""
    return [log - math.log(_product(column, prices)) for column, log in zip(columns, logs, strict=True)]
