"""The processes that a thread has started, and theirs: found by the system's own tables, ended by descriptor.

Linux keeps for each thread the list of its children, so that those of one body can be told from all others of
the process. A process is held by a descriptor (pidfd) from the moment it is found: its number may be another
one's by the time a signal is sent. Elsewhere nothing is found, and children are left to themselves.

Out of reach is what has cut itself off: a daemon whose parent ended before it was looked for is nobody's.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable

SUPPORTED = hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")

MOST = 4096
"""Processes that are held at once, at most: descriptors are few."""


def children_of(thread: int) -> frozenset[int]:
    """The processes that a thread of this process has started and that have not been waited for."""
    return _listed(f"/proc/self/task/{thread}/children") if SUPPORTED else frozenset()


def _listed(path: str) -> frozenset[int]:
    try:
        at = os.open(path, os.O_RDONLY)
    except OSError:
        return frozenset()
    try:
        found = b""
        while part := os.read(at, 1 << 16):
            found += part
        return frozenset(map(int, found.split()))
    except OSError:
        return frozenset()
    finally:
        os.close(at)


def _children_of_process(process: int) -> frozenset[int]:
    try:
        threads = os.listdir(f"/proc/{process}/task")  # noqa: PTH208 - names, and quickly
    except OSError:
        return frozenset()
    return frozenset().union(*(_listed(f"/proc/{process}/task/{thread}/children") for thread in threads))


class Descendants:
    """Processes that are held, to be ended together: those that run, and those that have ended and were not
    waited for.
    """

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        self.told: dict[int, int] = {}

    def add(self, look: Callable[[], frozenset[int]]) -> None:
        """Holds what `look` finds. It is asked again afterwards: who is still there then is who is held."""
        new = look() - self.held.keys() - self.ended.keys()
        opened: dict[int, int] = {}
        for process in new:
            if len(self.held) + len(self.ended) + len(opened) < MOST:
                with contextlib.suppress(OSError):
                    opened[process] = os.pidfd_open(process)
        if not opened:
            return
        still = look()
        for process, descriptor in opened.items():
            if process in still:
                self.held[process] = descriptor
            else:
                os.close(descriptor)

    def grow(self) -> None:
        """Holds the children of those that are held, and theirs; before any of them is told to end, for then
        they would be nobody's.
        """
        looked: set[int] = set()
        while left := self.held.keys() - looked:
            for process in left:
                looked.add(process)
                self.add(lambda process=process: _children_of_process(process))  # type: ignore[misc]

    def tell(self, number: signal.Signals) -> None:
        """Sends a signal to each of them that has not been sent it, or a stronger one."""
        for process, descriptor in self.held.items():
            if self.told.get(process) not in (number, signal.SIGKILL):
                self.told[process] = number
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(descriptor, number)

    def alive(self) -> bool:
        """Whether any of them still runs."""
        if not self.held and not self.ended:
            return False
        polled = select.poll()
        for descriptor in self.held.values():
            polled.register(descriptor, select.POLLIN)
        over = {descriptor for descriptor, _ in polled.poll(0)}
        for process, descriptor in [*self.held.items()]:
            if descriptor in over:
                self.ended[process] = self.held.pop(process)
        for process, descriptor in [*self.ended.items()]:
            if _was_waited_for(descriptor, os.WNOWAIT):
                os.close(self.ended.pop(process))
        return bool(self.held)

    def close(self, *, reap: bool) -> None:
        """Lets go of all; with `reap`, nobody else is left to wait for those that have ended."""
        for descriptor in (*self.held.values(), *self.ended.values()):
            if reap:
                _was_waited_for(descriptor, 0)
            os.close(descriptor)
        self.held.clear()
        self.ended.clear()


def _was_waited_for(descriptor: int, flags: int) -> bool:
    """Whether a process that has ended was waited for, or is somebody else's to wait for. Without flags it is
    waited for now.
    """
    try:
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG | flags)
    except OSError:
        return True
    return False
