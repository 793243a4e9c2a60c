"""The call that a tool is in: who asks what it is called by may make one request of several attempts."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.session import Session

_CURRENT: ContextVar[tuple[Session, Frame, Instruction, str] | None] = ContextVar("flowc_call", default=None)


@contextlib.contextmanager
def current_step(session: Session, frame: Frame, instruction: Instruction, inner: str = "") -> Iterator[None]:
    """Says to what is called inside which step it is; `inner` names a part of the step."""
    token = _CURRENT.set((session, frame, instruction, inner))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def call_key(run: str, step: str) -> str:
    """The idempotency key of a step: the same for all of its attempts, in every process that goes on with the
    run.
    """
    return fingerprint("flowc", run, step).hex()


def idempotency_key() -> str:
    """The key of the call that runs here, for whom a tool asks that reads or writes: equal for every attempt
    of one call, and different for any other call.

    Raises `LookupError` outside such a tool. A `pure` one reaches nothing that could tell two attempts apart,
    and so is called without its step, which costs less.
    """
    found = _CURRENT.get()
    if found is None:
        raise LookupError(
            "there is an idempotency key inside a tool that reads or writes, while a run calls it: "
            "declare what the tool does, such as `writes payments`"
        )
    session, frame, instruction, inner = found
    step = step_of(frame, instruction, session.root) + inner
    return call_key(session.run, step if session.renewed is None else step + session.renewed(step))
