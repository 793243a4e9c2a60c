"""Worker threads: one runner, one standby that watches it, and threads of their own for slow bodies.

No thread is there before the first body that needs one.

The runner runs bodies where it stands, which is cheapest while they are quick. The standby looks every
millisecond whether the runner is still in the same body. If so, it marks the operation slow and takes the
runner's place; the stuck thread leaves once its body has ended. Bodies known to be slow never hold the
runner.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Scope
from flowc.runtime.scheduler.given_up import Body, reach, serve
from flowc.runtime.scheduler.threads import Job, start

PATIENCE = 0.001
"""Seconds that a body may hold the runner."""

HELD = 1.0
"""Real seconds for which a body that may not be wanted holds a virtual clock: one that hangs must not keep
the answer from coming that says whether it is wanted."""


class Workers:
    """The threads of one run. `lock` is the engine's; every method but `start` is called while it is held.

    `at_rest` is called when no thread has anything to do: a virtual clock may then go on.
    """

    def __init__(
        self,
        lock: threading.Lock,
        at_rest: Callable[[], None],
        limit: int,
    ) -> None:
        self.lock = lock
        self.at_rest = at_rest
        self.limit = limit
        self.token: Body | None = None
        self.drain: Callable[[Body], None] = _nothing
        self.stopped = False
        self.begun = False
        self.asleep = True
        self.watched = False
        self.current: Instruction | None = None
        self.scope: Scope | None = None
        self.started = 0.0
        self.bodies = 0
        self.serving = 0
        self.backlog: deque[Job] = deque()
        self.wanted: dict[Job, Scope | None] = {}
        self.doubted: dict[Job, float] = {}
        self.served: dict[Job, Body] = {}
        self.stuck: dict[Body, tuple[Scope | None, bool]] = {}
        self.harmless: set[Job] = set()
        self.runner: threading.Condition
        self.standby: threading.Condition

    def start(self, drain: Callable[[Body], None]) -> None:
        """`drain` is the runner's work, until `token` is no longer its own. It begins with `wake`.

        It says what it runs by `current` and `scope`, which are None between two bodies; and one that ends
        when the token is no longer the runner's has to leave it, for it may have been given up.
        """
        self.drain = drain

    def stop(self) -> None:
        """Lets every thread go; those inside a body go when it ends."""
        self.stopped = True
        self._part()
        self.asleep = False
        if self.begun:
            self.runner.notify_all()
            self.standby.notify_all()

    def _part(self) -> None:
        """The runner is none any more: the body that it is in goes on beside."""
        if self.token is not None and self.current is not None:
            self.stuck[self.token] = self.scope, is_harmless(self.current)
        self.token = None
        self.current = None
        self.abandon()

    def busy(self) -> bool:
        """Whether any thread has something to do that time must wait for."""
        if self.stopped:
            return False
        return not self.asleep or (self.bodies > 0 and self.bodies > self._overdue())

    def _overdue(self) -> int:
        """How many bodies may not be wanted and have taken too long to be waited for."""
        now = time.monotonic()
        return sum(
            now - begun > HELD and is_open(self.wanted.get(job)) for job, begun in [*self.doubted.items()]
        )

    def wake(self) -> None:
        """Tells the runner that something became ready; the first time, starts it and its standby."""
        if not self.asleep:
            return
        self.asleep = False
        if self.begun:
            self.runner.notify()
            self.standby.notify()
        else:
            self.begun = True
            self.runner, self.standby = threading.Condition(self.lock), threading.Condition(self.lock)
            for _ in range(2):
                start(self._live)

    def sleep(self) -> bool:
        """The runner has nothing to do: waits for `wake`; false where the run has ended.

        Another thread may have become the runner, and gone to sleep itself, before this one is awake again.
        """
        if self.stopped:
            return False
        token = self.token
        self.asleep = True
        self.current = None
        if not self.bodies or (self.doubted and self.bodies == self._overdue()):
            self.at_rest()
        while self.asleep and self.token is token:
            self.runner.wait()
        return not self.stopped

    def submit(self, job: Job, scope: Scope | None = None, *, harmless: bool = False) -> None:
        """Gives `job` a thread of its own, as soon as the limit of threads allows; a job is wanted as long as
        its scope is. One that is `harmless` may be broken off anywhere.
        """
        self.bodies += 1
        self.wanted[job] = scope
        if harmless:
            self.harmless.add(job)
        if is_open(scope):
            self.doubted[job] = time.monotonic()
        self.backlog.append(job)
        self._begin()

    def give_up(self, job: Job) -> None:
        """Nobody waits for `job` any more: if it has begun it is broken off as far as it can be reached; it
        holds no place and no clock.
        """
        if job not in self.wanted:
            return
        self._reach(self.served.get(job))
        self._ended(job)
        if job in self.backlog:
            self.backlog.remove(job)
        else:
            self.serving -= 1
            self._begin()
        self.rested()

    def abandon(self) -> None:
        """Gives up what scopes that were abandoned still wait for. What runs in those that were cancelled is
        waited for, and broken off where it may be.
        """
        for job, scope in [*self.wanted.items()]:
            if scope is not None and scope.abandoned:
                self.give_up(job)
            elif scope is not None and scope.cancelled and job in self.harmless:
                self._reach(self.served.get(job))
        for body, (scope, harmless) in self.stuck.items():
            if scope is not None and (scope.abandoned or (scope.cancelled and harmless)):
                self._reach(body)

    def _reach(self, body: Body | None) -> None:
        if body is not None and not body.given_up:
            reach(body)

    def _ended(self, job: Job) -> None:
        del self.wanted[job]
        self.served.pop(job, None)
        self.harmless.discard(job)
        self.doubted.pop(job, None)

    def _begin(self) -> None:
        """Serves the next of those that wait, if the limit of threads allows."""
        if self.backlog and self.serving < self.limit:
            self.serving += 1
            start(partial(self._serve, *self._next()))

    def _next(self) -> tuple[Job, Body]:
        job = self.backlog.popleft()
        body = self.served[job] = Body()
        return job, body

    def rested(self) -> None:
        """One body outside the runner has ended."""
        self.bodies -= 1
        if not self.bodies and self.asleep:
            self.at_rest()

    def _live(self) -> None:
        """A thread that is the runner, or watches it: whatever is wanting."""
        while True:
            with self.lock:
                role = self._take_role()
                token = self.token
            if role == "none":
                return
            if role == "watch":
                self._watch()
            else:
                assert token is not None
                token.enter()
                self.drain(token)
                with self.lock:
                    self.stuck.pop(token, None)
                    if not self.stopped:
                        self.rested()

    def _take_role(self) -> Literal["none", "run", "watch"]:
        if self.stopped:
            return "none"
        if self.token is None:
            self.token = Body()
            return "run"
        if not self.watched:
            self.watched = True
            return "watch"
        return "none"

    def _watch(self) -> None:
        """Waits until the runner is stuck in one body, then leaves its place free and a new standby
        behind.
        """
        with self.lock:
            while not self.stopped:
                if self.asleep:
                    self.standby.wait()
                    continue
                started, current = self.started, self.current
                self.standby.wait(PATIENCE)
                stuck = not self.asleep and started == self.started and current is self.current
                if stuck and current is not None and not self.stopped:
                    if current.pace is not None:
                        current.pace.slow = True
                        current.pace.quick = 0
                    self._part()
                    self.watched = False
                    self.bodies += 1
                    break
            if self.stopped:
                return
        start(self._live)

    def _serve(self, job: Job, body: Body) -> None:
        """Runs slow bodies, one after the other, until none waits."""
        while True:
            serve(body, job)
            with self.lock:
                if job not in self.wanted:
                    return
                self._ended(job)
                if not self.stopped:
                    self.rested()
                if self.stopped or not self.backlog:
                    self.serving -= 1
                    return
                job, body = self._next()


def is_harmless(instruction: Instruction) -> bool:
    """Whether a body may be broken off anywhere: that of a tool that changes nothing outside."""
    operation = instruction.operation
    return (
        operation is not None
        and operation.kind == "tool"
        and all(effect.kind != "writes" for effect in operation.effects)
    )


def is_open(scope: Scope | None) -> bool:
    """Whether it is still to be decided if what runs in a scope is wanted."""
    return scope is not None and scope.undecided is not None and scope.undecided.open()


def _nothing(token: Body) -> None:
    """The work of a runner before there is any."""
