"""The `replay` provider: answers recorded before, found by what is asked. And the recorder that writes
them.

A recording is one JSON object a line. An entry is found by the hash of operation, prompt and model
settings; where the same was asked several times, first by the step that asked it, then in the order of the
recording.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from flowc.runtime.errors import FlowError, Problem, fail
from flowc.runtime.plan import Json
from flowc.runtime.providers.base import (
    LONGEST_WAIT,
    Embedding,
    EmbedRequest,
    Provider,
    ProviderError,
    Request,
    Response,
    Usage,
    byte_bound,
)


def generate_key(request: Request) -> str:
    """The hash of what a request asks."""
    return _hash(["generate", request.operation, request.prompt, request.temperature, request.model.model])


def embed_key(request: EmbedRequest) -> str:
    """The hash of what a request for vectors asks."""
    return _hash(["embed", list(request.texts), request.model.model])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


@frozen
class Recorded:
    """One answer of a recording."""

    key: str
    step: str = ""
    content: Json = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    finish: str = "stop"
    note: str = ""
    fault: dict[str, Any] | None = None

    def raised(self) -> ProviderError | None:
        """The failure that was recorded in place of an answer."""
        if self.fault is None:
            return None
        code, message, why, help_ = (
            str(self.fault.get(name, "")) for name in ("code", "message", "why", "help")
        )
        after = self.fault.get("after")
        return ProviderError(
            Problem(code, message, why, help_),
            retryable=bool(self.fault.get("retryable", True)),
            after=float(min(after, LONGEST_WAIT)) if isinstance(after, int | float) and after >= 0 else None,
        )


def fault_of(error: ProviderError) -> dict[str, Any]:
    """A failure as it is recorded."""
    problem = error.problem
    return {
        "code": problem.code,
        "message": problem.message,
        "why": problem.why,
        "help": problem.help,
        "retryable": error.retryable,
        "after": error.after,
    }


@define(eq=False)
class Replay:
    """Answers from a recording, each used once."""

    entries: dict[str, list[Recorded]]
    source: str

    @classmethod
    def read(cls, recording: Path | str | None) -> "Replay":
        """Reads a recording; raises E0835 where there is none or a line is broken."""
        if recording is None:
            raise fail(
                "E0835",
                "the `replay` provider has no recording",
                help='name one: `recording = "answers.jsonl"` under [run] in flowc.toml',
            )
        try:
            lines = Path(recording).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise fail("E0835", f"the recording {recording} cannot be read", why=str(error)) from None
        return cls.of(map(_line(str(recording)), enumerate(filter(str.strip, lines), 1)), str(recording))

    @classmethod
    def of(cls, recorded: Iterable[Recorded], source: str) -> "Replay":
        """A provider of these answers."""
        entries: dict[str, list[Recorded]] = defaultdict(list)
        for entry in recorded:
            entries[entry.key].append(entry)
        return cls(entries, source)

    async def generate(self, request: Request) -> Response:
        """The recorded answer; raises E0834 where none is left."""
        entry = self._take(generate_key(request), request.step, request.operation, request.prompt)
        usage = Usage(entry.prompt_tokens, entry.answer_tokens)
        return Response(str(entry.content), usage, entry.finish, entry.note or "replayed")

    async def embed(self, request: EmbedRequest) -> Embedding:
        """The recorded vectors."""
        entry = self._take(embed_key(request), request.step, "embed", " ".join(request.texts[:3]))
        return Embedding(entry.content, Usage(entry.prompt_tokens, 0))

    def _take(self, key: str, step: str, operation: str, asked: str) -> Recorded:
        entries = self.entries.get(key, [])
        matching = [index for index, entry in enumerate(entries) if entry.step == step]
        if entries:
            entry = entries.pop(matching[0] if matching else 0)
            if (failure := entry.raised()) is not None:
                raise failure
            return entry
        raise ProviderError(
            Problem(
                "E0834",
                f"the recording has no answer for this call of `{operation}`",
                why=f"{self.source} holds no (further) answer to: {asked[:120]!r}",
                help="record the run again with the program and the arguments as they are now",
            ),
            retryable=False,
        )

    def prompt_bound(self, request: Request) -> int:
        """The bound that holds for every tokenizer."""
        return byte_bound(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""


_KINDS: Mapping[str, Any] = {
    "key": str,
    "step": str,
    "prompt_tokens": int,
    "answer_tokens": int,
    "finish": str,
    "note": str,
    "fault": dict | None,
}
"""What an entry must be; an answer may be any JSON, as vectors are."""


def _line(source: str) -> "Callable[[tuple[int, str]], Recorded]":
    def read(numbered: tuple[int, str]) -> Recorded:
        number, line = numbered
        try:
            entry = Recorded(**json.loads(line))
            for name, kind in _KINDS.items():
                if not isinstance(getattr(entry, name), kind):
                    raise TypeError(f"`{name}` is {getattr(entry, name)!r:.40}")
            if min(entry.prompt_tokens, entry.answer_tokens) < 0:
                raise ValueError("fewer tokens than none")
            return entry
        except (ValueError, TypeError, RecursionError) as error:
            raise fail(
                "E0835",
                f"line {number} of the recording {source} is broken",
                why=str(error),
                help="a recording is written by a run, one JSON object a line",
            ) from None

    return read


@define(eq=False)
class Recorder:
    """Asks another provider and appends each answer to a file."""

    provider: Provider
    path: Path
    written: int = field(default=0)

    async def generate(self, request: Request) -> Response:
        """Answers as the inner provider does."""
        try:
            response = await self.provider.generate(request)
        except ProviderError as error:
            self._write(Recorded(generate_key(request), request.step, "", fault=fault_of(error)))
            raise
        self._write(
            Recorded(
                generate_key(request),
                request.step,
                response.text,
                response.usage.prompt,
                response.usage.answer,
                response.finish,
                response.note,
            )
        )
        return response

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Embeds as the inner provider does."""
        import numpy

        embedding = await self.provider.embed(request)
        vectors = numpy.asarray(embedding.vectors, dtype="float32").tolist()
        self._write(Recorded(embed_key(request), request.step, vectors, embedding.usage.prompt))
        return embedding

    def _write(self, entry: Recorded) -> None:
        members = {name: getattr(entry, name) for name in _MEMBERS}
        try:
            with self.path.open("a" if self.written else "w", encoding="utf-8") as file:
                file.write(json.dumps(members, ensure_ascii=True) + "\n")
        except OSError as error:
            raise FlowError(
                Problem("E0835", f"the recording {self.path} cannot be written", why=str(error))
            ) from None
        self.written += 1

    def prompt_bound(self, request: Request) -> int:
        """The inner provider's bound."""
        return self.provider.prompt_bound(request)

    async def close(self) -> None:
        """Closes the inner provider."""
        await self.provider.close()


_MEMBERS = ("key", "step", "content", "prompt_tokens", "answer_tokens", "finish", "note", "fault")
