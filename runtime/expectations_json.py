"""Expectations as JSON, both ways; what is read back is checked, for an artifact may come from anywhere."""

from flowc.runtime.expectations import (
    EXACTLY,
    AnswerLaw,
    CallExpectation,
    Expectations,
    KernelCalls,
    KernelExpectation,
    Quantiles,
    StepExpectation,
    TimeLaw,
)
from flowc.runtime.json_members import as_list, as_number, as_object, exactly, or_none
from flowc.runtime.plan import Json

_count = exactly(int)
_text = exactly(str)


def to_json(expectations: Expectations) -> Json:
    """A plain JSON value that `from_json` reads back to equal expectations."""
    kernels = {name: _kernel(each) for name, each in expectations.kernels.items()}
    return {
        "calls": {name: [_call(each) for each in calls] for name, calls in expectations.calls.items()},
        "models": [_law(law) for law in expectations.models],
        "steps": {key: _step(step) for key, step in expectations.steps.items()},
        **({"kernels": kernels} if kernels else {}),
    }


def _call(call: CallExpectation) -> Json:
    return {
        "by": [call.provider, call.model],
        "samples": call.samples,
        **({"beside": call.beside} if call.beside else {}),
        **({} if call.prompt is None else {"prompt": _quantiles(call.prompt)}),
        **({} if call.answer is None else {"answer": _answer(call.answer)}),
        **({} if call.factor == EXACTLY else {"factor": _quantiles(call.factor)}),
        **({} if call.seconds is None else {"seconds": _quantiles(call.seconds)}),
    }


def _answer(law: AnswerLaw) -> Json:
    return [_quantiles(law.usual), law.prompt, law.growth, law.least, law.most]


def _law(law: TimeLaw) -> Json:
    prices: list[Json] = [law.first, law.read, law.written, law.crowd]
    return {"by": [law.alias, law.provider, law.model], "prices": prices, "spread": _quantiles(law.spread)}


def _step(step: StepExpectation) -> Json:
    count = None if step.count is None else _quantiles(step.count)
    return [count, step.taken, step.samples, [list(each) for each in step.seen]]


def _kernel(kernel: KernelExpectation) -> Json:
    calls: list[Json] = [[each.sizes, each.threads, _quantiles(each.seconds)] for each in kernel.calls]
    return {"machine": kernel.machine, "calls": calls}


def _quantiles(found: Quantiles) -> Json:
    return [found.low, found.middle, found.high, found.samples]


def from_json(value: object) -> Expectations:
    """Reads expectations; raises ValueError or KeyError where they are none, with amounts that cannot be."""
    tables = as_object(value)
    return Expectations(
        calls={
            name: tuple(map(_read_call, as_list(calls))) for name, calls in as_object(tables["calls"]).items()
        },
        models=tuple(map(_read_law, as_list(tables["models"]))),
        steps={key: _read_step(step) for key, step in as_object(tables["steps"]).items()},
        kernels={name: _read_kernel(kernel) for name, kernel in as_object(tables.get("kernels", {})).items()},
    )


def _read_call(value: object) -> CallExpectation:
    call = as_object(value)
    provider, model = map(_text, as_list(call["by"]))
    return CallExpectation(
        provider,
        model,
        prompt=or_none(_read_quantiles, call.get("prompt")),
        answer=or_none(_read_answer, call.get("answer")),
        factor=_read_quantiles(call["factor"]) if "factor" in call else EXACTLY,
        seconds=or_none(_read_quantiles, call.get("seconds")),
        samples=_count(call["samples"]),
        beside=as_number(call.get("beside", 0.0)),
    )


def _read_answer(value: object) -> AnswerLaw:
    usual, *rest = as_list(value)
    prompt, growth, least, most = map(as_number, rest)
    return AnswerLaw(_read_quantiles(usual), prompt, growth, least, most)


def _read_law(value: object) -> TimeLaw:
    law = as_object(value)
    alias, provider, model = map(_text, as_list(law["by"]))
    first, read, written, crowd = map(as_number, as_list(law["prices"]))
    return TimeLaw(alias, provider, model, first, read, written, crowd, _read_quantiles(law["spread"]))


def _read_step(value: object) -> StepExpectation:
    count, taken, samples, pairs = as_list(value)
    seen = tuple((_count(each), _count(times)) for each, times in map(as_list, as_list(pairs)))
    return StepExpectation(or_none(_read_quantiles, count), as_number(taken), _count(samples), seen)


def _read_kernel(value: object) -> KernelExpectation:
    kernel = as_object(value)
    calls = tuple(map(_read_kernel_calls, as_list(kernel["calls"])))
    return KernelExpectation(_text(kernel["machine"]), calls)


def _read_kernel_calls(value: object) -> KernelCalls:
    sizes, threads, seconds = as_list(value)
    return KernelCalls(_text(sizes), _count(threads), _read_quantiles(seconds))


def _read_quantiles(value: object) -> Quantiles:
    low, middle, high, samples = as_list(value)
    return Quantiles(as_number(low), as_number(middle), as_number(high), _count(samples))
