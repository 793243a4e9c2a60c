"""One map in a process of its own: `python -m benchmarks.in_flight.child CALLS SECONDS`.

The provider stands beside the run, on the same loop, and answers each call after a time of its own, between
half of SECONDS and one and a half times that, so that all calls are under way for a while. What the engine
adds to a call is all the time from when it is begun until its value is there, beyond that.
"""

import asyncio
import gc
import re
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from benchmarks import worker
from flowc.compiler.driver import compile_text
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load, run_plan
from flowc.runtime.providers.base import Embedding, EmbedRequest, ModelSettings, Request, Response, Usage
from flowc.runtime.randomness import seed_of

PROGRAM = """
@model("local")
llm ask(number: int) -> str:
    \"\"\"What is {number}?\"\"\"

flow main(count: int) -> list[str]:
    return [ask(number) for number in range(count)]
"""
MEGABYTE = 1 << 20


@define(eq=False)
class Provider:
    """Answers after a while; knows how many it has to answer, and for how long it let each wait."""

    seconds: float
    in_flight: int = 0
    most: int = 0
    waits: dict[str, float] = field(factory=dict)

    async def generate(self, request: Request) -> Response:
        """The same for every prompt, after a time that is the prompt's."""
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self.waits[request.step] = wait = self.seconds * (0.5 + seed_of(0, request.step) % 1000 / 1000)
        try:
            await asyncio.sleep(wait)
        finally:
            self.in_flight -= 1
        return Response("an answer", Usage(8, 2))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """None are asked for."""
        raise NotImplementedError

    def prompt_bound(self, request: Request) -> int:
        """Far more than it is."""
        return len(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Says the figures."""
    calls, seconds = int(sys.argv[1]), float(sys.argv[2])
    channel = worker.claim_output()
    worker.serve(channel, {}, {}, measured(calls, seconds))


def measured(calls: int, seconds: float) -> dict[str, float]:
    """Bytes above idle, seconds that the engine adds to a call, and what is left after all were cancelled."""
    provider = Provider(seconds)
    model = ModelSettings("local", "local", max_in_flight=calls)
    environment = Environment(config=Config(models={"local": model}), providers={"local": provider})
    loaded = load(compile_text(PROGRAM, "main.flow").plan, environment)
    provider.seconds = 0.01
    asyncio.run(_whole(loaded, 10))
    provider.seconds = seconds
    grown, overheads = asyncio.run(_whole(loaded, calls))
    assert provider.most == calls, f"{provider.most} calls were in flight"
    cancelling, tasks, files = asyncio.run(_cancelled(loaded, calls, provider))
    return {
        "bytes": grown,
        "median": statistics.median(overheads),
        "p99": statistics.quantiles(overheads, n=100)[-1],
        "cancelling": cancelling,
        "tasks_left": tasks,
        "files_left": files,
        "calls_left": provider.in_flight,
    }


async def _whole(loaded: Loaded, calls: int) -> tuple[int, list[float]]:
    """A run to its end; gives the bytes that it took at most, and the seconds that it added to each call."""
    with peak() as grown:
        result = await run_plan(loaded, "main", {"count": calls})
    assert result.result == ["an answer"] * calls, result.problem
    assert result.trace is not None
    provider: Any = loaded.environment.providers["local"]
    ended = [event for event in result.trace.events() if event.kind == "node.done"]
    waits = provider.waits
    return grown[0], [each.time - each.start - waits[each.step] for each in ended if each.step in waits]


async def _cancelled(loaded: Loaded, calls: int, provider: Provider) -> tuple[float, int, int]:
    """Cancels a run with all calls in flight; gives the seconds that took, and the tasks and files left."""
    files = open_files()
    task = asyncio.create_task(run_plan(loaded, "main", {"count": calls}))
    while provider.in_flight < calls:
        await asyncio.sleep(0.05)
    begun = time.perf_counter()
    task.cancel()
    await asyncio.wait([task])
    return time.perf_counter() - begun, len(asyncio.all_tasks()) - 1, open_files() - files


def open_files() -> int:
    """How many descriptors this process has."""
    return len([*Path("/proc/self/fd").iterdir()])


@contextmanager
def peak() -> Iterator[list[int]]:
    """How much more memory is taken meanwhile than before: afterwards, the one element of what it gives."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before, found = _most(), [0]
    yield found
    found[0] = _most() - before


def _most() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, "/proc/self/status has no VmHWM"
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
