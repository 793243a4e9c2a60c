"""The live line of a run: what is going on right now. Only on a terminal."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowc.cli import streams
from flowc.runtime.events import Event, Subscriber

if TYPE_CHECKING:
    from rich.status import Status


_on_screen: "list[Status]" = []


@contextmanager
def live() -> Iterator[tuple[Subscriber, ...]]:
    """Subscribers that keep a line of stderr current during the run; none where it is no terminal."""
    if not sys.stderr.isatty():
        yield ()
        return
    with streams.stderr().status("running") as status:
        shown = _Line()

        def listen(event: Event) -> None:
            shown.take(event)
            status.update(shown.text())

        _on_screen.append(status)
        try:
            yield (listen,)
        finally:
            _on_screen.remove(status)


@contextmanager
def hidden() -> Iterator[None]:
    """Takes the live line away for as long as a person is being asked something."""
    for status in _on_screen:
        status.stop()
    try:
        yield
    finally:
        for status in _on_screen:
            status.start()


@contextmanager
def share(what: str) -> Iterator[Callable[[float, int], None]]:
    """Shows on stderr how much of something is done, from 0 to 1, and what was counted so far; nothing where
    it is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, count: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[count]:,} calls"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=streams.stderr(), transient=True) as bar:
        task = bar.add_task(what, total=1.0, count=0)
        yield lambda done, count: bar.update(task, completed=done, count=count)


class _Line:
    """What the line says: steps done, and the calls under way by name."""

    def __init__(self) -> None:
        self.done = 0
        self.running: Counter[str] = Counter()

    def take(self, event: Event) -> None:
        """Counts one event."""
        match event.kind:
            case "effect.intent":
                self.running[event.operation] += 1
            case "effect.done" | "effect.failed":
                self.running[event.operation] -= 1
            case "node.done":
                self.done += 1

    def text(self) -> str:
        """The line as it is now; names are escaped, for rich reads brackets as markup."""
        from rich.markup import escape

        waiting = [
            f"{name} x{count}" if count > 1 else name for name, count in self.running.items() if count > 0
        ]
        under_way = f", waiting for {escape(', '.join(waiting))}" if waiting else ""
        return f"{self.done} steps done{under_way}"
