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
from functools import partial
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
    attempt_key,
    byte_bound,
    estimate_tokens,
)
from flowc.runtime.providers.openai_answers import MOST_BYTES, Answer, Kept, check_parts
from flowc.runtime.providers.openai_batch import FIRST_LOOK, Refused, rounds, send
from flowc.runtime.providers.openai_errors import Encoded, TooLarge, problem_of
from flowc.runtime.providers.rate_limits import allowance
from flowc.runtime.schema import closed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MOST_STREAMED, MOST_CHUNKS = 64_000_000, 200_000
"""Bytes, and pieces, of a response that comes in events: each token is one, in hundreds of bytes."""

MOST_KEPT = 256_000_000
"""Bytes of answers that are kept at once, of all calls: however many go on at a time, memory has an end."""

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
    kept: Kept = field(factory=partial(Kept, MOST_KEPT))
    clients: dict[tuple[str | None, str, float], "AsyncOpenAI"] = field(factory=dict)

    async def generate(self, request: Request) -> Response:
        """Answers a prompt with chat completions; structured where a schema is given."""
        create: Any = self.client(request.model).chat.completions.with_streaming_response.create
        answer = Answer(request, self.kept)
        try:
            async with asyncio.timeout(request.model.timeout):
                body = _completion(request)
                async with create(**body, extra_headers=_keyed(request, body)) as response:
                    said = allowance(response.headers)
                    plain = "json" in response.headers.get("content-type", "")
                    await answer.read(response.iter_bytes(), plain=plain)
            return evolve(answer.response(), allowance=said)
        except Exception as error:
            raise _failed(error, request.model) from None
        finally:
            answer.close()

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
                part = await self._embed(texts, request)
            except ProviderError as error:
                if used and error.usage is not None:
                    error.usage = Usage(used + error.usage.prompt, 0, estimated)
                raise
            vectors.extend(part.vectors)
            used += part.usage.prompt
            estimated = estimated or part.usage.estimated
            said = part.allowance
        return Embedding(tuple(vectors), Usage(used, 0, estimated), said)

    async def _embed(self, texts: tuple[str, ...], request: EmbedRequest) -> "_Part":
        """The vectors of as many texts as fit into one request to the endpoint."""
        model = request.model
        body = {"model": model.model, "input": list(texts), "encoding_format": "float"}
        create: Any = self.client(model).embeddings.with_raw_response.create
        try:
            async with asyncio.timeout(model.timeout):
                raw = await create(**body, extra_headers=_keyed(request, body))
            check_parts(raw.content)
            made, said = raw.parse(), allowance(raw.headers)
            rows = sorted(made.data, key=_place)
            if [*map(_place, rows)] != [*range(len(texts))]:
                raise ValueError(f"{len(texts)} vectors were asked for, numbered from 0")
            vectors = [tuple(map(float, row.embedding)) for row in rows]
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
    length = response.headers.get("content-length", "")
    if response.status_code < 400 and length.isdecimal() and int(length[:18]) > MOST_BYTES:
        raise TooLarge(int(length[:18]), "are announced")
    most = MOST_STREAMED if "event-stream" in response.headers.get("content-type", "") else MOST_BYTES
    source = response.stream
    base = next(kind for kind in type(source).__mro__ if kind.__name__ == "AsyncByteStream")

    async def chunks(self: object) -> AsyncIterator[bytes]:
        read = count = 0
        async for chunk in source:
            read += len(chunk)
            count += 1
            if response.status_code >= 400 and read > ERROR_BYTES:
                return
            if read > most or count > MOST_CHUNKS:
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


def _keyed(request: Request | EmbedRequest, body: Mapping[str, Any]) -> dict[str, str]:
    """The header by which an endpoint that knows it answers an attempt once, in whatever process the run that
    asks goes on (Jena and Dalal, "The Idempotency-Key HTTP Header Field", IETF draft, 2025).
    """
    return {"Idempotency-Key": attempt_key(request, body)}


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
    answer = Answer(request, Kept(MOST_BYTES))
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


def _place(row: Any) -> int:
    return int(row.index)


def _failed(error: BaseException, settings: ModelSettings) -> ProviderError:
    """The coded error for whatever went wrong; the key never appears in it."""
    return problem_of(error, settings, os.environ.get(settings.api_key_env, ""))
