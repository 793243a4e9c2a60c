"""The endpoint for many requests of OpenAI's API: a file of requests goes up, a file of answers comes down.

A file holds one JSON object a line, with an id of ours; answers come in any order. Rounds are small enough
that their answers stay below the size that a response may have.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from flowc.runtime.json_members import MISREAD
from flowc.runtime.providers.openai_answers import check_parts

if TYPE_CHECKING:
    from openai import AsyncOpenAI

ENDPOINT: Final = "/v1/chat/completions"

ROUND = 500
"""Requests of one file."""

FIRST_LOOK, LAST_LOOK = 1.0, 60.0
"""Seconds until the first look at how far a round is, and between the later ones, each half as long again."""

REQUEST = 300.0
"""Seconds that one request to the endpoint may take, however slowly bytes come."""

WINDOW = 25 * 3600.0
"""Seconds after which a round is given up: it was asked for within a day."""

DELETING = 10.0
"""Seconds that it may take to delete the files of a round, or to cancel it."""

PATIENCE = 10
"""Times in a row that a look at a round may fail before the round is given up."""

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})

Json = Any
Line = tuple[str, int, Json]
"""An id, a status, and what was answered."""


class Refused(Exception):
    """A request of a round that the endpoint did not answer; read as the SDK's own exceptions are."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.body = body


def rounds(bodies: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """The requests by their ids, as many together as one file holds."""
    ids = list(bodies)
    for start in range(0, len(ids), ROUND):
        yield {id_: bodies[id_] for id_ in ids[start : start + ROUND]}


async def send(client: "AsyncOpenAI", bodies: Mapping[str, Json], look: float) -> tuple[list[Line], str]:
    """Sends one round and waits for its end, first `look` seconds; gives what was answered, and which files
    the endpoint still has: none, unless they could not be deleted. Cancelling it cancels the round, and so
    does giving it up.
    """
    lines = [
        json.dumps({"custom_id": id_, "method": "POST", "url": ENDPOINT, "body": body})
        for id_, body in bodies.items()
    ]
    content = "\n".join(lines).encode()
    async with asyncio.timeout(REQUEST):
        file = await client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch = await client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h")
    loop = asyncio.get_running_loop()
    until = loop.time() + WINDOW
    try:
        while batch.status not in ENDED:
            if loop.time() > until:
                raise TimeoutError
            await asyncio.sleep(look)
            look = min(look * 1.5, LAST_LOOK)
            batch = await _patiently(partial(client.batches.retrieve, batch.id), look)
    except BaseException:
        with suppress(Exception):
            async with asyncio.timeout(DELETING):
                await client.batches.cancel(batch.id)
        raise
    files = [name for name in (file.id, batch.output_file_id, batch.error_file_id) if name]
    if batch.status == "failed":
        await _delete(client, files)
        raise Refused(400, {"message": _reason(batch)})
    found: list[Line] = []
    for name in files[1:]:
        answers = await _patiently(partial(client.files.content, name), look)
        check_parts(answers.content)
        found += lines_in(answers.text)
    return found, await _delete(client, files)


def lines_in(text: str) -> list[Line]:
    """The answers in a file; what is no answer leaves its call without one."""
    found: list[Line] = []
    for line in text.split("\n"):
        with suppress(*MISREAD):
            found.append(_line(json.loads(line)))
    return found


async def _delete(client: "AsyncOpenAI", names: Sequence[str]) -> str:
    """Deletes files whose content nobody needs any more, as far as that succeeds; says where it does not."""

    async def delete(name: str) -> str:
        try:
            async with asyncio.timeout(DELETING):
                await client.files.delete(name)
        except Exception as error:
            status = getattr(error, "status_code", None)
            return f"{name} ({type(error).__name__ if status is None else f'status {status}'})"
        return ""

    left = [said for said in await asyncio.gather(*map(delete, names)) if said]
    return f"files that the endpoint did not delete: {', '.join(left)}" if left else ""


async def _patiently(call: Callable[[], Awaitable[Any]], pause: float) -> Any:
    """What a look gives. The round is paid for, so failures that pass are borne `PATIENCE` times."""
    for _ in range(PATIENCE):
        try:
            return await _in_time(call)
        except Exception as error:
            status = getattr(error, "status_code", 500)
            if status < 500 and status not in (408, 429):
                raise
        await asyncio.sleep(pause)
    return await _in_time(call)


async def _in_time(call: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(REQUEST):
        return await call()


def _line(line: Mapping[str, Json]) -> Line:
    answered = line.get("response") or {}
    status = int(answered.get("status_code") or 500)
    body = answered.get("body") if answered else {"message": str(line.get("error"))}
    return str(line["custom_id"]), status, body


def _reason(batch: Any) -> str:
    errors = getattr(getattr(batch, "errors", None), "data", None) or ()
    return "; ".join(str(error.message) for error in errors) or "the batch failed"
