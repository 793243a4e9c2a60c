"""A run on stand-ins: the runtime's own scheduler, gates, widths, limits and batches, in virtual time.

What is simulated is everything but the outside world. So what a limit of flowc.toml, a `width` or a priority
does to the time of a program needs no model of its own: the code that will do it does it here. What a run
would compute from values that it has is computed; what depends on answers is unknown (`unknown`), and where
such a value decides something it is guessed from what earlier runs showed (`guesses`).
"""

import asyncio
import math
import random
from collections.abc import Mapping

from attrs import evolve, field, frozen

from flowc.passes.simulation.guesses import Guesses
from flowc.passes.simulation.stage import GIVEN, Stage, ToolTime
from flowc.passes.simulation.stand_ins import Foreseen, KernelTime
from flowc.passes.simulation.unknown import Unknown
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.config import PROVIDERS, Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.execute import Loaded, run_plan
from flowc.runtime.expectations import NOTHING
from flowc.runtime.expected import SIMULATED
from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.plan import Function, Node, Operation, Plan, Region
from flowc.runtime.randomness import seed_of
from flowc.runtime.reading import bind_arguments
from flowc.runtime.registry import Registry
from flowc.runtime.result import RunResult

START = "(start)"
"""The flow without parameters that calls the one to be simulated."""


@frozen
class Setting:
    """What surrounds the run: flowc.toml, the provider that is asked whatever it says, arguments by name,
    how long kernels take, and what they give. Arguments that are left out are unknown, unless they have a
    default.
    """

    config: Config = field(factory=Config)
    provider: str | None = None
    arguments: Mapping[str, object] = field(factory=dict)
    kernel_times: Mapping[str, KernelTime] = field(factory=dict)
    signatures: Mapping[str, KernelSignature] = field(factory=dict)


@frozen(eq=False)
class Rehearsal:
    """One run on stand-ins. `seconds` of virtual time; the rest as in `Guesses`."""

    result: RunResult
    assumed: tuple[str, ...]
    learned: Mapping[str, int]
    corrected: Mapping[str, int]

    @property
    def seconds(self) -> float:
        """How long the run takes."""
        return self.result.wall_ms / 1e3

    @property
    def problem(self) -> Problem | None:
        """Why the run would fail, if it does."""
        return self.result.problem


def rehearse(plan: Plan, flow: str, setting: Setting | None = None, seed: int = 0) -> Rehearsal:
    """Runs a flow on stand-ins. `seed` decides what is guessed.

    Raises FlowError E0657 where it makes too many tasks, and what a run raises where arguments do not fit.
    """
    setting = setting or Setting()
    guesses = Guesses(plan.expectations or NOTHING, seed)
    started = _started(plan, flow)
    chosen = setting.provider or setting.config.provider or ""
    chance = random.Random(seed_of("rehearsal", "tools", seed))
    simulated = chosen == SIMULATED
    stage = Stage(
        started,
        guesses,
        given(plan, plan.functions[flow], setting.arguments),
        chosen,
        _simulated_tools(setting.config, chance) if simulated else _by_expectation,
        None if simulated else setting.kernel_times,
        setting.signatures,
    )
    environment = _environment(plan, setting, guesses, seed)
    loaded = Loaded(started, environment, stage.bindings(), Registry(environment))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(_closed(loaded))
    if stage.problem is not None:
        raise FlowError(stage.problem)
    return Rehearsal(result, tuple(guesses.assumed), dict(guesses.learned), dict(guesses.corrected))


async def _closed(loaded: Loaded) -> RunResult:
    try:
        return await run_plan(loaded, START)
    finally:
        await loaded.registry.close()


def given(plan: Plan, function: Function, arguments: Mapping[str, object]) -> tuple[object, ...]:
    """The arguments of a flow in order; unknown where there is none and no default. Raises FlowError E0702 or
    E0704 as a run does.
    """
    known = tuple(each for each in function.parameters if each.optional or each.name in arguments)
    names = {each.name for each in function.parameters}
    partial = evolve(function, parameters=known if names >= arguments.keys() else function.parameters)
    values = dict(zip([each.name for each in known], bind_arguments(plan, partial, arguments), strict=True))
    return tuple(values[each.name] if each.name in values else Unknown() for each in function.parameters)


def _started(plan: Plan, flow: str) -> Plan:
    """The plan with a flow that gives the other one its arguments, known or not."""
    function = plan.functions[flow]
    count = len(function.parameters)
    arguments = [
        Node(GIVEN, parameter.name, (), (slot,), settings={"place": slot})
        for slot, parameter in enumerate(function.parameters)
    ]
    settings = {"function": flow}
    call = Node("call", flow, tuple(range(count)), (count,), settings, line=function.line)
    body = Region(count + 1, (), (), (), (*arguments, call), (count,))
    return evolve(plan, functions={**plan.functions, START: Function(START, (), function.result, body)})


def _environment(plan: Plan, setting: Setting, guesses: Guesses, seed: int) -> Environment:
    """Stand-ins for all providers."""
    config = setting.config
    chosen = {setting.provider, config.provider, *(each.provider for each in config.models.values())}
    providers = {name: Foreseen(name, plan.operations, guesses) for name in PROVIDERS}
    if SIMULATED in chosen:
        providers[SIMULATED] = _described(providers[SIMULATED], config, seed)
    return Environment(
        config=config, provider=setting.provider, providers=providers, seed=seed_of("rehearsal", seed)
    )


def _described(foreseen: Foreseen, config: Config, seed: int) -> Foreseen:
    """A stand-in that simulates models as flowc.toml describes them: those that have a server or quotas, and
    calls of which no run is known.
    """
    from flowc.runtime.providers.simulated.behaviour import NOTHING as PLAIN
    from flowc.runtime.providers.simulated.provider import Simulated

    found = config.simulation or PLAIN
    shared = found.behaviour.server is not None or bool(found.behaviour.quotas)
    models = frozenset(name for name, each in found.models.items() if each.server is not None or each.quotas)
    provider = Simulated(seed_of("rehearsal", seed), found.behaviour, found)
    return evolve(foreseen, described=provider, always=models, all_described=shared and not found.models)


def _by_expectation(_: Operation) -> None:
    """Nothing else says how long a tool takes."""


def _simulated_tools(config: Config, chance: random.Random) -> ToolTime:
    """How long tools and people take under the `simulated` provider where no run is known: those that are
    Python functions, and people, answer while its clock stands still.
    """
    from flowc.runtime.providers.simulated.behaviour import NOTHING as PLAIN
    from flowc.runtime.providers.simulated.distributions import SHAPE, Family

    found = config.simulation or PLAIN

    def seconds(operation: Operation) -> float:
        if operation.module is not None or operation.kind in ("human", "event"):
            return 0.0
        declared = Family(operation.latency, "gamma", SHAPE) if operation.latency else None
        latency = found.tools.get(operation.name, declared)
        if latency is not None:
            return latency.sample(chance)
        behaviour = found.behaviour
        return chance.lognormvariate(math.log(behaviour.tool_seconds), behaviour.spread)

    return seconds
