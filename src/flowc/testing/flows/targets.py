"""What is tested: a decorated flow, a `.flow` program or a `.flowc` artifact, compiled once a level."""

import functools
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.diagnostics.render import render_plain
from flowc.compiler.python.callables import Flow
from flowc.runtime.environment import Environment
from flowc.runtime.plan import Function, Operation, Plan
from flowc.runtime.plan_check import entry
from flowc.runtime.tools import load_tools

DEFAULT_LEVEL = 2
LEVELS = (0, 1, 2, 3)


@frozen
class Program:
    """A flow of a file: `flow` names it, None is `main` or the only one."""

    path: Path
    flow: str | None = None


Testable = Flow[..., Any] | Program
"""What can be tested."""


@frozen(eq=False)
class Target:
    """A flow, compiled: its plan and kernels, and how values of the run become values of the test.

    `found` are the functions behind the tools of a decorated flow; those of a program are loaded from
    `folder` when they are called for. `classes` makes values of a decorated flow's parameters what it is
    annotated with, `result` does so for what it gives.
    """

    plan: Plan
    flow: str
    name: str
    folder: Path
    kernels: Mapping[str, Callable[..., Any]] = field(factory=dict)
    found: Mapping[str, Callable[..., Any]] | None = None
    classes: Mapping[str, Callable[[Any], Any]] = field(factory=dict)
    result: Callable[[Any], Any] | None = None

    @property
    def function(self) -> Function:
        """The flow that is run."""
        return self.plan.functions[self.flow]

    def operation(self, name: str) -> Operation:
        """An operation of the program; raises ValueError where there is none of that name, since a test
        that speaks of it could not fail.
        """
        found = self.plan.operations.get(name)
        if found is None:
            close = get_close_matches(name, self.plan.operations, n=1)
            near = f"did you mean `{close[0]}`? it has" if close else "it has"
            known = ", ".join(sorted(self.plan.operations)) or "none"
            raise ValueError(f"`{self.name}` calls nothing named `{name}`; {near}: {known}")
        return found

    def real(self, name: str) -> Callable[..., Any] | None:
        """The function behind a tool, None where the program has none for it. Raises FlowError where a file
        cannot be loaded.
        """
        if self.found is not None:
            return self.found.get(name)
        only = evolve(self.plan, operations={name: self.plan.operations[name]})
        return load_tools(only, Environment(folder=self.folder)).get(name)

    def fitted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function in the place of a tool, called with the classes that the tool is annotated with."""
        original = None if self.found is None else self.found.get(name)
        if original is None:
            return function
        from flowc.compiler.python.values import adapted

        if inspect.iscoroutinefunction(function):

            @functools.wraps(original)
            async def waiting(*arguments: Any) -> Any:
                return await function(*arguments)

            return adapted(waiting)

        @functools.wraps(original)
        def calling(*arguments: Any) -> Any:
            return function(*arguments)

        return adapted(calling)


def load(path: str | Path, flow: str | None = None) -> Program:
    """A flow of a `.flow` program or a `.flowc` artifact, to be tested as a decorated one is.

    Compiles it, so that errors show where it is loaded: raises CompileError or FlowError.
    """
    __tracebackhide__ = True
    program = Program(Path(path).resolve(), flow)
    try:
        target_of(program)
    except CompileError as error:  # its text has no places: the note has, and a test's report shows it
        error.add_note("".join(render_plain(each, error.source) for each in error.diagnostics).rstrip())
        raise error.with_traceback(None) from None
    return program


def target_of(flow: Testable, level: int | None = None) -> Target:
    """A flow, compiled at a level of optimisation: 2, or what a decorated flow says, where none is given."""
    if isinstance(flow, Program):
        return _of_file(flow, DEFAULT_LEVEL if level is None else level)
    if not isinstance(flow, Flow):
        raise TypeError(
            f"a flow is wanted, decorated with @flowc.flow or loaded by flowc.testing.load, not {flow!r}"
        )
    return _of_definition(flow, flow._options.optimisation if level is None else level)


@functools.lru_cache(maxsize=64)
def _of_file(program: Program, level: int) -> Target:
    path = program.path
    if path.suffix == ".flowc":
        from flowc.cli.artifacts import read_artifact_file

        read = read_artifact_file(str(path), "cpu")
        return _target(read.plan, read.kernels, program)
    from flowc.compiler.driver import Options, compile_text
    from flowc.compiler.parser import decode

    text = decode(path.read_bytes(), str(path))
    compiled = compile_text(text, str(path), folder=path.parent, options=Options(level=level))
    return _target(compiled.plan, _native(compiled.kernels), program)


def _target(plan: Plan, kernels: Mapping[str, Callable[..., Any]], program: Program) -> Target:
    name = entry(plan, program.flow).name
    return Target(plan, name, name, program.path.parent, kernels)


@functools.lru_cache(maxsize=64)
def _of_definition(flow: Flow[..., Any], level: int) -> Target:
    from flowc.compiler.python.annotations import hints
    from flowc.compiler.python.execution import compile_definition
    from flowc.compiler.python.values import adapted, converter

    found = compile_definition(flow, level)
    annotations = hints(flow.function)
    made = {name: converter(annotation) for name, annotation in annotations.items()}
    return Target(
        plan=found.compiled.plan,
        flow=found.built.entry,
        name=flow.__name__,
        folder=Path(inspect.getsourcefile(flow.function) or ".").resolve().parent,
        kernels=_native(found.compiled.kernels),
        found={name: adapted(function) for name, function in found.built.tools.items()},
        classes={name: convert for name, convert in made.items() if convert is not None and name != "return"},
        result=made.get("return"),
    )


def _native(kernels: Any) -> Mapping[str, Callable[..., Any]]:
    if kernels is None:
        return {}
    from flowc.runtime.kernels import load as load_kernels

    return load_kernels(kernels.object_code, kernels.signatures)
