"""One run of a flow in a test: in virtual time, with stand-ins for everything that it would reach."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from attrs import field, frozen

from flowc.runtime.clock import VirtualLoop
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.execute import load, run_plan
from flowc.runtime.result import RunResult
from flowc.testing.flows import seeds
from flowc.testing.flows.calls import Call, When, shown
from flowc.testing.flows.faults import Fault
from flowc.testing.flows.models import Model
from flowc.testing.flows.stage import Stage, Tools, staged
from flowc.testing.flows.targets import Target, Testable, target_of

LONGEST = 400 * 86400.0
"""Seconds of virtual time after which a run is taken to hang."""

T = TypeVar("T")


@frozen(eq=False)
class Tested:
    """A run of a flow, ended. `status` is that of `flowc run` (ok, failed, over-budget, waiting, ...), or
    "hung".

    `value` is what the flow gave, `problem` what ended it otherwise, `calls` all calls in their order,
    `seconds` how long it took in its own time. `tokens` and `money` are what it spent.
    """

    flow: str
    __test__ = False  # or pytest takes it for tests, where it is imported

    arguments: Mapping[str, object]
    seed: int
    status: str
    value: Any = None
    problem: Problem | None = None
    calls: tuple[Call, ...] = field(default=(), repr=False)
    tokens: int = 0
    money: float = 0.0
    seconds: float = 0.0
    target: Target = field(kw_only=True, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the flow gave a value."""
        return self.status == "ok"

    def calls_of(self, operation: str, when: When | None = None) -> tuple[Call, ...]:
        """The calls of an operation. Raises ValueError where the program has none of that name."""
        self.target.operation(operation)
        return tuple(
            each for each in self.calls if each.operation == operation and (when is None or when(each))
        )

    @property
    def effects(self) -> tuple[Call, ...]:
        """The calls of tools that write, and did not fail, in their order."""
        return tuple(each for each in self.calls if each.writes and each.ended and not each.failure)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={shown(value)}" for name, value in self.arguments.items())
        ended = self.status if self.problem is None else f"{self.status}: {_told(self.problem)}"
        lines = [f"{self.flow}({given}), seed {self.seed}", f"  ended {ended}"]
        if self.ok:
            lines[-1] = f"  gave {shown(self.value)}"
        lines += [f"  {each.number}. {each}{_outcome(each)}" for each in self.calls[:MOST_SHOWN]]
        if len(self.calls) > MOST_SHOWN:
            lines.append(f"  ... and {len(self.calls) - MOST_SHOWN} calls more")
        return "\n".join(lines)


MOST_SHOWN = 20
"""Calls that a message lists."""


def _told(problem: Problem) -> str:
    return f"{problem.code}: {problem.message}" + (f" ({problem.why})" if problem.why else "")


def _outcome(call: Call) -> str:
    if call.failure:
        return f" failed: {call.failure}"
    return f" -> {shown(call.result)}" if call.ended else " was given up"


def check(
    flow: Testable,
    arguments: Mapping[str, object] | None = None,
    *,
    model: Model | None = None,
    tools: Tools | None = None,
    answers: Mapping[str, object] | None = None,
    faults: Sequence[Fault] = (),
    seed: int | None = None,
    level: int | None = None,
    longest: float = LONGEST,
) -> Tested:
    """Runs a flow in virtual time and gives all that it did. What goes wrong in the run is no exception
    here.

    `model` answers its llms: by default an adversary that says anything the types allow; a `Behaviour`, a
    mapping from llms to answers, a function of the request, or a provider. `tools` are functions, values or
    `REAL` by name: without them pure tools are the program's own, and all others give values of their
    types. `answers` are what people say. `faults` make calls go wrong. The same seed gives the same run.

    Raises FlowError for arguments that do not fit the flow, ValueError for names that the program does not
    have, and whatever a scripted answer raises.
    """
    __tracebackhide__ = True
    target = target_of(flow, level)
    number = seeds.chosen(seed)
    stage = staged(target, model=model, tools=tools, answers=answers, faults=faults, seed=number)
    return run_on(stage, arguments or {}, longest)


def run_on(stage: Stage, arguments: Mapping[str, object], longest: float = LONGEST) -> Tested:
    """Runs a flow on a stage that is set."""
    __tracebackhide__ = True
    loaded = load(stage.target.plan, stage.environment())

    async def life() -> RunResult | None:
        try:
            async with asyncio.timeout(longest):
                return await run_plan(loaded, stage.target.flow, arguments)
        except TimeoutError:
            return None
        finally:
            await loaded.registry.close()

    try:
        report = in_virtual_time(life)
    except FlowError as error:  # of the arguments: where in the loop they were looked at says nothing
        raise error.with_traceback(None) from None
    if stage.problems:
        raise stage.problems[0]
    return account(stage, arguments, report, longest)


def account(
    stage: Stage, arguments: Mapping[str, object], report: RunResult | None, longest: float = LONGEST
) -> Tested:
    """What a run comes to for the test; None is a run that did not end."""
    target = stage.target
    calls = tuple(stage.log.calls)
    if report is None:
        return Tested(target.name, arguments, stage.seed, "hung", calls=calls, seconds=longest, target=target)
    value = report.result
    if report.status == "ok" and target.result is not None:
        value = target.result(value)
    return Tested(
        target.name,
        arguments,
        stage.seed,
        report.status,
        value,
        report.problem,
        calls,
        report.tokens_in + report.tokens_out,
        report.cost_usd,
        report.wall_ms / 1e3,
        target=target,
    )


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine to its end on a virtual clock, beside a loop that runs here already too."""

    def there() -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(work())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(there).result()
    return there()
