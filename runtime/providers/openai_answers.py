"""An answer of an endpoint that speaks OpenAI's API, as it arrives: what is kept of it has a limit, and what
it says is believed only where it can be.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from attrs import define

from flowc.runtime.providers.base import Request, Response, Usage, estimate_tokens
from flowc.runtime.providers.openai_errors import TooLarge

MOST_BYTES = 8_000_000
"""Bytes of one answer; the longest useful ones have a tenth of that."""

MOST_PARTS = 500_000
"""Values in a JSON text at most: as objects they take thirty times the bytes that they take as text."""


PART = 50
"""Bytes that a part of an answer takes beside its text."""


@define(eq=False)
class Kept:
    """How many bytes are kept of answers under way, all together, and how many may be."""

    most: int
    total: int = 0

    def add(self, count: int) -> None:
        """Counts bytes that are kept from now on; raises `TooLarge` where they are too many."""
        self.total += count
        if self.total > self.most:
            raise TooLarge(self.total)


class Answer:
    """An answer as it arrives: server-sent events, or one JSON object from endpoints that do not stream. Of
    several answers to one prompt, only the first was asked for.
    """

    def __init__(self, request: Request, kept: Kept) -> None:
        self.request = request
        self.kept = kept
        self.size = self.text = 0
        self.rest = bytearray()
        self.parts: list[str] = []
        self.refusal: list[str] = []
        self.finish: str | None = None
        self.usage: Usage | None = None

    async def read(self, chunks: AsyncIterator[bytes], *, plain: bool) -> None:
        """Takes in a whole body. However small the chunks are, each byte is looked at once."""
        async for chunk in chunks:
            self.rest += chunk
            self._count()
            if plain or b"\n" not in chunk:
                continue
            *lines, rest = self.rest.split(b"\n")
            self.rest = rest
            for line in lines:
                if self._line(line):
                    return
            self._count()
        if plain or not self._line(self.rest):
            self._whole(plain=plain)

    def close(self) -> None:
        """Nothing is kept of it any more."""
        self.rest.clear()
        self.parts.clear()
        self.kept.total -= self.size
        self.size = 0

    def _count(self) -> None:
        size, before = len(self.rest) + self.text, self.size
        self.size = size
        self.kept.add(size - before)
        if size > MOST_BYTES:
            raise TooLarge(size)

    def _line(self, line: bytearray) -> bool:
        """One line of an event stream; true for the last."""
        if not line.startswith(b"data:"):
            return False
        data = line[5:].strip()
        if data == b"[DONE]":
            return True
        self.take(_read(data), "delta")
        return False

    def _whole(self, *, plain: bool) -> None:
        if plain:
            self.take(_read(self.rest), "message")
        elif self.finish is None and not self.parts:
            raise ValueError("no event of a stream came, and no JSON either")
        elif self.finish is None:
            raise EOFError("the stream ended before the answer did")

    def take(self, event: Any, member: str) -> None:
        """Takes in one event of a stream, or a whole answer."""
        if not isinstance(event, Mapping):
            raise ValueError(f"an object was expected, not {event!r:.60}")
        if event.get("error"):
            raise ValueError(f"the endpoint reported: {event['error']!r:.200}")
        for choice in event.get("choices") or ():
            if choice.get("index") not in (0, None):
                continue
            said = choice.get(member) or {}
            if text := _text(said.get("content")):
                self.parts.append(text)
                self.text += len(text) + PART
                if self.request.stream is not None:
                    self.request.stream(text)
            if refusal := _text(said.get("refusal")):
                self.refusal.append(refusal)
            self.finish = _text(choice.get("finish_reason")) or self.finish
        self.usage = _usage(event.get("usage")) or self.usage

    def response(self) -> Response:
        """What arrived. Tokens that the endpoint did not count are estimated."""
        text = "".join(self.parts)
        usage = self.usage
        if usage is None:
            usage = Usage(estimate_tokens(self.request.prompt), estimate_tokens(text), estimated=True)
        if self.refusal:
            return Response("".join(self.refusal), usage, "refusal")
        return Response(text, usage, self.finish or "stop")


def _read(data: bytearray) -> Any:
    check_parts(data)
    return json.loads(data)


def check_parts(data: bytes | bytearray) -> None:
    """Raises ValueError where a JSON text has far more parts than any answer, before it is read."""
    if len(data) > MOST_PARTS and sum(map(data.count, (b",", b"[", b"{"))) > MOST_PARTS:
        raise ValueError("more values came than any answer has")


def _text(said: object) -> str:
    if said is None or isinstance(said, str):
        return said or ""
    raise ValueError(f"a text was expected, not {said!r:.60}")


def _usage(counted: object) -> Usage | None:
    """What the endpoint counted; None where that is not two numbers of tokens, which budgets could trust."""
    match counted:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(answer)} if min(prompt, answer) >= 0:
            return Usage(prompt, answer)
    return None
