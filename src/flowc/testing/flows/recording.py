"""Real calls as fixtures: asked once, written to a file beside the test, and given again from then on.

The file is that of `flowc run --record`: one JSON object a line. Answers of models stand in it by what was
asked, and what tools that read gave by their arguments. Tools that write are stand-ins, here as everywhere.
"""

import asyncio
import inspect
import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import asdict, define, evolve, field

from flowc.runtime.config import find_config, load_config
from flowc.runtime.environment import THREADS, Environment
from flowc.runtime.errors import fail
from flowc.runtime.execute import load, run_plan
from flowc.runtime.plan import Operation
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ModelSettings,
    Provider,
    Request,
    Response,
)
from flowc.runtime.providers.replay import Recorded, Recorder, Replay
from flowc.runtime.registry import Registry
from flowc.runtime.result import RunResult
from flowc.runtime.values import is_array, to_json
from flowc.testing.flows.calls import Call
from flowc.testing.flows.checking import Tested, account, run_on
from flowc.testing.flows.keys import refuse_keys
from flowc.testing.flows.stage import Stage, Tools, config_of, staged
from flowc.testing.flows.targets import Target, Testable, target_of
from flowc.testing.flows.watched import Watched

MISSING = "E0834"


@define(eq=False)
class Recording:
    """The recording of one test. With `writes` calls are real, and the file is written anew; else it
    answers. `again` is the command that records.
    """

    path: Path
    writes: bool = False
    again: str = "pytest --flowc-record"
    begun: bool = False
    replay: Replay | None = field(default=None)
    new: Path | None = None

    def check(
        self,
        flow: Testable,
        arguments: Mapping[str, object] | None = None,
        *,
        tools: Tools | None = None,
        answers: Mapping[str, object] | None = None,
        seed: int | None = None,
    ) -> Tested:
        """Runs a flow as `check` does, with real models and tools that read, or with what they gave before.

        Raises AssertionError where the recording lacks what the flow asks, and ValueError where it would
        hold a key of this machine.
        """
        __tracebackhide__ = True
        target = target_of(flow)
        given: dict[str, object] = dict(tools or {})
        for name, each in target.plan.operations.items():
            if each.kind == "tool" and name not in given and _reads(each):
                given[name] = self._tool(target, each)
        stage = staged(
            target, model=None, tools=given, answers=answers, faults=(), seed=0 if seed is None else seed
        )
        if self.writes:
            return self._record(stage, arguments or {})
        stage.provider = _neutral(self._read())
        run = run_on(stage, arguments or {})
        for call in run.calls:
            if MISSING in call.failure:
                raise AssertionError(self._lacks(call, run))
        return run

    def _record(self, stage: Stage, arguments: Mapping[str, object]) -> Tested:
        """A run whose calls are real. Its record takes its place when it is whole, and has been looked at."""
        __tracebackhide__ = True
        with TemporaryDirectory(prefix="flowc-") as folder:
            self.new = Path(folder) / "calls.jsonl"
            self.new.touch()
            run = _really(stage, arguments, self.new)
            text = self.new.read_text("utf-8")
        refuse_keys(text.splitlines(), config_of(stage.target))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a" if self.begun else "w", encoding="utf-8") as file:
            file.write(text)
        self.begun = True
        return run

    def _read(self) -> Replay:
        if self.replay is None:
            if not self.path.exists():
                raise AssertionError(f"there is no recording {self.path}\n  record it with: {self.again}")
            self.replay = Replay.read(self.path)
        return self.replay

    def _lacks(self, call: Call, run: Tested) -> str:
        asked = f"\n  asked: {call.prompt[:300]!r}" if call.prompt else ""
        return (
            f"the recording {self.path} has no answer for {call}{asked}\n"
            "  the flow, its arguments or what came before have changed\n"
            f"  record again with: {self.again}\n{run}"
        )

    # ---- tools that read

    def _tool(self, target: Target, operation: Operation) -> Callable[..., Any]:
        real = target.real(operation.name) if self.writes else None
        if self.writes and real is None:
            raise ValueError(f"`{operation.name}` has no function: give one in tools=")

        async def call(*arguments: Any) -> Any:
            key = _key(operation.name, arguments)
            if real is None:
                left = self._read().entries.get(key)
                if not left:
                    raise fail(MISSING, f"the recording has no result for this call of `{operation.name}`")
                return left.pop(0).content
            value = real(*arguments)
            if inspect.isawaitable(value):
                value = await value
            content = value.tolist() if is_array(value) else _plain(value)
            entry = Recorded(key, operation.name, content)
            assert self.new is not None  # tools are called inside `_record` alone
            with self.new.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry)) + "\n")
            return value

        return call


def _reads(operation: Operation) -> bool:
    return any(effect.kind == "reads" for effect in operation.effects) and not any(
        effect.kind == "writes" for effect in operation.effects
    )


def _key(name: str, arguments: tuple[Any, ...]) -> str:
    asked = ["tool", name, [_plain(each) for each in arguments]]
    return sha256(json.dumps(asked).encode()).hexdigest()


def _plain(value: object) -> Any:
    """A value as JSON, objects with attributes (records of the program's own classes) as their members."""
    if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
        return [_plain(each) for each in value]
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    name = getattr(value, "name", None)
    if isinstance(name, str) and hasattr(type(value), "__members__"):
        return name
    if hasattr(value, "__dataclass_fields__"):
        return {each: _plain(getattr(value, each)) for each in value.__dataclass_fields__}
    return to_json(value, limit=None)


# ---- real models


def _really(stage: Stage, arguments: Mapping[str, object], path: Path) -> Tested:
    """A run in real time, whose models are those of flowc.toml."""
    from platformdirs import user_config_path

    config = load_config(find_config(stage.target.folder, user_config_path("flowc")))
    registry = Registry(Environment(config=config))
    names = {each.provider for each in config.models.values()} if config.provider is None else set()
    made = {name: registry.make(name) for name in (*names, config.provider or "offline")}
    begun = time.monotonic()
    stage.clock = lambda: time.monotonic() - begun
    environment = evolve(
        stage.environment(threads=THREADS),
        config=config,
        provider=None,
        providers={name: Watched(stage, _recorded(each, registry, path)) for name, each in made.items()},
    )
    loaded = load(stage.target.plan, environment)

    async def life() -> RunResult:
        try:
            return await run_plan(loaded, stage.target.flow, arguments)
        finally:
            for each in made.values():
                await each.close()

    return account(stage, arguments, asyncio.run(life()))


def _recorded(provider: Provider, registry: Registry, path: Path) -> Provider:
    named = _Naming(provider, lambda alias: registry.model(alias).model)
    return _neutral(Recorder(named, path, written=1))


def _neutral(provider: Provider) -> Provider:
    """Asks without the name of the model, which flowc.toml may say otherwise elsewhere."""
    return _Naming(provider, lambda alias: "")


@define(eq=False)
class _Naming:
    """Asks with another name of the model, by its alias."""

    provider: Provider
    name: Callable[[str], str]

    async def generate(self, request: Request) -> Response:
        return await self.provider.generate(evolve(request, model=self._model(request.model)))

    async def embed(self, request: EmbedRequest) -> Embedding:
        return await self.provider.embed(evolve(request, model=self._model(request.model)))

    def _model(self, model: ModelSettings) -> ModelSettings:
        return evolve(model, model=self.name(model.alias))

    def prompt_bound(self, request: Request) -> int:
        return self.provider.prompt_bound(request)

    async def close(self) -> None:
        await self.provider.close()
