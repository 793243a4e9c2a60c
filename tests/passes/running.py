"""The generated world as the runtime sees it: tools that note their calls, a model that counts letters."""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from flowc.runtime.environment import Environment
from flowc.runtime.providers.base import Embedding, EmbedRequest, Request, Response, Usage
from tests.passes.flow_text import GeneratedWorld

WRITES = {"put": "db", "note": "journal"}
"""The tools of the generated programs that write, and what."""


class LetterModel:
    """A provider whose answer is the generated world's."""

    def __init__(self, world: GeneratedWorld) -> None:
        self.world = world

    async def generate(self, request: Request) -> Response:
        """The number of the prompt, as JSON."""
        answer = self.world.generate(request.operation, request.prompt, {})
        return Response(text=f'{{"value": {answer}}}', usage=Usage())

    async def embed(self, request: EmbedRequest) -> Embedding:
        """No generated program embeds anything."""
        raise NotImplementedError

    def prompt_bound(self, request: Request) -> int:
        """No prompt is long."""
        return 100

    async def close(self) -> None:
        """There is nothing to close."""


@define
class RecordingWorld:
    """Tools over one generated world. The lock is not for order: it keeps one call in one piece."""

    world: GeneratedWorld = field(factory=GeneratedWorld)
    lock: Any = field(factory=threading.Lock)

    def environment(self) -> Environment:
        """An environment in which the programs run."""
        return Environment(
            provider="letters",
            providers={"letters": LetterModel(self.world)},
            tools={name: self._tool(name) for name in ("work", "look", "put", "note", "shaky")},
        )

    def _tool(self, name: str) -> Callable[[int], object]:
        def call(i: int) -> object:
            with self.lock:
                return self.world.tool(name, {"i": i})

        return call

    def writes(self) -> Mapping[str, list[tuple[str, int]]]:
        """The writes so far, in order, by resource."""
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for name, number in self.world.calls:
            if name in WRITES:
                found[WRITES[name]].append((name, number))
        return found
