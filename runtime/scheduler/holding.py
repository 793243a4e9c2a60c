"""The engine's lock, held for a change: by any thread, or by the loop in a turn of its own.

Should the engine itself break inside, the run ends and says so instead of hanging. Classes and not generator
functions, since each call of an operation holds the lock several times.
"""

import threading
from collections.abc import Callable
from types import TracebackType


class Held:
    """Holds the lock. `broke` is told of what went wrong inside, under the lock still."""

    __slots__ = ("broke", "lock")

    def __init__(self, lock: threading.Lock, broke: Callable[[BaseException], None]) -> None:
        self.lock = lock
        self.broke = broke

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if isinstance(error, Exception):
                self.broke(error)
        finally:
            self.lock.release()
        return isinstance(error, Exception)


class Turn(Held):
    """Holds the lock on the loop, which in the end goes on with what became ready. `taken` while it lasts."""

    __slots__ = ("go_on", "taken")

    def __init__(
        self, lock: threading.Lock, broke: Callable[[BaseException], None], go_on: Callable[[], None]
    ) -> None:
        super().__init__(lock, broke)
        self.go_on = go_on
        self.taken = False

    def __enter__(self) -> None:
        self.lock.acquire()
        self.taken = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if error is None:
                self.go_on()
        except Exception as failure:
            self.broke(failure)
        finally:
            self.taken = False
            ignored = super().__exit__(kind, error, trace)
        return ignored
