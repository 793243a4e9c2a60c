"""Finds the parameters of a simulated server from the trace of a real endpoint, and says how well they fit.

The latency of a call is taken to be a sum with no negative part:

    network + per_prompt_token * tokens in + (iteration + per_sequence * calls beside it) * tokens out

where the calls beside it are the mean number under way while it ran, and the tokens in are those of its
prompt and of all prompts that came while it ran, for which it stood still; both are counted in the trace
itself. Where the trace tells when first tokens came, these are `network + per_prompt_token * tokens of the
prompt`. Relative errors are minimised. As a sum knows no queue, its figures are then changed a little, one
at a time, as long as the simulated server comes nearer. So is the largest batch, where the trace shows one:
see `batch_fitting`. Every second call is fitted; the errors told are those of the others, simulated at their
times among all calls.
"""

import itertools
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from flowc.runtime.errors import fail
from flowc.runtime.providers.simulated.batch_fitting import BETTER, LESS, best_batches, without_queue
from flowc.runtime.providers.simulated.behaviour import Behaviour, Serving
from flowc.runtime.providers.simulated.serving import INFINITE, Job, Server
from flowc.runtime.providers.simulated.traces import LEAST_LATENCY, Call, Trace

if TYPE_CHECKING:
    import numpy

LEAST = 20
"""Calls with a latency that a fit needs."""
MOST_CACHED = 10**9
"""Tokens; more than any cache has."""
LEAST_ITERATION = 1e-9
"""Seconds; an iteration takes time."""
SEARCHED = 2_000
"""So many calls, the first ones, are simulated again and again to come nearer."""
STEPS = (0.3, 0.2, 0.1, 0.1, 0.05, 0.05, 0.02)
"""By which parts figures are changed for that, one round each."""


@frozen
class Fit:
    """A fitted behaviour; relative errors of the latencies of the calls that were not fitted."""

    behaviour: Behaviour
    calls: int
    median_error: float
    p95_error: float
    beside: float
    """How many calls were under way at most."""
    full: bool = False
    """Whether the largest batch was seen: calls waited for others to end."""


def fit(trace: Trace, model: str = "") -> Fit:
    """The server that explains a trace best; raises E0652 where the trace says too little.

    With `model`, it is about the calls of that model alone.
    """
    import numpy

    calls = [call for call in trace.calls if _measured(call.latency) and model in ("", call.model)]
    if len(calls) < LEAST:
        of = f" of model `{model}`" if model else ""
        names = sorted({call.model for call in trace.calls if call.model})
        raise fail(
            "E0652",
            f"the trace has {len(calls)} calls{of} with a latency, and {LEAST} are needed",
            why=f"it is about: {', '.join(names)[:200]}" if names else "",
            help="trace a longer run of the real endpoint: `flowc run --trace FILE`",
        )
    beside = _beside(calls)
    most = int(numpy.ceil(beside.max()))
    longest = max(call.prompt + max(1, call.answer) for call in calls)
    base = Serving(
        prefill=0.0,
        max_batch=max(Serving().max_batch, most),
        kv_tokens=min(MOST_CACHED, max(Serving().kv_tokens, longest * (most + 1))),
    )
    base, found, full = _searched(calls, base, _peak(calls))
    usual = round(sum(call.answer for call in calls) / len(calls))
    behaviour = evolve(_with(base, found), answer_tokens=max(1, usual))
    latencies = numpy.array([call.latency for call in calls])
    errors = numpy.abs(replayed(calls, behaviour)[1] - latencies)[1::2] / latencies[1::2]
    return Fit(
        behaviour,
        len(calls),
        float(numpy.median(errors)),
        float(numpy.quantile(errors, 0.95)),
        float(beside.max()),
        full,
    )


def _measured(latency: float | None) -> bool:
    return latency is not None and latency >= LEAST_LATENCY


def _searched(calls: Sequence[Call], base: Serving, peak: int) -> tuple[Serving, list[float], bool]:
    """The server and its figures that come nearest to the first calls, with a queue or without; whether it
    has one.
    """
    first = calls[:SEARCHED]
    plain = _refined(first, base, _summed(calls, calls))

    def start(batch: int) -> tuple[float, ...]:
        return _summed(calls, without_queue(calls, batch))

    def error(batch: int, figures: Sequence[float]) -> float:
        return _error(first, evolve(base, max_batch=batch), figures)

    without = error(base.max_batch, plain)
    least, best = min(BETTER * without, without - LESS), (base, plain, False)
    sizes = best_batches(peak, start, error) if least > 0 else []
    for _, batch, figures in sizes:
        refined = _refined(first, evolve(base, max_batch=batch), figures)
        if (now := error(batch, refined)) < least:
            least, best = now, (evolve(base, max_batch=batch), refined, True)
    return best


def _summed(calls: Sequence[Call], served: Sequence[Call]) -> tuple[float, ...]:
    """The four figures of the sum, fitted to every second call as it was served; errors are relative to what
    it took with its waiting.
    """
    import numpy

    whole = numpy.array([call.latency for call in calls])
    latencies = numpy.array([call.latency for call in served])
    beside = _beside(served)
    tokens_out = numpy.array([float(max(1, call.answer)) for call in calls])
    columns = numpy.stack(
        [numpy.ones(len(calls)), _stalling(served), tokens_out, tokens_out * beside], axis=1
    )
    firsts = [
        (1.0 / first, call.prompt / first, 0.0, 0.0)
        for call in served[::2]
        if (first := call.first) is not None and _measured(first)
    ]
    rows = numpy.concatenate([(columns / whole[:, None])[::2], numpy.array(firsts).reshape(-1, 4)])
    wanted = numpy.concatenate([(latencies / whole)[::2], numpy.ones(len(firsts))])
    return non_negative(rows, wanted)


def _with(base: Serving, figures: Sequence[float]) -> Behaviour:
    """A behaviour with the four figures that are looked for."""
    network, prompt, iteration, sequence = map(_rounded, figures)
    serving = evolve(
        base, per_prompt_token=prompt, iteration=max(iteration, LEAST_ITERATION), per_sequence=sequence
    )
    return Behaviour(network=network, server=serving)


def _refined(calls: Sequence[Call], base: Serving, start: Sequence[float]) -> list[float]:
    """Figures near those of the sum that come nearer once simulated: each is tried higher and lower."""
    best = list(start)
    least = _error(calls, base, best)
    for step in STEPS:
        for index in range(len(best)):
            for factor in (1 + step, 1 / (1 + step)):
                tried = [value * factor if at == index else value for at, value in enumerate(best)]
                if (now := _error(calls, base, tried)) < least:
                    best, least = tried, now
    return best


def _error(calls: Sequence[Call], base: Serving, figures: Sequence[float]) -> float:
    """How far the server with these figures, simulated, is off at every second call: the mean relative error
    of the latencies, and that of the times to first tokens where they are known.
    """
    import numpy

    nothing = float("nan")
    firsts = [call.first if _measured(call.first) else nothing for call in calls]
    known = numpy.array([firsts, [call.latency for call in calls]], dtype=float)[:, ::2]
    present = ~numpy.isnan(known)
    found = numpy.abs(replayed(calls, _with(base, figures))[:, ::2] - known) / known
    return float(sum(row[there].mean() for row, there in zip(found, present, strict=True) if there.any()))


def non_negative(columns: "numpy.ndarray", wanted: "numpy.ndarray") -> tuple[float, ...]:
    """The least squares of columns @ x = wanted over all x without a negative member.

    Tries every set of columns, which is exact, and quick for the few there are.
    """
    import numpy

    count = columns.shape[1]
    best: tuple[float, ...] = (0.0,) * count
    least = float("inf")
    for size in range(1, count + 1):
        for chosen in itertools.combinations(range(count), size):
            part = columns[:, chosen]
            found, _, rank, _ = numpy.linalg.lstsq(part, wanted, rcond=None)
            error = float(((part @ found - wanted) ** 2).sum())
            if rank == size and (found >= 0).all() and error < least:
                values = dict(zip(chosen, map(float, found), strict=True))
                best, least = tuple(values.get(index, 0.0) for index in range(count)), error
    return best


def replayed(calls: Sequence[Call], behaviour: Behaviour) -> "numpy.ndarray":
    """What these calls, in order of arrival, take on the simulated server: a row of seconds to the first
    token, and a row of latencies.
    """
    import numpy

    server = Server(behaviour.server or Serving())
    jobs = [Job(call.prompt, max(1, call.answer), call.blocks) for call in calls]
    for call, job in zip(calls, jobs, strict=True):
        server.submit(call.arrival, job)
    while server.next_event() < INFINITE:
        server.advance(server.next_event())
    times = [(job.first - job.arrived, job.ended - job.arrived) for job in jobs]
    return behaviour.network + numpy.array(times).T


def _beside(calls: Sequence[Call]) -> Any:
    """For each call the mean number of calls under way while it ran, itself included."""
    import numpy

    begun = numpy.array([call.arrival for call in calls])
    ended = begun + numpy.array([call.latency or 0.0 for call in calls])
    times = numpy.concatenate([begun, ended])
    order = numpy.argsort(times, kind="stable")
    changes = numpy.concatenate([numpy.ones(len(calls)), -numpy.ones(len(calls))])[order]
    times = times[order]
    under_way = numpy.cumsum(changes)
    total = numpy.concatenate([[0.0], numpy.cumsum(under_way[:-1] * numpy.diff(times))])
    spent = numpy.interp(ended, times, total) - numpy.interp(begun, times, total)
    return numpy.maximum(1.0, spent / numpy.maximum(ended - begun, 1e-12))


def _peak(calls: Sequence[Call]) -> int:
    """How many calls were under way at once, at most."""
    changes = [(call.arrival, 1) for call in calls]
    changes += [(call.arrival + (call.latency or 0.0), -1) for call in calls]
    return max(itertools.accumulate(change for _, change in sorted(changes)))


def _stalling(calls: Sequence[Call]) -> Any:
    """For each call the tokens of its prompt and of those that came while it ran; calls are in order."""
    import numpy

    begun = numpy.array([call.arrival for call in calls])
    ended = begun + numpy.array([call.latency or 0.0 for call in calls])
    prompts = numpy.array([float(call.prompt) for call in calls])
    total = numpy.concatenate([[0.0], numpy.cumsum(prompts)])
    later = total[numpy.searchsorted(begun, ended)] - total[numpy.searchsorted(begun, begun, side="right")]
    return prompts + numpy.maximum(later, 0.0)


def _rounded(value: float) -> float:
    """Four significant digits: no more are known."""
    return float(f"{value:.4g}")


def as_toml(found: Fit, name: str) -> str:
    """The sections for flowc.toml, with what is known and what is not said in comments."""
    behaviour = found.behaviour
    serving = behaviour.server or Serving()
    off = f"{found.median_error:.1%} in the median and by {found.p95_error:.1%}"
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
    return "\n".join(
        [
            f"# From {found.calls} calls, about {found.beside:.0f} at once at most. Half were fitted;",
            f"# the others, simulated, are off by {off} at p95.",
            f"[models.{key}.simulated]",
            f"network = {_number(behaviour.network)}",
            f"answer_tokens = {behaviour.answer_tokens}",
            "",
            f"[models.{key}.simulated.server]",
            f"prefill = {_number(serving.prefill)}",
            f"per_prompt_token = {_number(serving.per_prompt_token)}",
            f"iteration = {_number(serving.iteration)}",
            f"per_sequence = {_number(serving.per_sequence)}",
            *(_batch(found, serving)),
            f"kv_tokens = {serving.kv_tokens}",
            "",
        ]
    )


def _batch(found: Fit, serving: Serving) -> tuple[str, ...]:
    largest = f"max_batch = {serving.max_batch}"
    if found.full:
        return largest, "# A trace does not show this one; it is large enough for what was seen."
    return "# A trace does not show these two; they are large enough for what was seen.", largest


def _number(value: float) -> str:
    """A float without an exponent, exactly."""
    return format(Decimal(repr(value)), "f")
