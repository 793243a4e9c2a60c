"""The world in which plans are tried: nothing in it is real, so nothing is called, asked or written.

Models, tools and people answer from a seed (the `simulated` provider), after the times that flowc.toml gives
for simulation; where it gives none, those that earlier runs have shown, else those of a small hosted model.
Models without an entry in flowc.toml have its prices.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping

from attrs import evolve, frozen

from flowc.passes.cost.money import ANSWER_DOLLARS, PROMPT_DOLLARS
from flowc.runtime.coerce import Tables, bind_extents
from flowc.runtime.config import Config
from flowc.runtime.dtypes import FLOATS, numpy_dtype
from flowc.runtime.environment import Environment
from flowc.runtime.errors import fail
from flowc.runtime.expectations import Quantiles
from flowc.runtime.expected import HOLE_TOKENS, PERSON_SECONDS, call_of, expected_seconds
from flowc.runtime.limits import Price
from flowc.runtime.people import Question
from flowc.runtime.plan import Function, Operation, Plan
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.providers.simulated.answers import text_of, value_of
from flowc.runtime.providers.simulated.behaviour import NOTHING, Simulation
from flowc.runtime.providers.simulated.distributions import Distribution, Empirical
from flowc.runtime.randomness import seed_of
from flowc.runtime.reading import bind_arguments, tables_of
from flowc.runtime.types import Array, Dict, List, Optional, Record, Scalar, Tuple, Type, text

FEW, MANY = 4, 16
"""How many elements a list has that is an argument of a flow."""
WORDS = 40
"""Tokens of a text that is one."""
SIDE = 4
"""The extent of an array where nothing gives it."""
MOST_ELEMENTS = 2**24
MOST_WITHIN = 2**18
"""Elements of the largest array that is made up, as an argument and within one."""

Kernels = Mapping[str, Callable[..., object]]

Arguments = Callable[[Plan, Function], Mapping[str, object]]
"""Gives the arguments that are known of a flow's runs."""


@frozen
class World:
    """What plans are tried with: flowc.toml, the flow, and what gives its arguments if they are known."""

    config: Config
    flow: str | None = None
    arguments: Arguments | None = None

    def environment(self, plan: Plan, kernels: Kernels, seed: int) -> Environment:
        """Stand-ins for all that the plan calls, but for its kernels, which touch nothing but arrays."""
        return Environment(
            config=stand_in_config(self.config, plan),
            provider="simulated",
            kernels=kernels,
            people=_person(seed),
            seed=seed,
        )

    def known(self, plan: Plan, flow: Function) -> tuple[dict[str, object], dict[str, int]]:
        """The arguments that are known, and the extents that their arrays give names; raises FlowError E0702
        or E0704 where they do not fit.
        """
        given = {} if self.arguments is None else dict(self.arguments(plan, flow))
        own = tuple(each for each in flow.parameters if each.name in given)
        asked = evolve(flow, parameters=own) if len(own) == len(given) else flow
        extents: dict[str, int] = {}
        for each, value in zip(own, bind_arguments(plan, asked, given), strict=True):
            bind_extents(each.type, value, extents, each.name)
        return given, extents

    def given(self, plan: Plan, flow: Function, seed: int) -> Mapping[str, object]:
        """The arguments of a run: the known ones, and made up for parameters without a default."""
        tables = tables_of(plan)
        found, extents = self.known(plan, flow)
        for each in flow.parameters:
            if each.name in found or each.optional:
                continue
            chance = random.Random(seed_of(seed, "argument", each.name))
            _check_size(each.type, tables, extents)
            match each.type:
                case Array() as array:
                    found[each.name] = _array(array, extents, chance)
                case Scalar("str"):
                    found[each.name] = text_of(chance, WORDS)
                case List(element):
                    count = chance.randint(FEW, MANY)
                    found[each.name] = [value_of(element, tables, chance, 1) for _ in range(count)]
                case _:
                    found[each.name] = value_of(each.type, tables, chance)
        return found


def _check_size(type_: Type, tables: Tables, extents: Mapping[str, int]) -> None:
    """Refuses to make up what has very large arrays: nothing could be tried in the time there is."""
    most = MOST_ELEMENTS if isinstance(type_, Array) else MOST_WITHIN
    seen: set[Type] = set()
    pending = [type_]
    while pending:
        each = pending.pop()
        if each in seen:
            continue
        seen.add(each)
        match each:
            case Array():
                if math.prod(_shape(each, extents)) > most:
                    raise fail("E0704", f"a {text(each)} is too large to be made up")
            case Record(name):
                pending += [of for _, of in tables.records[name]]
            case Tuple(items):
                pending += items
            case List(inner) | Optional(inner) | Dict(inner):
                pending.append(inner)


def _shape(array: Array, extents: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(dim if isinstance(dim, int) else extents.get(dim, SIDE) for dim in array.dims)


def _array(array: Array, extents: Mapping[str, int], chance: random.Random) -> object:
    """Numbers from 0 to 1, or whole ones to 100, as answers have them."""
    import numpy

    source = numpy.random.default_rng(chance.getrandbits(64))
    shape = _shape(array, extents)
    if array.dtype in FLOATS:
        return source.random(shape).astype(numpy_dtype(array.dtype))
    return source.integers(0, 2 if array.dtype == "bool" else 101, shape).astype(numpy_dtype(array.dtype))


def without_code(plan: Plan) -> Plan:
    """A plan that names no Python of the program, so that none of it can be imported or called."""
    operations = {
        name: evolve(operation, module=None, function=None) for name, operation in plan.operations.items()
    }
    return evolve(plan, operations=operations)


def stand_in_config(config: Config, plan: Plan) -> Config:
    """flowc.toml with what it leaves open about simulation."""
    calls = [operation for operation in plan.operations.values() if operation.kind == "llm"]
    aliases = dict.fromkeys(operation.model or "default" for operation in calls)
    models = {alias: config.models.get(alias) or _hosted(alias) for alias in (*aliases, "default")}
    return evolve(
        config,
        models={**config.models, **models},
        simulation=_simulation(config, models, plan),
        recording=None,
    )


def _hosted(alias: str) -> ModelSettings:
    return ModelSettings(alias, "simulated", alias, price=Price(PROMPT_DOLLARS, ANSWER_DOLLARS))


def _simulation(config: Config, models: Mapping[str, ModelSettings], plan: Plan) -> Simulation:
    """What flowc.toml says, the times of earlier runs, and endpoints for batches as slow as they may be."""
    said = config.simulation or NOTHING
    behaviours = dict(said.models)
    for alias, settings in models.items():
        behaviour = behaviours.get(alias, said.behaviour)
        if settings.batch and behaviour.batch_seconds is None:
            behaviours[alias] = evolve(behaviour, batch_seconds=settings.batch_latency)
    llms, tools = dict(said.llms), dict(said.tools)
    for name, operation in plan.operations.items():
        own = (operation.model or "default") in said.models
        if operation.kind == "llm" and not own and name not in llms:
            llms |= _learned(operation, plan)
        elif operation.kind == "tool" and operation.latency is None and name not in tools:
            tools |= _learned(operation, plan)
    return evolve(said, models=behaviours, llms=llms, tools=tools)


def _learned(operation: Operation, plan: Plan) -> dict[str, Distribution]:
    """How long the calls of an operation took in earlier runs, if there were any."""
    seen = call_of(operation.name, plan.expectations)
    if seen is None or not seen.samples:
        return {}
    prompt = HOLE_TOKENS if seen.prompt is None else seen.prompt.middle
    return {operation.name: _drawn(expected_seconds(operation, prompt, plan.expectations))}


def _drawn(seconds: Quantiles) -> Empirical:
    """The distribution with these 10, 50 and 90 percent points, straight between them and a little beyond: a
    family that fits two points well may put its tail anywhere.
    """
    low, middle, high = seconds.low, seconds.middle, seconds.high
    below = (low + (middle - low) * tenths / 4 for tenths in range(4))
    above = (middle + (high - middle) * tenths / 4 for tenths in range(5))
    return Empirical((low, *below, *above, 2 * high - middle))


def _person(seed: int) -> Callable[[Question], Awaitable[object]]:
    """Somebody who takes a minute and answers anything."""

    async def answer(question: Question) -> object:
        await asyncio.sleep(PERSON_SECONDS)
        chance = random.Random(seed_of(seed, question.operation, question.prompt))
        return value_of(question.result, question.tables, chance)

    return answer
