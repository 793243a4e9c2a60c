"""The history of traced runs, as the command line uses it: found at compilation, added to by traced runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowc.cli import streams
from flowc.cli.loaded import Loaded
from flowc.cli.options import LEFT_OUT

if TYPE_CHECKING:
    from flowc.compiler.learned import History
    from flowc.runtime.history.kernel_samples import KernelSample
    from flowc.runtime.result import RunResult


def history(provider: str | None = None) -> "History | None":
    """Where earlier runs are to be looked up; None where there are none, or they are not wanted."""
    from flowc.runtime.history.place import is_there

    where = _place()
    if where is None or not is_there(where):
        return None
    from flowc.compiler.learned import History

    return History(where, provider)


def remember(report: "RunResult", loaded: Loaded, kernels: "Sequence[KernelSample]" = ()) -> None:
    """Adds what a run has shown, and what was noted of its kernels, to the history; warns where there is
    something to say of that.
    """
    where = _place()
    if where is None:
        return
    from flowc.runtime.history import remembering

    for problem in remembering.remember(where, report, loaded.plan, loaded.source.text, kernels):
        streams.show_warning(problem)


def _place() -> Path | None:
    """Where the history is kept; None where the running command was told to do without."""
    from flowc.runtime.history.place import path

    context = click.get_current_context(silent=True)
    return None if context is not None and context.meta.get(LEFT_OUT) else path()
