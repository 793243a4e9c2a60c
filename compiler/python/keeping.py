"""Runs of decorated functions that are kept in a journal."""

import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowc.compiler.python.definitions import Definition, RunOptions
from flowc.runtime.durable.keeper import Keeping
from flowc.runtime.durable.runs import Journal, begin, journal_at
from flowc.runtime.plan import Json
from flowc.runtime.reading import bind_arguments

if TYPE_CHECKING:
    from flowc.runtime.execute import Loaded

_GUARD = threading.Lock()
_PLAIN = str | int | float | bool | None


class Keeper:
    """Keeps the runs of one function in a journal, which is opened with the first of them."""

    def __init__(self, where: str, definition: Definition[..., Any], options: RunOptions, code: str) -> None:
        self.where = where
        self.settings = _settings(definition, options, code)
        self._journal: Journal | None = None

    @contextmanager
    def keeping(
        self, loaded: "Loaded", entry: str, given: Mapping[str, object], text: str
    ) -> Iterator[Keeping]:
        """The keeper of a new run, which nobody else may go on with until it has ended."""
        with _GUARD:
            journal = self._journal = self._journal or journal_at(self.where)
        values = bind_arguments(loaded.plan, loaded.plan.functions[entry], given)
        keeping = begin(journal, loaded.plan, entry, values, self.settings, parts={"source": text.encode()})
        try:
            yield keeping
        finally:
            journal.store.release(keeping.run)


def _settings(definition: Definition[..., Any], options: RunOptions, code: str) -> dict[str, Json]:
    function = definition.function
    file = inspect.getsourcefile(function) or ""
    answers: dict[str, Json] = {n: value for n, value in options.answers.items() if isinstance(value, _PLAIN)}
    return {
        "path": str(Path(file).absolute()) if file else "",
        "python": function.__qualname__,
        "folder": str(Path(file or ".").absolute().parent),
        "level": options.optimisation,
        "target": options.target or "cpu",
        "code": code,
        "provider": options.provider,
        "seed": options.seed,
        "answers": answers,
    }
