"""The nodes of a plan, bound to stand-ins: what computes computes, what asks the world waits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, evolve, field, frozen

from flowc.passes.simulation.guessed_steps import Enter, guessed_steps
from flowc.passes.simulation.guesses import Guesses
from flowc.passes.simulation.overheads import overheads
from flowc.passes.simulation.stand_ins import (
    NOT_SAID,
    Asked,
    Embedded,
    Filled,
    KernelTime,
    Processor,
    computing,
    planned,
    sleeping,
    waiting,
)
from flowc.passes.simulation.unknown import Unknown, is_unknown
from flowc.runtime.errors import CANCELLED, FlowError, Problem, fail
from flowc.runtime.expectations import NOTHING
from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.machine import this_machine
from flowc.runtime.plan import Node, Operation, Plan
from flowc.runtime.reading import tables_of
from flowc.runtime.scheduler.binding import Bindings
from flowc.runtime.scheduler.blocks import BODY, STRUCTURE, WAIT, Behaviour, Slots
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.prompts import Template
from flowc.runtime.scheduler.runner import SLOW
from flowc.runtime.scheduler.tools import bind_tool
from flowc.runtime.schema import wrapped
from flowc.runtime.types import STR

MOST_TASKS = 20_000
MOST_STEPS = 200_000
"""How many nodes are gone through, tasks or not: a loop around what only computes makes none."""
GIVEN = "given"
"""The instruction that stands for an argument of the flow."""

ToolTime = Callable[[Operation], float | None]
"""Seconds of a call of a tool or a person, where something else than earlier runs says it."""


@define(eq=False)
class Stage:
    """What binds the nodes of a plan to stand-ins, and counts what they do.

    `given` has the arguments of the flow, `provider` is whose runs tell how long tools take. Without
    `kernel_times` kernels take none. `latest` is where the latest of
    them ran. `problem` is why the run was given up.
    """

    plan: Plan
    guesses: Guesses
    given: tuple[object, ...] = ()
    provider: str = ""
    tool_time: ToolTime = lambda _: None
    kernel_times: Mapping[str, KernelTime] | None = None
    signatures: Mapping[str, KernelSignature] = field(factory=dict)
    tasks: int = 0
    steps: int = 0
    latest: Frame | None = None
    problem: Problem | None = None
    processor: Processor = field(factory=Processor)
    entering: Mapping[str, Enter] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.entering = guessed_steps(self.guesses, self.provider)

    def bindings(self) -> Bindings:
        """Bindings of the plan to stand-ins."""
        return _Bindings(self.plan, {}, {}, stage=self)

    def bind(self, bindings: Bindings, node: Node) -> Behaviour | None:
        """The behaviour of a node that reaches outside or decides something; None of all others."""
        if _decides_inside(node):
            return Behaviour(STRUCTURE, self.entering["map"])
        if node.op in self.entering:
            return Behaviour(STRUCTURE, self.entering[node.op])
        match node.op:
            case "given":
                place = node.settings["place"]
                assert isinstance(place, int)
                return Behaviour(BODY, lambda slots: self.given[place])
            case "tool":
                return self._tool(bindings, node)
            case "generate":
                return self._generate(bindings, node)
            case "human":
                person = bindings.operation(node)
                call = waiting(person, lambda: self.seconds(person), self.begin)
                return Behaviour(WAIT, call, effectful=True, operation=person)
            case "sleep":
                return Behaviour(WAIT, partial(sleeping, self.begin))
            case "embed":
                model = node.settings.get("model")
                alias = model if isinstance(model, str) else None
                return Behaviour(WAIT, Embedded(alias, self.guesses, self.begin), effectful=True)
            case "execute":
                names = node.settings.get("tools", [])
                assert isinstance(names, list)
                tools = [self.plan.operations[str(name)] for name in names]
                return Behaviour(WAIT, planned(tools, self.seconds, self.begin), effectful=True)
            case "kernel":
                name = str(node.settings["kernel"])
                seconds = partial(self.kernel_seconds, name)
                signature = self.signatures.get(name)
                return Behaviour(WAIT, computing(self.processor, signature, seconds, self.begin))
        return None

    def _tool(self, bindings: Bindings, node: Node) -> Behaviour:
        operation = bindings.operation(node)

        async def stand_in(*_: object) -> Unknown:
            self.begin()
            await asyncio.sleep(self.seconds(operation))
            return Unknown()

        pace = bindings.pace(operation.name)
        return bind_tool(node, operation, stand_in, lambda value: value, pace)

    def _generate(self, bindings: Bindings, node: Node) -> Behaviour:
        operation = bindings.operation(node)
        schema = None if operation.result == STR else wrapped(operation.result, tables_of(self.plan))
        template = Template.of(node)
        filled = Filled(template.parts, template.shared, operation.name, self.provider, self.guesses)
        call = Asked(operation, filled, lambda value: value, schema, begun=self.begin)
        return Behaviour(WAIT, call, effectful=True, operation=operation)

    def seconds(self, operation: Operation) -> float:
        """How long a call of a tool or a person takes."""
        if not self.guesses.knows(operation.name, self.provider):
            told = self.tool_time(operation)
            if told is not None:
                return told
        return self.guesses.seconds(operation, self.provider)

    def kernel_seconds(self, name: str, frame: Frame, arguments: Sequence[Any]) -> float:
        """How long a call of a kernel takes, and the runtime with it."""
        if self.kernel_times is None:
            return 0.0
        taken, usual = self._predicted(name, arguments), overheads()
        if self.latest is None:
            around = usual.start
        else:
            around = usual.each if frame is self.latest else usual.each + usual.turn
        self.latest = frame
        return around + taken + (usual.slow if taken > SLOW else 0.0)

    def _predicted(self, name: str, arguments: Sequence[Any]) -> float:
        assert self.kernel_times is not None
        time = self.kernel_times.get(name, _unheard_of)
        seen = (self.plan.expectations or NOTHING).kernels.get(name)
        if seen is not None and seen.machine == this_machine():
            self.guesses.corrected[name] = sum(each.seconds.samples for each in seen.calls)
        try:
            return time(arguments)
        except NOT_SAID:
            pass
        try:
            seconds = time(None)
        except NOT_SAID:
            self.guesses.assumed[f"`{name}` takes no time: the cost model knows nothing of it"] = None
            return 0.0
        self.guesses.assumed[f"arrays of which nothing is known are 256 long each way, in `{name}`"] = None
        return seconds

    def begin(self) -> None:
        """Counts a task."""
        self.tasks += 1
        if self.tasks > MOST_TASKS:
            self._too_large(f"{MOST_TASKS:,} tasks")

    def step(self) -> None:
        """Counts a node."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            self._too_large(f"{MOST_STEPS:,} steps")

    def _too_large(self, limit: str) -> None:
        """Ends the run: no `try` of the program catches that."""
        self.problem = fail(
            "E0657",
            f"the program unrolls to more than {limit}",
            why="what a comprehension or a loop does counts for each element and each round",
            help="simulate a flow that does less: --flow NAME",
        ).problem
        raise FlowError(Problem(CANCELLED, self.problem.message))


@frozen(eq=False)
class _Bindings(Bindings):
    """Bindings to the stand-ins of a stage."""

    stage: Stage = field(kw_only=True)

    def bind(self, node: Node) -> Behaviour:
        """The behaviour of a node."""
        stage = self.stage
        found = stage.bind(self, node)
        if found is not None:
            return found
        found = Bindings.bind(self, node)
        return evolve(found, act=_careful(stage, node, found.act)) if found.kind == BODY else found


def _careful(stage: Stage, node: Node, act: Callable[[Slots], Any]) -> Callable[[Slots], Any]:
    """What a node computes; where it fails on what is not known, its result is not known either."""
    name = node.settings.get({"field": "name", "item": "index"}.get(node.op, ""))

    def body(slots: Slots) -> Any:
        stage.step()
        if name is not None and isinstance(whole := slots[node.inputs[0]], Unknown):
            return whole.member(name)
        try:
            return act(slots)
        except Exception:
            if any(is_unknown(slots[slot]) for slot in node.inputs):
                return Unknown()
            raise

    return body


def _decides_inside(node: Node) -> bool:
    """Whether a batch of calls is to be gone through as a map: something in its elements is decided."""
    if node.op != "generate_batch":
        return False
    inner = [each.op for region in node.regions for each in region.nodes]
    return bool(node.settings.get("filtered")) or "if" in inner


def _unheard_of(_: object) -> float:
    raise LookupError
