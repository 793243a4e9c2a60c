"""A line that says how far a run is, where somebody watches."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tests.assurance.runner import Runner


@contextmanager
def shown() -> Iterator[Callable[[Runner], None] | None]:
    """What is called now and then; nothing where the output is no terminal."""
    if not sys.stdout.isatty():
        yield None
        return
    with Live(console=Console(), refresh_per_second=4, transient=True) as live:
        yield lambda runner: live.update(line(runner))


def line(runner: Runner) -> Text:
    """How far a run is."""
    account = runner.account
    left = max(0.0, runner.due - time.monotonic())
    tried = ", ".join(f"{number:,} {kind}" for kind, number in list(account.tally.tried.items()))
    now = ", ".join(name for name, _ in list(runner.begun.values()))
    return Text(f"{left:.0f} s left; {tried or 'nothing yet'}; {len(account.failures)} failures; now {now}")
