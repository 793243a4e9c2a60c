"""Samples for the cost model from the trace of a run: its calls, and its steps of control flow."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.history.kernel_samples import KernelSample
from flowc.runtime.history.names import ALIAS, Places, embedding_name, operation_name
from flowc.runtime.history.overlaps import Overlaps
from flowc.runtime.plan import Plan
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.trace.model import Trace

SIMULATED = "simulated"
"""Who is said to answer for tools and people in virtual time."""
MOST_SECONDS = 1e7
MOST_TOKENS = 10**8
MOST_TEXT = 200
"""Characters of a name."""
LEAST_SECONDS = 1e-6
"""No model answers sooner."""
LEAST_ANSWER = 1e-3
"""Seconds; a person takes longer, so that what came sooner was prepared."""


@frozen
class CallSample:
    """One call that succeeded at the first attempt. Times are seconds; `name` as `names` makes it.

    It `waited` before the gate, then took `seconds`, of which it was `queued` at the provider as far as that
    tells; `beside` other calls of its model were under way in the mean. `prompt`, `cached` and `answer` are
    tokens. For tools and people provider and model are "", in virtual time the provider is "simulated".
    """

    name: str
    kind: str
    alias: str = ""
    provider: str = ""
    model: str = ""
    prompt: int = 0
    answer: int = 0
    cached: int = 0
    beside: float = 0.0
    waited: float = 0.0
    queued: float = 0.0
    seconds: float = 0.0


@frozen
class StepSample:
    """One execution of a step of control flow: `ran` elements, turns or ballots, or the number of the region
    that gave its result.
    """

    name: str
    ran: int


@frozen
class Samples:
    """What a run has shown; `left_out` calls had times or tokens that cannot be."""

    calls: tuple[CallSample, ...] = ()
    steps: tuple[StepSample, ...] = ()
    left_out: int = 0
    kernels: tuple[KernelSample, ...] = ()


def is_sound(call: CallSample) -> bool:
    """Whether times, tokens and names are such as a call can have: a clock that jumped gives others."""
    times = (call.beside, call.waited, call.queued)
    tokens = (call.prompt, call.answer, call.cached)
    texts = (call.name, call.kind, call.alias, call.provider, call.model)
    at_once = call.seconds == 0.0 and call.provider == SIMULATED and call.kind != "llm"
    return (
        (0.0 < call.seconds <= MOST_SECONDS or at_once)
        and all(len(each) <= MOST_TEXT for each in texts)
        and all(0.0 <= each <= MOST_SECONDS for each in times)
        and all(0 <= each <= MOST_TOKENS for each in tokens)
        and (call.kind != "llm" or (call.prompt > 0 and call.answer > 0 and call.seconds >= LEAST_SECONDS))
    )


def samples(trace: Trace, plan: Plan, places: Places, *, virtual: bool) -> Samples:
    """The samples of a run that has ended, in the order in which its calls did."""
    log = trace.log[: trace.ended]
    made = list(_calls(log, plan, virtual))
    sound = [call for call, _ in made if is_sound(call)]
    beside = beside_each([(call, end) for call, end in made if is_sound(call) and call.kind == "llm"])
    calls = tuple(evolve(call, beside=next(beside)) if call.kind == "llm" else call for call in sound)
    return Samples(calls, tuple(_steps(log, places)), len(made) - len(sound))


def _calls(log: list[Entry], plan: Plan, virtual: bool) -> Iterator[tuple[CallSample, float]]:
    """Each call that needed one attempt alone and was made for this run, with the time when it ended."""
    spent: dict[tuple[Frame, int], list[Mapping[str, Any]]] = defaultdict(list)
    unusual: set[tuple[Frame, int]] = set()
    for kind, frame, instruction, _, _, more in log:
        if kind == "spent":
            spent[frame.home(), instruction.index].append(more)
        elif kind in ("retry", "shared"):
            unusual.add((frame.home(), instruction.index))
    known: dict[str, str] = {name: operation_name(each, plan) for name, each in plan.operations.items()}
    for kind, frame, instruction, start, end, _ in log:
        key = frame.home(), instruction.index
        if kind != "node.done" or key in unusual:
            continue
        found = _call(instruction, spent.get(key, ()), end - start, plan, known, virtual)
        if found is not None:
            yield found, end


def _call(
    instruction: Instruction,
    spent: Sequence[Mapping[str, Any]],
    seconds: float,
    plan: Plan,
    known: Mapping[str, str],
    virtual: bool,
) -> CallSample | None:
    node = instruction.node
    if node.op in ("tool", "human"):
        name = str(node.settings["operation"])
        prepared = node.op == "human" and seconds < LEAST_ANSWER
        found = CallSample(known[name], node.op, provider=SIMULATED if virtual else "", seconds=seconds)
        return None if prepared else found
    if node.op not in ("generate", "embed") or len(spent) != 1:
        return None
    (cost,) = spent
    if node.op == "generate":
        name = str(node.settings["operation"])
        alias, kind, name = plan.operations[name].model or ALIAS, "llm", known[name]
    else:
        chosen = node.settings.get("model")
        alias, kind = (chosen if isinstance(chosen, str) else ALIAS), "embed"
        name = embedding_name(alias)
    waited = float(cost["waited_s"])
    return CallSample(
        name,
        kind,
        alias,
        cost["provider"],
        cost["model"],
        cost["tokens_in"],
        cost["tokens_out"],
        cost["cached"],
        waited=waited,
        queued=float(cost["queued_s"]),
        seconds=seconds - waited,
    )


def beside_each(calls: Iterable[tuple[CallSample, float]]) -> Iterator[float]:
    """For each call, with its end, how many others of its model were under way while it ran, in the mean."""
    every = list(calls)
    spans: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for call, end in every:
        spans[call.provider, call.model].append((end - call.seconds, end))
    busy = {model: Overlaps(found, float) for model, found in spans.items()}
    for call, end in every:
        total = busy[call.provider, call.model].until(end)
        total -= busy[call.provider, call.model].until(end - call.seconds)
        yield max(0.0, total / call.seconds - 1.0)


def _steps(log: list[Entry], places: Places) -> Iterator[StepSample]:
    for kind, _, instruction, _, _, ran in log:
        if kind == "structure" and isinstance(ran, int) and 0 <= ran <= MOST_TOKENS:
            node = instruction.node
            name = places.name(node.op, node.line, node.column)
            if name:
                yield StepSample(name, ran)
