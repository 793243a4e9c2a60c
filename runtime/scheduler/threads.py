"""Threads kept for reuse between runs: starting one costs more than most bodies do.

`start` never waits for the new thread, as `threading.Thread.start` does, because it is called under the
engine's lock. Threads are daemons: a body that was given up must not keep the process alive.
"""

import _thread
import os
import queue
import threading
from collections.abc import Callable

KEEP = 10.0
"""Seconds that a thread without work is kept."""

Job = Callable[[], None]


class Threads:
    """Idle threads, each waiting at the one queue. `idle` counts those that no job has been promised to."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.idle = 0

    def start(self, job: Job) -> None:
        """Runs `job` on an idle thread, or on a new one."""
        with self.lock:
            if self.idle:
                self.idle -= 1
                self.jobs.put(job)
                return
        _thread.start_new_thread(self._live, (job,))

    def _live(self, job: Job) -> None:
        while True:
            job()
            del job
            with self.lock:
                self.idle += 1
            try:
                job = self.jobs.get(timeout=KEEP)
            except queue.Empty:
                with self.lock:
                    if self.idle:
                        self.idle -= 1
                        return
                job = self.jobs.get()


_shared = [Threads()]


def start(job: Job) -> None:
    """Runs `job` on a thread of its own; it must catch its own exceptions."""
    _shared[0].start(job)


def _reset() -> None:
    """A forked child has none of its parent's threads."""
    _shared[0] = Threads()


os.register_at_fork(after_in_child=_reset)
