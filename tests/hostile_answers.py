"""Answers that no endpoint should give: without end, without sense, or far larger than they look.

Each is a coroutine that writes to a connection until it is closed, or until the answer is complete.
"""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable

BLOCK = 65_536
GIGABYTE = 1 << 30
HEAD = b"HTTP/1.1 200 OK\r\n"
JSON = b"content-type: application/json\r\n"
STREAM = b"content-type: text/event-stream\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _again(writer: asyncio.StreamWriter, data: bytes, times: int) -> None:
    for _ in range(times):
        if writer.is_closing():
            return
        writer.write(data)
        await writer.drain()


async def _announced(writer: asyncio.StreamWriter) -> None:
    """A body of a gigabyte that says so."""
    writer.write(HEAD + JSON + b"content-length: %d\r\n\r\n" % GIGABYTE)
    await _again(writer, b" " * BLOCK, GIGABYTE // BLOCK)


async def _chunked(writer: asyncio.StreamWriter) -> None:
    """One that does not say so."""
    writer.write(HEAD + JSON + CHUNKED)
    await _again(writer, _chunk(b" " * BLOCK), GIGABYTE // BLOCK)


async def _crumbs(writer: asyncio.StreamWriter) -> None:
    """A line without end, sixteen bytes at a time."""
    writer.write(HEAD + STREAM + CHUNKED + _chunk(b"data: "))
    await _again(writer, _chunk(b"x" * 16) * 2000, GIGABYTE // 32_000)


async def _trickle(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever: no single wait is long."""
    writer.write(HEAD + STREAM + b"\r\ndata: ")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _refusal(writer: asyncio.StreamWriter) -> None:
    """An error whose body has no end."""
    writer.write(b"HTTP/1.1 500 X\r\n" + JSON + CHUNKED)
    await _again(writer, _chunk(b'{"error": ' + b" " * BLOCK), GIGABYTE // BLOCK)


async def _headers(writer: asyncio.StreamWriter) -> None:
    """Headers without end."""
    writer.write(HEAD)
    await _again(writer, b"x-more: " + b"a" * 1000 + b"\r\n", GIGABYTE // 1000)


async def _patience(writer: asyncio.StreamWriter) -> None:
    """The promise of an answer, again and again."""
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


def _body(body: bytes, head: bytes = JSON) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + head + b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    return write


def _choices(*choices: object) -> bytes:
    return json.dumps({"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 5}}).encode()


def _said(content: object, **more: object) -> dict[str, object]:
    return {"message": {"content": content}, "finish_reason": "stop", **more}


BOMB = gzip.compress(b'{"choices": [' + b" " * 50_000_000)

HOSTILE: dict[str, tuple[str, Callable[[asyncio.StreamWriter], Awaitable[None]]]] = {
    "announced": ("E0826", _announced),
    "chunked": ("E0826", _chunked),
    "crumbs": ("E0826", _crumbs),
    "trickle": ("E0823", _trickle),
    "refusal": ("E0821", _refusal),
    "headers": ("E0822", _headers),
    "patience": ("E0823", _patience),
    "swollen": ("E0827", _body(b"[" + b"{}," * 2_500_000 + b"{}]")),
    "deep": ("E0827", _body(b"[" * 400_000)),
    "digits": ("E0827", _body(b'{"choices": [%s]}' % (b"9" * 1_000_000))),
    "half": ("E0827", _body(_choices(_said("fine"))[:-7])),
    "bomb": ("E0827", _body(BOMB, JSON + b"content-encoding: gzip\r\n")),
    "list": ("E0827", _body(b"[]")),
    "choices": ("E0827", _body(b'{"choices": 7}')),
    "choice": ("E0827", _body(_choices("fine"))),
    "content": ("E0827", _body(_choices(_said(["fine"])))),
    "finish": ("E0827", _body(_choices(_said("fine", finish_reason={"stop": True})))),
    "nothing": ("E0813", _body(b"{}")),
    "twice": ("", _body(_choices(_said("fine", index=0), _said("not asked for", index=1)))),
}
"""By name: the code of the problem that each is, "" where the answer is good all the same; what writes it."""
