"""The world of a tested run: stand-ins for models, tools and people, which note each call that is made.

Nothing outside is touched: a tool that reads or writes is replaced unless the test gives it, or asks for
the real one.
"""

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, evolve, field

from flowc.runtime.coerce import bind_extents
from flowc.runtime.config import Config, find_config, load_config
from flowc.runtime.environment import Environment
from flowc.runtime.people import Question
from flowc.runtime.plan import Operation
from flowc.runtime.providers.base import Provider
from flowc.runtime.randomness import seed_of
from flowc.runtime.reading import tables_of
from flowc.runtime.scheduler.current import idempotency_key
from flowc.runtime.values import to_json
from flowc.testing.flows.adversary import ADVERSARIAL, Behaviour
from flowc.testing.flows.calls import Call, Log
from flowc.testing.flows.faults import (
    Broken,
    Fault,
    Mistyped,
    delay,
    fault_of,
    refuse_unknown,
)
from flowc.testing.flows.given import answer, callable_as, fitting
from flowc.testing.flows.hostile import drawn
from flowc.testing.flows.models import QUICK, Model, provider_of
from flowc.testing.flows.targets import Target
from flowc.testing.flows.watched import Watched

PROVIDER = "test"


class Real:
    """What stands for the function that the program has for a tool."""

    def __repr__(self) -> str:
        return "flowc.testing.REAL"


REAL: Final = Real()

Tools = Mapping[str, object]
"""By the name of the tool: a function, `REAL`, or the value that it always gives."""


@define(eq=False)
class Stage:
    """What a run meets. `dead` says that the process of the run has died, so that nobody acts any more."""

    target: Target
    seed: int
    provider: Provider
    given: Tools
    answers: Mapping[str, object]
    faults: Sequence[Fault]
    extreme: float
    log: Log = field(factory=Log)
    counts: Counter[str] = field(factory=Counter)
    problems: list[BaseException] = field(factory=list)
    clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    dead: bool = False

    def environment(self, *, threads: int = 0) -> Environment:
        """The world as the runtime knows it."""
        operations = self.target.plan.operations
        tools = {name: self._tool(each) for name, each in operations.items() if each.kind == "tool"}
        return Environment(
            config=config_of(self.target),
            provider=PROVIDER,
            providers={PROVIDER: Watched(self, self.provider)},
            tools=tools,
            folder=self.target.folder,
            kernels=self.target.kernels,
            people=self._ask,
            seed=self.seed,
            threads=threads,
        )

    def begin(
        self, kind: str, name: str, arguments: Mapping[str, object], **more: Any
    ) -> tuple[int, Fault | None]:
        """Notes a call; gives its place, and what goes wrong with it."""
        self.counts[name] += 1
        call = Call(len(self.log.calls) + 1, kind, name, arguments, self.clock(), **more)
        return self.log.begin(call), fault_of(self.faults, name, self.counts[name])

    def end(self, place: int, result: object, failure: BaseException | None = None) -> None:
        """Notes how a call has ended."""
        said = "" if failure is None else f"{type(failure).__name__}: {failure}"
        calls = self.log.calls
        calls[place] = evolve(calls[place], result=result, failure=said, ended=True)

    # ---- tools

    def _tool(self, operation: Operation) -> Callable[..., Any]:
        function = self._function(operation)
        given = callable(self.given.get(operation.name, REAL))
        names = [parameter.name for parameter in operation.parameters]
        writes = any(effect.kind == "writes" for effect in operation.effects)
        idempotent = writes and all(each.idempotent for each in operation.effects if each.kind == "writes")

        async def call(*arguments: Any) -> Any:
            if self.dead:
                raise Broken("nobody is there")
            named = dict(zip(names, arguments, strict=False))
            more = {"key": idempotency_key(), "writes": writes, "idempotent": idempotent}
            place, fault = self.begin("tool", operation.name, named, **more)
            try:
                value = await self._called(function, arguments, fault)
            except Exception as failure:
                self.end(place, None, failure)
                raise
            self.end(place, value)
            if given:
                self._fits(operation, value)
            return Mistyped() if fault is not None and fault.how == "mistyped" else value

        return call

    async def _called(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], fault: Fault | None
    ) -> Any:
        await delay(fault)
        if fault is not None and fault.how == "fails":
            raise Broken("a fault of the test")
        value = function(*arguments)
        if inspect.isawaitable(value):
            value = await value
        if fault is not None and fault.how == "fails late":
            raise Broken("a fault of the test, after the tool had done its work")
        return value

    def _function(self, operation: Operation) -> Callable[..., Any]:
        name = operation.name
        pure = all(effect.kind == "pure" for effect in operation.effects)
        given = self.given.get(name, REAL if pure else None)
        if given is REAL:
            real = self.target.real(name)
            if real is None and name in self.given:
                raise ValueError(f"`{name}` has no function that could be the real one")
            return partial(self._stand_in, operation) if real is None else real
        if callable(given):
            callable_as(operation, given)
            return self.target.fitted(name, given)
        if name not in self.given:
            return partial(self._stand_in, operation)
        fitting(name, operation.result, tables_of(self.target.plan), given)
        return _constant(given)

    def _fits(self, operation: Operation, value: object) -> None:
        try:
            fitting(operation.name, operation.result, tables_of(self.target.plan), value)
        except TypeError as error:
            self.problems.append(error)

    async def _stand_in(self, operation: Operation, *arguments: Any) -> Any:
        """A value of the tool's type, which depends on its arguments alone."""
        shown = [str(to_json(each, limit=None)) for each in arguments]
        chance = random.Random(seed_of(self.seed, "tool", operation.name, *shown))
        await asyncio.sleep(chance.uniform(*QUICK))
        extents: dict[str, int] = {}
        for parameter, value in zip(operation.parameters, arguments, strict=False):
            bind_extents(parameter.type, value, extents, "")
        tables = tables_of(self.target.plan)
        return drawn(operation.result, tables, chance, self.extreme, extents)

    # ---- people

    def _ask(self, question: Question) -> object:
        """The given answer, else one that fits; LookupError is given for who does not answer."""
        name = question.operation
        place, _ = self.begin(question.kind, name, {}, prompt=question.prompt)
        if name not in self.answers:
            chance = random.Random(seed_of(self.seed, "person", name, question.prompt, question.step))
            said: object = drawn(question.result, question.tables, chance, self.extreme)
        else:
            try:
                said = answer(question, self.answers[name])
            except LookupError:
                raise
            except Exception as error:
                self.problems.append(error)
                raise
        self.end(place, said)
        return said


def _constant(value: object) -> Callable[..., object]:
    return lambda *_: value


def staged(
    target: Target,
    *,
    model: Model | None,
    tools: Tools | None,
    answers: Mapping[str, object] | None,
    faults: Sequence[Fault],
    seed: int,
    by_prompt: bool = False,
) -> Stage:
    """The world of a run. Raises ValueError for what is given and no part of the program."""
    for name in (*(tools or {}), *(answers or {})):
        target.operation(name)
    refuse_unknown(faults, {name: each.kind for name, each in target.plan.operations.items()})
    if isinstance(model, Mapping):
        for name in model:
            target.operation(name)
    problems: list[BaseException] = []
    return Stage(
        target,
        seed,
        provider_of(model, seed, problems, by_prompt=by_prompt),
        tools or {},
        answers or {},
        tuple(faults),
        extreme=(model if isinstance(model, Behaviour) else ADVERSARIAL).extreme,
        problems=problems,
    )


def config_of(target: Target) -> Config:
    """The prices and limits of models, as the flowc.toml of the program says; never the user's own."""
    return load_config(find_config(target.folder))
