"""A server that speaks OpenAI's API over a real socket, with latency, limits and faults as it is told.

It runs on a thread of its own and gives each request the next behaviour of its script, or a fault drawn
from a seed. Answers fit the JSON Schema of the request.
"""

import asyncio
import contextlib
import gzip
import json
import random
import threading
from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen

from tests.hostile_answers import HOSTILE


@frozen
class Behave:
    """How to treat one request. `fault` is one of the names that `_FAULTS` knows, "" for a proper answer."""

    fault: str = ""
    text: str | None = None
    retry_after: str = ""
    usage: bool = True
    counted: object = None
    stream: bool = True


@define(eq=False)
class Server:
    """The server. `script` is used up first, then `storm` (share of faults, drawn from `seed`) decides, of
    `faults` where there are any.
    """

    script: list[Behave] = field(factory=list)
    seed: int = 0
    storm: float = 0.0
    faults: tuple[str, ...] = ()
    most_in_flight: int | None = None
    port: int = 0
    requests: list[dict[str, Any]] = field(factory=list)
    uploaded: list[str] = field(factory=list)
    batch_script: list[str] = field(factory=list)
    limits: dict[str, str] = field(factory=dict)
    keeps: tuple[str, ...] = ()
    in_flight: int = 0
    peak: int = 0
    chance: random.Random = field(factory=random.Random)
    _loop: asyncio.AbstractEventLoop | None = None
    _ended: asyncio.Event = field(factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        started = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        thread.start()
        started.wait(10)
        try:
            yield self
        finally:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._ended.set)
            thread.join(10)

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self.chance.seed(self.seed)
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._request(reader, writer):
                pass
        with contextlib.suppress(ConnectionError, RuntimeError):
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        length = int({name.lower(): value for name, value in headers.items()}.get("content-length", 0))
        content = await reader.readexactly(length)
        path = head.split(" ")[1]
        if "/files" in path or "/batches" in path:
            return await self._batch(head.split(" ")[0], path, content, writer)
        body = json.loads(content)
        self.requests.append({"path": path, "headers": headers, "body": body})
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._answer(path, body, writer)
        finally:
            self.in_flight -= 1

    async def _batch(self, method: str, path: str, content: bytes, writer: asyncio.StreamWriter) -> bool:
        """Files of requests and of answers; a batch is under way for one look, then complete."""
        self.requests.append({"path": path, "method": method, "content": content})
        batch = {"id": "b1", "object": "batch", "status": "in_progress", "endpoint": "/v1/chat/completions",
                 "input_file_id": "f1", "completion_window": "24h", "created_at": 1}  # fmt: skip
        if method == "DELETE":
            name = path.rsplit("/", 1)[1]
            status = 500 if name in self.keeps else 200
            _plain(writer, status, {"id": name, "object": "file", "deleted": True})
        elif path.endswith("/files"):
            start = content.index(b'{"custom_id"')
            self.uploaded = content[start : content.index(b"\r\n", start)].decode().splitlines()
            file = {"id": "f1", "object": "file", "bytes": 1, "created_at": 1, "purpose": "batch"}
            _plain(writer, 200, file | {"filename": "requests.jsonl", "status": "processed"})
        elif path.endswith("/content"):
            _raw(writer, 200, "\n".join(map(self._answer_line, self.uploaded[::-1])).encode(), "text/plain")
        elif method == "POST" or self.batch_script:
            status = "in_progress" if method == "POST" else self.batch_script.pop(0)
            _plain(writer, int(status) if status.isdigit() else 200, batch | {"status": status})
        else:
            _plain(writer, 200, batch | {"status": "completed", "output_file_id": "f2"})
        await writer.drain()
        return True

    def _answer_line(self, line: str) -> str:
        asked = json.loads(line)
        said = asked["body"]["messages"][0]["content"]
        body = {"choices": [{"message": {"content": f"batch: {said}"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2}}  # fmt: skip
        status = 500 if "broken" in said else 200
        line = {"custom_id": asked["custom_id"], "response": {"status_code": status, "body": body}}
        return "{" if "garbled" in said else json.dumps(line, ensure_ascii=False)

    def _behaviour(self) -> Behave:
        if self.script:
            return self.script.pop(0)
        if self.chance.random() < self.storm:
            faults = self.faults or sorted(_FAULTS - {"drip", "endless", "huge", "gzip"})
            return Behave(self.chance.choice(faults), retry_after="0")
        return Behave()

    async def _answer(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        behaviour = self._behaviour()
        if self.most_in_flight is not None and self.in_flight > self.most_in_flight:
            behaviour = Behave("429", retry_after="0")
        match behaviour.fault:
            case "429":
                extra = f"retry-after: {behaviour.retry_after}\r\n" if behaviour.retry_after else ""
                extra += _headers(self.limits)
                _plain(writer, 429, {"error": {"message": "slow down", "code": "rate_limit"}}, extra)
            case "quota":
                _plain(writer, 429, {"error": {"message": "no money", "code": "insufficient_quota"}})
            case "500":
                _plain(writer, 500, {"error": {"message": "it broke"}})
            case "401":
                key = body.get("key", "")
                _plain(
                    writer, 401, {"error": {"message": f"Incorrect API key provided: sk-secret12345{key}"}}
                )
            case "404":
                _plain(writer, 404, {"error": {"message": "no such model"}})
            case "reset":
                writer.transport.abort()
                return False
            case "huge":
                await _huge(writer)
                return False
            case "gzip":
                packed = gzip.compress(
                    b'{"choices": [{"message": {"content": "' + b"a" * 9_000_000 + b'"}}]}'
                )
                _raw(writer, 200, packed, "application/json", "content-encoding: gzip\r\n")
            case fault if fault in HOSTILE:
                await HOSTILE[fault][1](writer)
                return False
            case "html":
                _raw(writer, 200, b"<html>welcome</html>", "text/html")
            case _ if path.endswith("/embeddings"):
                rows = [{"object": "embedding", "index": i, "embedding": [float(len(t)), 1.0]}
                        for i, t in enumerate(body["input"])]  # fmt: skip
                usage = {"prompt_tokens": 7, "total_tokens": 7}
                made = {"object": "list", "data": rows, "model": "m", "usage": usage}
                _plain(writer, 200, made, _headers(self.limits))
            case _:
                return await self._completion(body, behaviour, writer)
        await writer.drain()
        return True

    async def _completion(
        self, body: dict[str, Any], behaviour: Behave, writer: asyncio.StreamWriter
    ) -> bool:
        text = behaviour.text if behaviour.text is not None else self._text(body, behaviour.fault)
        finish = "length" if behaviour.fault == "truncated" else "stop"
        proper = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
        usage = (proper if behaviour.counted is None else behaviour.counted) if behaviour.usage else None
        if not behaviour.stream:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
            _plain(writer, 200, {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})
            await writer.drain()
            return True
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
        writer.write(f"{head}{_headers(self.limits)}\r\n".encode())
        if behaviour.fault == "drip":
            await self._ended.wait()
            return False
        if behaviour.fault == "endless":
            while not writer.is_closing():
                writer.write(_event({"choices": [{"index": 0, "delta": {"content": "again " * 1000}}]}) * 10)
                await writer.drain()
            return False
        for start in range(0, len(text), 7):
            part = text[start : start + 7]
            writer.write(_event({"choices": [{"index": 0, "delta": {"content": part}}]}))
            if behaviour.fault == "cut" and start:
                return False
        writer.write(_event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
        if usage:
            writer.write(_event({"choices": [], "usage": usage}))
        if behaviour.fault == "garbage":
            writer.write(b"data: {not json\n\n")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        return False

    def _text(self, body: dict[str, Any], fault: str) -> str:
        if "response_format" not in body:
            return "" if fault == "empty" else "a plain answer"
        schema = body["response_format"]["json_schema"]["schema"]
        match fault:
            case "empty":
                return ""
            case "prose":
                return "Sure, here you are: 42"
            case "schema":
                return '{"value": {"nobody": "asked for this"}}'
        return json.dumps(_fitting(schema, schema.get("$defs", {})))


_FAULTS = frozenset(
    [
        "429",
        "500",
        "reset",
        "empty",
        "prose",
        "schema",
        "truncated",
        "cut",
        "garbage",
        "html",
        "gzip",
        "drip",
        "endless",
        "huge",
    ]
)


def _fitting(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """The simplest value that a schema allows."""
    if "$ref" in schema:
        return _fitting(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _fitting(schema["anyOf"][0], definitions)
    match schema.get("type"):
        case "object":
            return {
                name: _fitting(inner, definitions) for name, inner in schema.get("properties", {}).items()
            }
        case "array":
            return [_fitting(schema["items"], definitions)]
        case "integer":
            return 42
        case "number":
            return 0.5
        case "boolean":
            return True
        case "null":
            return None
    return "text"


def _headers(limits: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in limits.items())


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def _raw(writer: asyncio.StreamWriter, status: int, body: bytes, kind: str, extra: str = "") -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    writer.write(head.encode() + body)


def _plain(writer: asyncio.StreamWriter, status: int, body: dict[str, Any], extra: str = "") -> None:
    _raw(writer, status, json.dumps(body).encode(), "application/json", extra)


async def _huge(writer: asyncio.StreamWriter) -> None:
    """A body of a gigabyte, for as long as anyone reads it."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n")
    for _ in range(1000):
        if writer.is_closing():
            return
        writer.write(b" " * 1_000_000)
        await writer.drain()
