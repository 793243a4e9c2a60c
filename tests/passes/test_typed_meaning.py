"""A pass keeps meaning, on typed programs: records, races, votes, people, kernels."""

import asyncio
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import define, field
from hypothesis import Phase, find, given, settings
from hypothesis.errors import NoSuchExample
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler import driver, syntax
from flowc.compiler.checker.model import Checked
from flowc.compiler.diagnostics.model import Source
from flowc.compiler.reference import Outcome, evaluate
from flowc.dialects.agent.calls import ExecuteOp
from flowc.passes.pipelines import O2, O3, optimise
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.kernels import load
from flowc.runtime.people import Question
from flowc.runtime.providers.base import Embedding, EmbedRequest, Hole, Request, Response
from tests.passes.test_meaning import assert_same, round_trips, writes
from tests.typed_expressions import executed
from tests.typed_programs import ARGUMENTS, answer, typed_programs

MORE = int(os.environ.get("FLOWC_EXAMPLES", "1"))
TOOLS = ("twist", "fetch", "peek", "keep", "note", "spell")
WRITES = {"keep": "store", "note": "log"}


class AnsweringWorld:
    """Everything outside answers by a function of its arguments."""

    def tool(self, name: str, arguments: Mapping[str, object]) -> object:
        """A tool's result."""
        return answer(name, arguments)

    def generate(self, name: str, prompt: str, arguments: Mapping[str, object]) -> object:
        """A model's answer."""
        return answer(name, arguments)

    def ask(self, name: str, prompt: str, arguments: Mapping[str, object]) -> object:
        """A person's answer."""
        return answer(name, arguments)

    def embed(self, texts: Sequence[str]) -> object:
        """No typed program embeds anything."""
        raise NotImplementedError

    def execute(self, plan: object, tools: Sequence[str]) -> list[object]:
        """The results of its steps."""
        return executed(plan)


@define
class AnsweringProvider:
    """The same for the runtime: models by their holes, tools by their arguments."""

    calls: list[tuple[str, list[object]]] = field(factory=list)

    async def generate(self, request: Request) -> Response:
        """The answer as JSON, in parts where it is heard."""
        holes = {part.name: part.value for part in request.segments if isinstance(part, Hole)}
        text = json.dumps({"value": answer(request.operation, holes)})
        for place in range(0, len(text), 7):
            if request.stream is not None:
                request.stream(text[place : place + 7])
                await asyncio.sleep(0)
        return Response(text=text)

    async def embed(self, request: EmbedRequest) -> Embedding:
        """No typed program embeds anything."""
        raise NotImplementedError

    def prompt_bound(self, request: Request) -> int:
        """No prompt is long."""
        return 100

    async def close(self) -> None:
        """There is nothing to close."""

    def person(self, question: Question) -> object:
        """A person's answer."""
        found = re.fullmatch(r"tag: (-?\d+)text: (.*)\.", question.prompt, re.DOTALL)
        assert found is not None
        return answer(question.operation, {"tag": int(found[1]), "text": found[2]})

    def tool(self, name: str) -> Callable[..., object]:
        """A tool that notes its writes."""

        def call(*arguments: Any) -> object:
            if name in WRITES:
                self.calls.append((name, list(arguments)))
            names = ("tag", "text" if name == "note" else "x")
            return answer(name, dict(zip(names, arguments, strict=False)))

        return call

    def writes(self) -> Mapping[str, list[tuple[str, list[object]]]]:
        """The writes so far, by resource."""
        found: dict[str, list[tuple[str, list[object]]]] = defaultdict(list)
        for name, arguments in self.calls:
            found[WRITES[name]].append((name, arguments))
        return found


def checked_program(program: syntax.Program) -> Checked:
    return driver.check_program(program, Source("typed.flow", ""))


def outcome(module: ModuleOp) -> Outcome:
    return evaluate(module, "main", ARGUMENTS, AnsweringWorld())


def test_programs_are_generated_in_which_passes_fire_and_plans_are_executed() -> None:
    missing = {"prune", "batch-calls", "stream", "plans"}

    def has_the_last(program: syntax.Program) -> bool:
        module = driver.lowered(checked_program(program), driver.Options())
        if any(isinstance(op, ExecuteOp) for op in module.walk()):
            missing.discard("plans")
        statistics = optimise(module, O2, verify=False).statistics
        missing.difference_update(each.name for each in statistics if each.fired)
        return not missing

    generate = settings(max_examples=500, phases=[Phase.generate], derandomize=True, database=None)
    with suppress(NoSuchExample):
        find(typed_programs(), has_the_last, settings=generate)
    assert not missing


@settings(max_examples=20 * MORE, deadline=None)
@given(typed_programs())
def test_every_level_gives_what_the_sequential_reading_gives(program: syntax.Program) -> None:
    checked = checked_program(program)
    wanted = outcome(driver.optimised(checked, driver.Options(level=0)))
    for level in (1, 2, 3):
        assert_same(wanted, outcome(driver.optimised(checked, driver.Options(level=level))))


@settings(max_examples=8 * MORE, deadline=None)
@given(typed_programs())
def test_printing_and_parsing_is_the_identity_after_every_pass(program: syntax.Program) -> None:
    module = driver.lowered(checked_program(program), driver.Options())
    watch = round_trips()
    watch(module)
    optimise(module, O3, watch=lambda _, current: watch(current))


@settings(max_examples=8 * MORE, deadline=None)
@given(typed_programs())
def test_the_runtime_gives_what_the_reference_gives(program: syntax.Program) -> None:
    checked = checked_program(program)
    wanted = outcome(driver.lowered(checked, driver.Options()))
    compiled = driver.compile_checked(checked)
    kernels = compiled.kernels
    world = AnsweringProvider()
    environment = Environment(
        provider="answering",
        providers={"answering": world},
        people=world.person,
        tools={name: world.tool(name) for name in TOOLS},
        kernels=load(kernels.object_code, kernels.signatures) if kernels is not None else {},
    )
    result = run(compiled.plan, "main", ARGUMENTS, environment=environment)
    assert (result.status == "ok") == (wanted.failure is None), result.problem
    if wanted.failure is None:
        assert result.result == wanted.value
        expected = {
            resource: [(name, json.loads(arguments)) for name, arguments in events]
            for resource, events in writes(wanted.trace).items()
        }
        assert world.writes() == expected
