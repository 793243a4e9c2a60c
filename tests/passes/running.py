"""The generated world as the runtime sees it: tools that note their calls, a model that counts letters."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from flowc.runtime.environment import Environment
from flowc.runtime.providers.base import Embedding, EmbedRequest, Request, Response, Usage
from flowc.testing.oracles.worlds import note_write
from tests.passes.flow_text import IDEMPOTENT, GeneratedWorld

WRITES = {
    "put": "db",
    "unput": "db",
    "note": "journal",
    "erase": "journal",
    "shelve": "shelf",
    "unshelve": "shelf",
}
"""The tools of the generated programs that write, and what."""

TOOLS = ("work", "look", "put", "note", "shaky", "shelve", "peek", "total", "unput", "erase", "unshelve")


class LetterModel:
    """A provider whose answer is the generated world's."""

    def __init__(self, world: GeneratedWorld) -> None:
        self.world = world

    async def generate(self, request: Request) -> Response:
        """The number of the prompt, as JSON."""
        answer = self.world.generate(request.operation, request.prompt, {})
        return Response(text=json.dumps({"value": answer}), usage=Usage())

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
            tools={name: self._tool(name) for name in TOOLS},
        )

    def _tool(self, name: str) -> Callable[[int], object]:
        def call(i: int, j: int = 0) -> object:
            with self.lock:
                return self.world.tool(name, {"i": i, "j": j})

        return call

    def writes(self) -> Mapping[str, list[tuple[str, int]]]:
        """The writes so far, in order, by resource."""
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for name, number in self.world.calls:
            if name in WRITES:
                note_write(found[WRITES[name]], (name, number), IDEMPOTENT)
        return found
