"""Garbage is looked for more rarely while runs are under way, and not at all among what is all wanted.

Python looks whenever 700 more objects have come than gone, and at everything every hundredth time. Ten
thousand calls that are begun one after the other are a million objects, all of them wanted: it would go
through them ten times, which takes longer than all else. What goes by counting references goes as ever.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 10_000
"""How many more objects must have come than gone."""


class _Runs:
    """How many runs are under way in this process, and what was set before the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.before = gc.get_threshold()


_runs = _Runs()


@contextmanager
def uncollected() -> Iterator[None]:
    """Without looking for garbage: for work among very many objects, all of which are wanted."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Has Python look for garbage more rarely meanwhile, unless somebody has said how often already."""
    with _runs.lock:
        _runs.count += 1
        if _runs.count == 1:
            _runs.before = gc.get_threshold()
            if 0 < _runs.before[0] < OBJECTS:
                gc.set_threshold(OBJECTS, *_runs.before[1:])
    try:
        yield
    finally:
        with _runs.lock:
            _runs.count -= 1
            if not _runs.count and gc.get_threshold()[0] == OBJECTS:
                gc.set_threshold(*_runs.before)
