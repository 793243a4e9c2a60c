"""Calls that the runs of a batch share: which, what makes two of them equal, and what they cost.

A call that is told its answer behaves as if it had been made: it counts against the budgets around it, it
fails as the one that was made, and its own retries go on from there. So a run of a batch ends as it would
alone. Only what was really spent is in the account, of the run that made the call.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.plan import Node
from flowc.runtime.providers.base import Embedding, EmbedRequest, Request, Response
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.shared import Shared, Told
from flowc.runtime.values import size_of

BATCH = "batch"


def is_shared(node: Node) -> bool:
    """Whether the compiler found that equal calls of this node may be one, in all runs of a batch."""
    return node.settings.get("share") == BATCH


async def share(
    engine: Engine,
    frame: Frame,
    instruction: Instruction,
    key: bytes | None,
    attempt: int,
    work: Callable[[], Awaitable[Any]],
    size: Callable[[Any], int] = size_of,
    *,
    lasting: bool = False,
) -> tuple[Told, bool]:
    """How the call of this key ended, and whether this run made it.

    Without a key or a batch that is `work`. A `lasting` call goes on when its run is cancelled, for others.
    Attempts of one number belong together. A run is told each failure once: asking again, as the retry of a
    block does, is another call.
    """
    session = engine.session
    if key is None or session.batch is None:
        return Told(session.run, await work()), True
    asked = b"%b:%d" % (key, attempt)
    again = session.failures.get(asked, 0)
    told, made = await session.batch.tell(b"%b:%d" % (asked, again), session.run, work, size, lasting=lasting)
    if told.error is not None:
        session.failures[asked] = max(session.failures.get(asked, 0), again + 1)
    if not made:
        with engine.lock:
            session.reused[instruction.node.op] += 1
            engine.note("shared", frame, instruction, told.run)
    return told, made


def question_key(frame: Frame, request: Request) -> bytes:
    """What two model calls must share to be one: all that is asked, and the ballot or arm they stand in."""
    settings = (request.model.model, request.temperature, request.max_tokens)
    return fingerprint("generate", request.operation, request.prompt, settings, places(frame))


def embedding_key(request: EmbedRequest) -> bytes:
    """The same for embeddings, which depend on the texts alone."""
    return fingerprint("embed", request.model.alias, request.model.model, request.texts)


def call_key(frame: Frame, name: str, arguments: Sequence[object]) -> bytes:
    """The same for tools."""
    return fingerprint("tool", name, list(arguments), places(frame))


def stamped(table: Shared | None, key: bytes, writes: tuple[str, ...]) -> bytes:
    """The key of a call that writes: it is equal only to calls since which nothing else was written."""
    if table is None or not writes:
        return key
    return fingerprint(key, table.stamp(writes, key))


def places(frame: Frame) -> list[int]:
    """The ballots, arms and repeated tries around a frame, which exist to ask more than once."""
    found: list[int] = []
    at: Frame | None = frame
    while at is not None:
        of = at.instruction
        if of is not None and of.node.op == "race":
            found.append(of.blocks.index(at.block))
        elif of is not None and of.node.op in ("vote", "limit", "call") and at.position >= 0:
            found.append(at.position)
        at = at.parent
    return found


def size_of_answer(answer: Response | Embedding | None) -> int:
    """How many bytes to keep an answer needs."""
    if isinstance(answer, Response):
        return len(answer.text) + len(answer.note)
    return 0 if answer is None else size_of(answer.vectors)
