"""What endpoints of models answer: bodies, headers, batches; and recordings of what they answered."""

import asyncio
import importlib
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from flowc.compiler.diagnostics.pages import codes
from flowc.runtime.errors import FlowError
from flowc.runtime.providers import openai, openai_batch
from flowc.runtime.providers.base import EmbedRequest, ModelSettings, ProviderError, Request, Response
from flowc.runtime.providers.openai import OpenAI
from flowc.runtime.providers.openai_answers import Answer, Kept
from flowc.runtime.providers.openai_errors import problem_of, retry_after
from flowc.runtime.providers.rate_limits import allowance
from flowc.runtime.providers.replay import Replay
from flowc.runtime.types import (
    JSON,
)  # fmt: skip
from tests.fuzz.contract import Target
from tests.fuzz.mutation import by_json, by_words
from tests.fuzz.targets.answers import TABLES
from tests.fuzz.targets.language import MEMORY

MODEL = ModelSettings("default", "openai", "m", "http://127.0.0.1:1/v1")
HTTP: Any = importlib.import_module(DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The package that the SDK speaks HTTP with."""
WIRE = by_json(
    "choices", "index", "delta", "message", "content", "refusal", "finish_reason", "stop", "length",
    "usage",
    "prompt_tokens", "completion_tokens", "error", "data: ", "data:", "\n\n", "data: [DONE]", "event: x",
    "custom_id",
    "response", "status_code", "body", "embedding", "index", "object", "\r\n", ": keep-alive",
)  # fmt: skip
KEPT = by_json(
    "key", "step", "content", "prompt_tokens", "answer_tokens", "finish", "note", "fault", "after", "code"
)
OF_HEADERS = by_words(
    "x-ratelimit-remaining-tokens:", "x-ratelimit-reset:", "retry-after:", "retry-after-ms:",
    "ratelimit:", "remaining=",
    "reset=", ";r=", ";t=", "ms", "h", "m", "s", "inf", "nan", "-", "\n", "GMT", "Z", "+99:99",
    "9999-12-31T23:59:59Z",
)  # fmt: skip


async def _chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _request() -> Request:
    return Request("ask", JSON, TABLES, "prompt", ("prompt",), {"type": "object"}, MODEL, stream=len)


def _wire(data: bytes) -> None:
    """The body of an endpoint's answer: streamed, whole, and as the lines of a batch."""

    async def read() -> None:
        for plain, size in ((False, 7), (False, 4096), (True, 4096)):
            answer = Answer(_request(), kept := Kept(10**7))
            try:
                await answer.read(_chunks(data, size), plain=plain)
                _plausible(answer.response())
            except Exception as error:  # as the provider does
                _shown(problem_of(error, MODEL, "key"))
            finally:
                answer.close()
            assert kept.total == 0, "memory is counted that nothing holds"

    _LOOP().run_until_complete(read())
    for _, status, body in openai_batch.lines_in(data.decode("utf-8", "replace")):
        answered = openai._answered(_request(), status, body)
        _plausible(answered) if isinstance(answered, Response) else _shown(answered)


def _plausible(response: Response) -> None:
    usage = response.usage
    assert min(usage.prompt, usage.answer) >= 0
    assert isinstance(response.text + response.finish, str)
    hash(response.text.encode("utf-8", "surrogatepass"))


def _shown(error: FlowError) -> None:
    assert error.problem.code in codes(), f"{error.problem.code} has no page"
    assert "\n" not in error.problem.message
    assert len(str(error)) < 5_000


def _endpoint(data: bytes) -> None:
    """A whole response, headers and all, as the SDK reads it: to a prompt, and to texts for vectors."""
    head, _, body = data.partition(b"\n\n")
    status, *lines = head.split(b"\n")
    headers = [tuple(each.strip() for each in line.split(b":", 1)) for line in lines if b":" in line]
    code = int(status) if status.isdigit() and len(status) == 3 else 200

    async def respond(_: Any) -> Any:
        sent = [each for each in headers if each[0].isascii() and each[0].strip()]
        return HTTP.Response(code, headers=sent, stream=HTTP.ByteStream(body))

    async def ask() -> None:
        provider = OpenAI()
        transport = HTTP.MockTransport(respond)
        hooks = {"response": [openai._bound]}
        provider.clients[(MODEL.base_url, "key", MODEL.timeout)] = AsyncOpenAI(
            api_key="key", base_url=MODEL.base_url, max_retries=0, timeout=MODEL.timeout,
            http_client=HTTP.AsyncClient(transport=transport, event_hooks=hooks),
        )  # fmt: skip
        try:
            with suppress(ProviderError):
                _plausible(await provider.generate(_request()))
            with suppress(ProviderError):
                found = await provider.embed(EmbedRequest(("a",), MODEL))
                assert len(tuple(found.vectors)) == 1
        finally:
            await provider.close()

    with mock.patch.dict("os.environ", {MODEL.api_key_env: "key"}):
        _LOOP().run_until_complete(ask())


def _headers(data: bytes) -> None:
    """What endpoints say of their limits: passed over where it makes no sense."""
    lines = [line.partition(":") for line in data.decode("utf-8", "replace").split("\n")]
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}

    async def read() -> None:
        found = allowance(headers)
        for quota in () if found is None else (found.requests, found.tokens):
            assert quota is None or quota.left >= 0

    _LOOP().run_until_complete(read())
    after = retry_after(headers)
    assert after is None or 0 <= after <= 600


@cache
def _LOOP() -> asyncio.AbstractEventLoop:
    """One loop for all inputs: to make one takes longer than to read most of them."""
    return asyncio.new_event_loop()


def _replayed(data: bytes) -> None:
    """A recording of answers, each of which is asked for."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "answers.jsonl"
        path.write_bytes(data)
        with suppress(FlowError):
            replay = Replay.read(path)
            for entries in list(replay.entries.values()):
                for _ in range(len(entries)):
                    with suppress(FlowError):
                        _LOOP().run_until_complete(_once(replay, entries[0].key))


async def _once(replay: Replay, key: str) -> None:
    with mock.patch("flowc.runtime.providers.replay.generate_key", return_value=key):
        _plausible(await replay.generate(_request()))


def _bodies() -> list[bytes]:
    said = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1}}  # fmt: skip
    parts = [{"choices": [{"index": 0, "delta": {"content": each}}]} for each in ("h", "i")]
    events = [*parts, {"choices": [], "usage": said["usage"]}]
    stream = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events) + b"data: [DONE]\n"
    line = {"custom_id": "a", "response": {"status_code": 200, "body": said}, "error": None}
    failed = {"custom_id": "b", "response": {"status_code": 429, "body": {"error": {"message": "slowly"}}}}
    return [
        stream,
        *(json.dumps(each).encode() for each in (said, line, failed, {"error": {"message": "no"}})),
    ]


def _responses() -> list[bytes]:
    vectors = {"data": [{"index": 0, "embedding": [0.5, 1], "object": "embedding"}], "object": "list",
    "model": "m",
               "usage": {"prompt_tokens": 1, "total_tokens": 1}}  # fmt: skip
    stream, whole, *_ = _bodies()
    return [
        b"200\ncontent-type: text/event-stream\nx-ratelimit-remaining-requests: 5\n\n" + stream,
        b"200\ncontent-type: application/json\n\n" + whole,
        b"200\ncontent-type: application/json\n\n" + json.dumps(vectors).encode(),
        b"429\nretry-after: 3\ncontent-type: application/json\n\n" + _bodies()[-1],
        b"500\ncontent-encoding: gzip\n\nbroken",
    ]


def _limits() -> list[bytes]:
    return [
        b"x-ratelimit-limit-requests: 60\nx-ratelimit-remaining-requests: 59\n"
        b"x-ratelimit-reset-requests: 6m0s",
        b"anthropic-ratelimit-tokens-limit: 9\nanthropic-ratelimit-tokens-remaining: 3\n"
        b"anthropic-ratelimit-tokens-reset: 2030-01-01T00:00:00Z\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT",
        b'ratelimit: "a";r=50;t=30\nratelimit-policy: "a";q=100;w=60\nretry-after-ms: 1500',
        b"ratelimit: limit=100, remaining=50, reset=30\nretry-after: 2",
    ]


def _recording() -> list[bytes]:
    made = [
        {"key": "k", "step": "main/ask", "content": "hi", "prompt_tokens": 3, "answer_tokens": 1,
        "note": "x"},
        {"key": "k",
         "fault": {"code": "E0820", "message": "m", "why": "w", "help": "h", "retryable": True,
        "after": 2}},
        {"key": "e", "content": [[0.5]]},
    ]  # fmt: skip
    return [b"\n".join(json.dumps(each).encode() for each in made)]


TARGETS = (
    Target("wire", _wire, _bodies, WIRE, share=3.0),
    Target("endpoint", _endpoint, _responses, WIRE, share=0.3),
    Target("headers", _headers, _limits, OF_HEADERS, share=10.0),
    Target("recording", _replayed, _recording, KEPT, share=2.0),
)
