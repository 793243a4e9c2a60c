"""Decorated functions as they are used: called, awaited, checked, printed at any stage."""

import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from attrs import evolve

from flowc.compiler.diagnostics.model import CompileError, Diagnostic
from flowc.compiler.python.definitions import Definition, Kind, RunOptions, Settings
from flowc.compiler.python.interpreted import filled
from flowc.compiler.python.mode import Target

P = ParamSpec("P")
R = TypeVar("R")


class Diagnostics(tuple[Diagnostic, ...]):
    """What checking found, empty when all is well; as a string, as the command line would print it."""

    text: str = ""

    def __str__(self) -> str:
        return self.text


class Flow(Definition[P, R]):
    """A decorated flow, llm, human or kernel: called like the function it was made from.

    It is compiled at the first use, not at the definition, so that functions may mention each other in any
    order.
    """

    def __init__(
        self, kind: Kind, function: Callable[P, R], settings: Settings, options: RunOptions | None = None
    ) -> None:
        super().__init__(kind, function, settings)
        self._options = options or RunOptions()
        self._lock = threading.Lock()
        self._prepared: Any = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs to the end and gives the value; raises FlowError when the run fails.

        A kernel takes `out=` too: an array for its result, or a tuple of them for several.
        """
        given: dict[str, Any] = dict(kwargs)
        if self.kind == "kernel" and (self.settings.interpret or "out" in given):
            out = given.pop("out", None)
            if self.settings.interpret:
                return cast(R, filled(self.function(*args, **given), out))
            return cast(R, self._execution().into(out, args, given))
        return cast(R, self._execution().value(args, kwargs))

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """The coroutine form: `await f.run(...)`."""
        return cast(Coroutine[Any, Any, R], self._execution().value_async(args, kwargs))

    def report(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Runs to the end and gives the whole `RunResult`: status, result, times, calls, tokens, cost."""
        return self._execution().report(args, kwargs)

    def using(
        self,
        *,
        provider: str | None = None,
        seed: int | None = None,
        optimisation: int | None = None,
        target: Target | None = None,
        answers: Mapping[str, Any] | None = None,
        subscribers: tuple[Callable[[Any], None], ...] | None = None,
        journal: str | None = None,
    ) -> "Flow[P, R]":
        """The same function with other run options; what is left out stays as it was. With a `journal` its
        runs are kept, and can be gone on with: `flowc.resume`.
        """
        given: dict[str, Any] = {
            "provider": provider,
            "seed": seed,
            "optimisation": optimisation,
            "target": target,
            "answers": answers,
            "subscribers": subscribers,
            "journal": journal,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        return Flow(self.kind, self.function, self.settings, evolve(self._options, **changed))

    def check(self) -> Diagnostics:
        """Compiles and gives what was found, errors and warnings, without running anything."""
        from flowc.compiler.python.execution import compile_definition

        try:
            compiled = compile_definition(self, self._options.optimisation)
        except CompileError as error:
            found = Diagnostics(error.diagnostics)
            found.text = "\n".join(getattr(error, "__notes__", ()))
            return found
        return Diagnostics(compiled.compiled.warnings)

    def emit(self, form: str) -> str:
        """The program at a stage: what `flowc compile --emit=FORM` prints."""
        from flowc.compiler.python.execution import emit

        return emit(self, form, self._options.optimisation)

    def _execution(self) -> Any:
        if self._prepared is None:
            from flowc.compiler.python.execution import Execution

            with self._lock:
                if self._prepared is None:
                    self._prepared = Execution(self, self._options)
        return self._prepared


class Tool(Definition[P, R]):
    """A Python function that flows may call; outside a flow it is that function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function itself."""
        return self.function(*args, **kwargs)
