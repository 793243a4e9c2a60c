"""Compiling a decorated function once, and running it as often as it is called."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import EMIT_FORMS, Compiled, Options, compile_program
from flowc.compiler.driver import emit as emit_stage
from flowc.compiler.python.annotations import hints
from flowc.compiler.python.definitions import Definition, RunOptions
from flowc.compiler.python.program import CALL, Built, build
from flowc.compiler.python.values import adapted, converter
from flowc.runtime.config import find_config, load_config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import Loaded, load, run, run_plan
from flowc.runtime.history.place import is_there, path
from flowc.runtime.people import answers, ask_terminal, has_terminal
from flowc.runtime.result import RunResult

if TYPE_CHECKING:
    from flowc.compiler.learned import History
    from flowc.compiler.python.keeping import Keeper
    from flowc.runtime.device.placing import Place
    from flowc.runtime.durable.keeper import Keeping
    from flowc.runtime.history.kernel_samples import KernelNotes

PICTURES = ("mermaid", "dot")


@frozen
class CompiledDefinition:
    """A decorated function, translated and compiled."""

    built: Built
    compiled: Compiled


def compile_definition(
    definition: Definition[..., Any],
    level: int,
    native: bool = True,
    history: "History | None" = None,
    target: str | None = None,
) -> CompiledDefinition:
    """Compiles a decorated function with all it reaches, for a target or for what its kernels say.

    Raises CompileError in terms of the Python files, and FlowError where there is no GPU for the target
    `cuda`.
    """
    built = build(definition)
    common = _common_target(built, target)
    if common != "cpu" and native:
        from flowc.runtime.device.choosing import compiled_for

        common = compiled_for(common)
    try:
        compiled = compile_program(
            built.program,
            built.source,
            options=Options(level=level, native=native, history=history, target=common),
        )
    except CompileError as error:
        raise built.sources.relocate(error) from None
    return CompiledDefinition(built, compiled)


def _common_target(built: Built, target: str | None) -> str:
    """What a program is compiled for: what is asked for, or what all its kernels say; where these differ, for
    either.
    """
    said = set(built.targets.values()) or {"cpu"}
    return target or (said.pop() if len(said) == 1 else "auto")


def emit(definition: Definition[..., Any], form: str, level: int) -> str:
    """A stage of the compilation as text: what `flowc compile --emit` prints."""
    if form not in (*EMIT_FORMS, *PICTURES):
        raise ValueError(f"there is no form {form!r}; there are {', '.join((*EMIT_FORMS, *PICTURES))}")
    found = compile_definition(definition, level, native=False)
    if form not in PICTURES:
        return emit_stage(found.compiled.checked, form, Options(level=level))
    from flowc.compiler.graph.dot import dot
    from flowc.compiler.graph.mermaid import mermaid
    from flowc.compiler.graph.model import graph

    picture = graph(found.compiled.plan, found.built.entry)
    return mermaid(picture) if form == "mermaid" else dot(picture)


class Execution:
    """A compiled function with the world it runs in; made at the first call, used by all."""

    def __init__(self, definition: Definition[..., Any], options: RunOptions) -> None:
        history = _history(options.provider)
        found = compile_definition(definition, options.optimisation, history=history, target=options.target)
        self._text = found.compiled.source.text
        self._traced = bool(options.subscribers)
        self._entry = found.built.entry
        self._signature = inspect.signature(definition.function)
        self._convert = converter(hints(definition.function).get("return", Any))
        folder = Path(inspect.getsourcefile(definition.function) or ".").parent
        world = _environment(found, folder, options)
        self._notes = _notes(world) if self._traced else None
        if self._notes is not None:
            world = evolve(world, kernels=self._notes.watched())
        self._loaded: Loaded = load(found.compiled.plan, world)
        kernels = found.compiled.kernels
        self.code = "" if kernels is None else sha256(kernels.object_code).hexdigest()
        self._keeper = None if options.journal is None else _keeper(definition, options, self.code)

    def value(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Runs and gives the value; raises FlowError when the run fails."""
        return self._unpack(self.report(args, kwargs))

    async def value_async(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The same on the running loop."""
        given = self._bind(args, kwargs)
        with self._kept(given) as keeper:
            report = await run_plan(self._loaded, self._entry, given, keeper=keeper)
        self._remember(report)
        return self._unpack(report)

    def report(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> RunResult:
        """Runs and gives the whole account."""
        given = self._bind(args, kwargs)
        with self._kept(given) as keeper:
            report = run(self._loaded, self._entry, given, keeper=keeper)
        self._remember(report)
        return report

    @property
    def loaded(self) -> Loaded:
        """What is run."""
        return self._loaded

    @property
    def text(self) -> str:
        """The text that lines of the plan refer to."""
        return self._text

    def _kept(self, given: Mapping[str, Any]) -> "AbstractContextManager[Keeping | None]":
        """The keeper of a new run, where runs are kept."""
        if self._keeper is None:
            return nullcontext()
        return self._keeper.keeping(self._loaded, self._entry, given, self._text)

    def _remember(self, report: RunResult) -> None:
        """Adds what a run that somebody listened to has shown to the history."""
        where = path() if self._traced else None
        if where is None:
            return
        from flowc.runtime.history.remembering import remember

        kernels = () if self._notes is None else self._notes.take()
        for problem in remember(where, report, self._loaded.plan, self._text, kernels):
            warnings.warn(f"{problem.code}: {problem.message} ({problem.why})", stacklevel=4)

    def into(self, out: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Runs a kernel alone, with its result written to the arrays given."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        kernel = self._loaded.environment.kernels[self._entry.removeprefix(CALL)]
        return kernel(*bound.args, out=out)

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, as a call of the function would take them; defaults are the flow's own."""
        return dict(self._signature.bind(*args, **kwargs).arguments)

    def _unpack(self, report: RunResult) -> Any:
        if report.problem is not None:
            raise FlowError(report.problem)
        return report.result if self._convert is None else self._convert(report.result)


def _keeper(definition: Definition[..., Any], options: RunOptions, code: str) -> "Keeper":
    from flowc.compiler.python.keeping import Keeper

    assert options.journal is not None
    return Keeper(options.journal, definition, options, code)


def _notes(world: Environment) -> "KernelNotes | None":
    """What notes the calls of kernels; None where there are none."""
    if not world.kernels:
        return None
    from flowc.runtime.history.kernel_samples import KernelNotes

    return KernelNotes(world.kernels)


def _history(provider: str | None) -> "History | None":
    """Where earlier runs are to be looked up; None where there are none."""
    where = path()
    if where is None or not is_there(where):
        return None
    from flowc.compiler.learned import History

    return History(where, provider)


def _environment(found: CompiledDefinition, folder: Path, options: RunOptions) -> Environment:
    from platformdirs import user_config_path

    return Environment(
        config=load_config(find_config(folder, user_config_path("flowc"))),
        provider=options.provider,
        tools={name: adapted(function) for name, function in found.built.tools.items()},
        folder=folder,
        kernels=_kernels(found, options.target),
        people=_people(options.answers),
        seed=options.seed,
        subscribers=options.subscribers,
    )


def _kernels(found: CompiledDefinition, target: str | None) -> Mapping[str, Callable[..., Any]]:
    compiled = found.compiled
    if compiled.kernels is None:
        return {}
    from flowc.runtime.kernels import load as load_kernels

    processor = load_kernels(compiled.kernels.object_code, compiled.kernels.signatures)
    common = _common_target(found.built, target)
    targets = {name: target or found.built.targets.get(name, common) for name in processor}
    if set(targets.values()) <= {"cpu"}:
        return processor
    from flowc.runtime.device.choosing import kernels_for

    def placing() -> "Place":
        from flowc.compiler.device_placing import placer

        return placer(compiled.checked, compiled.plan.optimisation)

    made: dict[str, Callable[..., Any]] = {}
    for each in dict.fromkeys(targets.values()):
        those = {name: kernel for name, kernel in processor.items() if targets[name] == each}
        loaded = kernels_for(each, those, compiled.device, refused=compiled.refused, placing=placing)
        made |= {name: loaded[name] for name in those}
    return made


def _people(given: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """Prepared answers first, then the person at the terminal, where there is one."""
    prepared = answers({name: answer for name, answer in given.items() if not callable(answer)})
    at_terminal = has_terminal()
    if not given and not at_terminal:
        return None

    def ask(question: Any) -> Any:
        answer = given.get(question.operation)
        if callable(answer):
            return answer(question.prompt)
        if question.operation not in given and at_terminal:
            return ask_terminal(question)
        return prepared(question)

    return ask
