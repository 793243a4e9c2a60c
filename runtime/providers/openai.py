"""The `openai` provider: any endpoint that speaks OpenAI's API, through the official SDK.

Retries, budgets and rate limits are the scheduler's, so the SDK makes one attempt. Answers are streamed,
which lets an endless or enormous one be cut off as soon as it is too long. Keys are read from the
environment, sent to the endpoint and shown nowhere.
"""

import asyncio
import hashlib
import importlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import (
    Allowance,
    Embedding,
    EmbedRequest,
    ModelSettings,
    ProviderError,
    Request,
    Response,
    Usage,
    byte_bound,
    estimate_tokens,
)
from flowc.runtime.providers.openai_batch import FIRST_LOOK, Refused, rounds, send
from flowc.runtime.providers.openai_errors import Encoded, TooLarge, problem_of
from flowc.runtime.providers.rate_limits import allowance
from flowc.runtime.schema import closed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MOST_BYTES = 8_000_000
"""Bytes that a response may have; the longest useful answers have a tenth of that."""

ERROR_BYTES = 65_536
"""Bytes of an error's body that are read."""

FRAME_TOKENS = 64
"""Tokens that roles and separators add to a prompt at most."""

OPENAI_URL = "https://api.openai.com"


BATCH_TEXTS, BATCH_BYTES = 64, 200_000
"""Texts, and bytes of text, that one request for embeddings holds at most: endpoints take no more than some
hundred thousand tokens, and their answer, vectors written out in digits, must stay below `MOST_BYTES`.
"""


@frozen
class _Part:
    """Some of the vectors that were asked for."""

    vectors: list[tuple[float, ...]]
    usage: Usage
    allowance: Allowance | None = None


@define(eq=False)
class OpenAI:
    """Clients by endpoint, key and timeout, made on first use. After `look` seconds a batch is first looked
    at.
    """

    look: float = FIRST_LOOK
    clients: dict[tuple[str | None, str, float], "AsyncOpenAI"] = field(factory=dict)

    async def generate(self, request: Request) -> Response:
        """Answers a prompt with chat completions; structured where a schema is given."""
        create: Any = self.client(request.model).chat.completions.with_streaming_response.create
        answer = _Answer(request)
        said = None
        try:
            async with asyncio.timeout(request.model.timeout):
                async with create(**_completion(request)) as response:
                    said = allowance(response.headers)
                    plain = "json" in response.headers.get("content-type", "")
                    await answer.read(response.iter_bytes(), plain=plain)
        except Exception as error:
            raise _failed(error, request.model) from None
        return evolve(answer.response(), allowance=said)

    async def generate_many(
        self, requests: Mapping[str, Request]
    ) -> list[tuple[str, Response | ProviderError]]:
        """Answers prompts of one model through the endpoint for batches, some hundred in a round."""
        model = next(iter(requests.values())).model
        bodies = {id_: _whole(request) for id_, request in requests.items()}
        client = self.client(model)

        async def one(sent: Mapping[str, Any]) -> list[tuple[str, Response | ProviderError]]:
            try:
                lines, note = await send(client, sent, self.look)
            except Exception as error:  # the other rounds go on, and what they give counts
                failed = _failed(error, model)
                return [(id_, failed) for id_ in sent]
            answers = [
                (id_, _answered(requests[id_], status, body)) for id_, status, body in lines if id_ in sent
            ]
            return _noted(answers, note)

        found = await asyncio.gather(*map(one, rounds(bodies)))
        return [answer for each in found for answer in each]

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Turns texts into vectors."""
        vectors: list[tuple[float, ...]] = []
        used, estimated = 0, False
        said: Allowance | None = None
        for texts in _batches(request.texts):
            try:
                part = await self._embed(texts, request.model)
            except ProviderError as error:
                if used and error.usage is not None:
                    error.usage = Usage(used + error.usage.prompt, 0, estimated)
                raise
            vectors.extend(part.vectors)
            used += part.usage.prompt
            estimated = estimated or part.usage.estimated
            said = part.allowance
        return Embedding(tuple(vectors), Usage(used, 0, estimated), said)

    async def _embed(self, texts: tuple[str, ...], model: ModelSettings) -> "_Part":
        """The vectors of as many texts as fit into one request."""
        create: Any = self.client(model).embeddings.with_raw_response.create
        try:
            async with asyncio.timeout(model.timeout):
                raw = await create(model=model.model, input=list(texts), encoding_format="float")
            made, said = raw.parse(), allowance(raw.headers)
            vectors = [tuple(map(float, row.embedding)) for row in sorted(made.data, key=_place)]
            used = made.usage.prompt_tokens if made.usage is not None else None
        except Exception as error:
            raise _failed(error, model) from None
        if not isinstance(used, int) or used < 0:
            return _Part(vectors, Usage(sum(map(estimate_tokens, texts)), 0, estimated=True), said)
        return _Part(vectors, Usage(used, 0), said)

    def prompt_bound(self, request: Request) -> int:
        """No token is shorter than a byte; the schema travels with the prompt."""
        schema = byte_bound(json.dumps(request.schema)) if request.schema is not None else 0
        return byte_bound(request.prompt) + schema + FRAME_TOKENS

    async def close(self) -> None:
        """Closes all connections."""
        for client in self.clients.values():
            await client.close()
        self.clients.clear()

    def client(self, settings: ModelSettings) -> "AsyncOpenAI":
        """The SDK's client for the endpoint of a model; raises E0831 where there is no key for it."""
        key = os.environ.get(settings.api_key_env, "")
        if not key and settings.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
            raise ProviderError(
                Problem(
                    "E0831",
                    f"there is no key for the model `{settings.alias}`",
                    why=f"the environment variable {settings.api_key_env} is not set",
                    help=f"set {settings.api_key_env}, or run with --provider offline",
                ),
                retryable=False,
            )
        place = (settings.base_url, key, settings.timeout)
        if place not in self.clients:
            self.clients[place] = _new_client(settings, key)
        return self.clients[place]


def _new_client(settings: ModelSettings, key: str) -> "AsyncOpenAI":
    try:
        openai = importlib.import_module("openai")
    except ImportError:
        raise ProviderError(
            Problem(
                "E0832",
                "the `openai` provider needs the package `openai`",
                help="pip install 'flowc[openai]'",
            ),
            retryable=False,
        ) from None
    client: AsyncOpenAI = openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=settings.base_url,
        max_retries=0,
        timeout=settings.timeout,
        default_headers={"Accept-Encoding": "identity"},
        http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
    )
    return client


async def _bound(response: Any) -> None:
    """Lets no response be longer than it may: errors end early, answers raise `TooLarge`.

    A compressed one, which was not asked for, could grow a thousandfold and is not read at all.
    """
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Encoded(response.headers["content-encoding"])
    source = response.stream
    base = next(kind for kind in type(source).__mro__ if kind.__name__ == "AsyncByteStream")

    async def chunks(self: object) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in source:
            read += len(chunk)
            if response.status_code >= 400 and read > ERROR_BYTES:
                return
            if read > MOST_BYTES:
                raise TooLarge(read)
            yield chunk

    async def close(self: object) -> None:
        await source.aclose()

    response.stream = type("Bounded", (base,), {"__aiter__": chunks, "aclose": close})()


def _completion(request: Request) -> dict[str, Any]:
    """The arguments of a chat completion."""
    arguments: dict[str, Any] = {
        "model": request.model.model,
        "messages": [{"role": "user", "content": request.prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.prefix and request.model.prefix_cache:
        arguments["extra_body"] = {"prompt_cache_key": prefix_key(request)}
    if request.temperature is not None:
        arguments["temperature"] = request.temperature
    if request.max_tokens is not None:
        base = request.model.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        name = "max_completion_tokens" if base.startswith(OPENAI_URL) else "max_tokens"
        arguments[name] = request.max_tokens
    if request.schema is not None:
        arguments["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": re.sub(r"[^A-Za-z0-9_-]", "_", request.operation)[:64],
                "schema": request.schema,
                "strict": closed(dict(request.schema)),
            },
        }
    return arguments


def _whole(request: Request) -> dict[str, Any]:
    """The body of a request of a batch, which is not streamed."""
    arguments = _completion(request)
    for name in ("stream", "stream_options"):
        del arguments[name]
    return {**arguments, **arguments.pop("extra_body", {})}


def _answered(request: Request, status: int, body: object) -> Response | ProviderError:
    """One answer of a batch."""
    if status >= 400:
        return _failed(Refused(status, body), request.model)
    answer = _Answer(request)
    try:
        answer.take(body, "message")
    except Exception as error:
        return _failed(error, request.model)
    return answer.response()


def _noted(
    answers: list[tuple[str, Response | ProviderError]], note: str
) -> list[tuple[str, Response | ProviderError]]:
    """The answers, the first of which says in the trace what is to be said of all of them."""
    for index, (id_, answer) in enumerate(answers):
        if note and isinstance(answer, Response):
            return [*answers[:index], (id_, evolve(answer, note=note)), *answers[index + 1 :]]
    return answers


def prefix_key(request: Request) -> str:
    """The same for prompts that begin alike: the endpoint sends them to where their beginning is kept."""
    beginning = request.prompt[: request.prefix].encode("utf-8", "surrogatepass")
    return hashlib.sha256(beginning).hexdigest()[:32]


def _batches(texts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The texts in order, as many together as one request may hold; a long one goes alone."""
    batch: list[str] = []
    size = 0
    for text in texts:
        length = byte_bound(text)
        if batch and (len(batch) == BATCH_TEXTS or size + length > BATCH_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield tuple(batch)


def _usage(counted: object) -> Usage | None:
    """What the endpoint counted; None where that is not two numbers of tokens, which budgets could trust."""
    match counted:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(answer)} if min(prompt, answer) >= 0:
            return Usage(prompt, answer)
    return None


def _place(row: Any) -> int:
    return int(row.index)


class _Answer:
    """An answer as it arrives: server-sent events, or one JSON object from endpoints that do not stream."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.parts: list[str] = []
        self.refusal: list[str] = []
        self.finish: str | None = None
        self.usage: Usage | None = None

    async def read(self, chunks: AsyncIterator[bytes], *, plain: bool) -> None:
        """Takes in a whole body."""
        rest = b""
        async for chunk in chunks:
            rest += chunk
            if plain:
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if self._line(line):
                    return
        if plain or not self._line(rest):
            self._whole(rest, plain=plain)

    def _line(self, line: bytes) -> bool:
        """One line of an event stream; true for the last."""
        if not line.startswith(b"data:"):
            return False
        data = line[5:].strip()
        if data == b"[DONE]":
            return True
        self.take(json.loads(data), "delta")
        return False

    def _whole(self, body: bytes, *, plain: bool) -> None:
        if plain:
            self.take(json.loads(body), "message")
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
            said = choice.get(member) or {}
            if text := said.get("content"):
                self.parts.append(str(text))
                if self.request.stream is not None:
                    self.request.stream(str(text))
            if refusal := said.get("refusal"):
                self.refusal.append(str(refusal))
            self.finish = choice.get("finish_reason") or self.finish
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


def _failed(error: BaseException, settings: ModelSettings) -> ProviderError:
    """The coded error for whatever went wrong; the key never appears in it."""
    return problem_of(error, settings, os.environ.get(settings.api_key_env, ""))
