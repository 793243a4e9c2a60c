"""What must hold of a run: each of these raises an AssertionError that says which call broke it, and how to
see it again.

They raise ValueError for names that the program does not have, and for limits that nothing could break: a
test must be able to fail.
"""

from collections.abc import Iterator, Mapping, Sequence

from flowc.runtime.values import RecordValue, record_fields
from flowc.testing.flows.calls import Call, When, shown
from flowc.testing.flows.checking import Tested, run_on
from flowc.testing.flows.faults import Fault
from flowc.testing.flows.models import Model
from flowc.testing.flows.seeds import chosen
from flowc.testing.flows.stage import Tools, config_of, staged
from flowc.testing.flows.targets import LEVELS, Testable, target_of


def never_calls(run: Tested, operation: str, *, when: When | None = None) -> None:
    """Holds where an operation was not called; with `when`, where no call of it was such a one."""
    __tracebackhide__ = True
    for call in run.calls_of(operation, when):
        such = "" if when is None else ", and was not to be called like this"
        raise _failed(run, f"`{operation}` was called{such}", call)


def calls_once(run: Tested, operation: str, *, when: When | None = None) -> None:
    """Holds where an operation happened exactly once. Attempts of one call of an idempotent tool are one."""
    __tracebackhide__ = True
    calls_at_most(run, operation, 1, when=when)
    if not run.calls_of(operation, when):
        raise _failed(run, f"`{operation}` was not called, and was to be called once")


def calls_at_most(run: Tested, operation: str, most: int, *, when: When | None = None) -> None:
    """Holds where an operation happened so many times at most."""
    __tracebackhide__ = True
    found = _happened(run.calls_of(operation, when))
    if len(found) > most:
        raise _failed(run, f"`{operation}` happened {len(found)} times, not {most} at most", found[most])


def calls_before(run: Tested, first: str, second: str, *, when: When | None = None) -> None:
    """Holds where each call of `second` was made after a call of `first` had ended; with `when`, after such
    a one.
    """
    __tracebackhide__ = True
    run.calls_of(first)
    for call in run.calls_of(second):
        earlier = [each for each in run.calls_of(first, when) if each.number < call.number and each.ended]
        if not any(not each.failure for each in earlier):
            such = "" if when is None else " as it was to be"
            raise _failed(run, f"`{second}` was called, and `{first}` had not been{such}", call)


def ends(run: Tested, *statuses: str, within: float | None = None) -> None:
    """Holds where a run ended with one of these statuses or codes of errors ("ok" where none is said), and
    `within` so many seconds of its own time.
    """
    __tracebackhide__ = True
    wanted = statuses or ("ok",)
    code = None if run.problem is None else run.problem.code
    if run.status not in wanted and code not in wanted:
        raise _failed(run, f"the flow did not end with {' or '.join(wanted)}", _last(run))
    if within is not None and run.seconds > within:
        raise _failed(run, f"the flow took {run.seconds:.1f} s, more than {within:g} s", _last(run))


def spends_at_most(
    run: Tested, *, tokens: int | None = None, money: float | None = None, calls: int | None = None
) -> None:
    """Holds where a run spent no more: tokens of prompts and answers, US dollars, calls of llms and tools
    with all attempts. Prices are those of the program's flowc.toml.
    """
    __tracebackhide__ = True
    if tokens is None and money is None and calls is None:
        raise ValueError("say what is not to be spent: tokens=, money= or calls=")
    if money is not None:
        prices = {each.price for each in config_of(run.target).models.values()}
        if not any(price.prompt or price.answer for price in prices):
            raise ValueError(
                "no model has a price, so no money can be spent: set price_in and price_out in flowc.toml"
            )
    made = [each for each in run.calls if each.kind in ("llm", "tool", "embed")]
    if tokens is not None and run.tokens > tokens:
        raise _failed(run, f"the flow used {run.tokens} tokens, more than {tokens}", _largest(run))
    if money is not None and run.money > money:
        raise _failed(run, f"the flow spent ${run.money:.6f}, more than ${money:g}", _largest(run))
    if calls is not None and len(made) > calls:
        raise _failed(run, f"the flow made {len(made)} calls, more than {calls}", made[calls])


def no_leak(run: Tested, canary: str, *, to: Sequence[str] | None = None) -> None:
    """Holds where a text that the test put in did not come out: in no argument or prompt of the operations
    `to`, by default of all models and all tools that write.
    """
    __tracebackhide__ = True
    if not canary:
        raise ValueError("the text to look for is empty, which is a part of every text")
    for name in to or ():
        run.calls_of(name)
    for call in run.calls:
        sink = call.kind == "llm" or call.writes if to is None else call.operation in to
        if sink and any(canary in text for text in (call.prompt, *texts_in(call.arguments))):
            raise _failed(run, f"{shown(canary)} reached `{call.operation}`", call)


def same_at_every_level(
    flow: Testable,
    arguments: Mapping[str, object] | None = None,
    *,
    model: Model | None = None,
    tools: Tools | None = None,
    answers: Mapping[str, object] | None = None,
    faults: Sequence[Fault] = (),
    seed: int | None = None,
) -> Tested:
    """Holds where a flow gives the same, and writes the same, however it is optimised; gives the run of
    -O0.

    What stands in for a model says the same whenever it is asked the same, since optimisation leaves out
    equal calls of what is pure. A tool that is declared `pure` and is not, or one whose effects are left
    out, shows here.
    """
    __tracebackhide__ = True
    runs = []
    number = chosen(seed)
    for level in LEVELS:
        stage = staged(
            target_of(flow, level),
            model=model,
            tools=tools,
            answers=answers,
            faults=faults,
            seed=number,
            by_prompt=True,
        )
        runs.append(run_on(stage, arguments or {}))
    for level, run in zip(LEVELS[1:], runs[1:], strict=True):
        differs = ("another end", "other effects")
        for what, at_first, now in zip(differs, _end(runs[0]), _end(run), strict=True):
            if at_first != now:
                raise AssertionError(
                    f"at -O{level} the flow has {what} than at -O0\n"
                    f"  -O0: {shown(at_first)}\n  -O{level}: {shown(now)}\n{run}"
                )
    return runs[0]


def _end(run: Tested) -> tuple[str, list[str]]:
    code = "" if run.problem is None else run.problem.code
    return f"{run.status} {code} {run.value!r}", sorted(str(each) for each in run.effects)


def texts_in(value: object) -> Iterator[str]:
    """All texts that a value holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, RecordValue):
        yield from texts_in(record_fields(value))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
    elif hasattr(value, "__dict__"):
        yield from texts_in(vars(value))


def _happened(calls: Sequence[Call]) -> list[Call]:
    """The calls, with those of one idempotent call counted once."""
    keys: set[str] = set()
    found = []
    for call in calls:
        if not (call.idempotent and call.key in keys):
            found.append(call)
        keys.add(call.key)
    return found


def _last(run: Tested) -> Call | None:
    return run.calls[-1] if run.calls else None


def _largest(run: Tested) -> Call | None:
    asked = [each for each in run.calls if each.kind == "llm"]
    return max(asked, key=lambda each: len(each.prompt) + len(str(each.result)), default=None)


def _failed(run: Tested, what: str, call: Call | None = None) -> AssertionError:
    lines = [what]
    if call is not None:
        lines.append(f"  call {call.number} of {len(run.calls)}, at {call.seconds:.2f} s: {call}")
    return AssertionError("\n".join([*lines, str(run), f"  again: check({run.flow}, ..., seed={run.seed})"]))
