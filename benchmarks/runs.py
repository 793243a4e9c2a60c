"""What small runs cost in a process that is warm: one after the other, as a server of a user makes them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import peers
from benchmarks.agents.contenders import expert, langgraph
from benchmarks.agents.graph import Call
from benchmarks.measure import Row, Table, interleaved
from benchmarks.rounds import Options
from flowc.compiler.driver import compile_text
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load, run_plan
from flowc.runtime.execute import run as execute
from flowc.runtime.providers.base import Embedding, EmbedRequest, ModelSettings, Request, Response, Usage

CALLS = {
    "tools that wait": "tool ask(text: str) -> str pure\n",
    "models": 'llm ask(text: str) -> str:\n    """Say something about {text}."""\n',
}
NOTE = """\
Microseconds of real time for calls that end as soon as others had their turn: in a loop that runs (whole
time over calls), and for a run with a loop of its own, as `flow(...)` and `flowc run` make it."""


class Immediate:
    """A provider that gives one answer to all."""

    async def generate(self, request: Request) -> Response:
        """The answer, after one turn of the loop."""
        await asyncio.sleep(0)
        return Response("fine", Usage(5, 1))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Nothing is embedded here."""
        raise NotImplementedError

    def prompt_bound(self, request: Request) -> int:
        """No prompt is long."""
        return 100

    async def close(self) -> None:
        """There is nothing to close."""


async def immediate(text: str) -> str:
    """A tool that waits for one turn of the loop."""
    await asyncio.sleep(0)
    return "fine"


def run(options: Options) -> Table:
    """A row for each kind of call, shape and number of calls."""
    rows = [
        row(kind, shape, count, options)
        for kind in CALLS
        for shape in ("chain", "fan-out")
        for count in (1, 3, 17)
        if shape == "chain" or count > 1
    ]
    return Table("runs", "Small runs in a warm process", tuple(rows), NOTE)


def row(kind: str, shape: str, count: int, options: Options) -> Row:
    """One graph."""
    times = 5 if options.quick else 50
    loaded = ready(kind, shape, count)
    wait = _turn
    calls = [
        Call(f"x{number}", "ask", (f"x{number - 1}",) if shape == "chain" and number else ())
        for number in range(count)
    ]
    variants = {
        "flowc": _in_a_loop(lambda: run_plan(loaded, "main"), times),
        "run": _in_a_row(lambda: execute(loaded, "main"), times),
        "asyncio": _in_a_loop(expert(calls, wait), times),
    }
    if peers.has_langgraph():
        variants["langgraph"] = _in_a_loop(langgraph(calls, wait), 5)
    found = {name: options.estimate(each) for name, each in interleaved(variants, 5).items()}
    return {
        "calls of": kind,
        "shape": shape,
        "calls": count,
        "flowc_us": round(found["flowc"] / count * 1e6, 1),
        "asyncio_us": round(found["asyncio"] / count * 1e6, 1),
        "langgraph_us": round(found["langgraph"] / count * 1e6, 1) if "langgraph" in found else "not run",
        "own_loop_us": round(found["run"] * 1e6),
    }


def ready(kind: str, shape: str, count: int) -> Loaded:
    """The program, compiled and bound."""
    given = [f"x{number - 1}" if shape == "chain" and number else f'"{number}"' for number in range(count)]
    lines = [f"    x{number} = ask({text})\n" for number, text in enumerate(given)]
    result = " + ".join(f"x{number}" for number in range(count)) if shape == "fan-out" else f"x{count - 1}"
    text = f"{CALLS[kind]}\nflow main() -> str:\n{''.join(lines)}    return {result}\n"
    environment = Environment(
        tools={"ask": immediate},
        config=Config(models={"default": ModelSettings(provider="immediate")}),
        providers={"immediate": Immediate()},
    )
    return load(compile_text(text, "generated.flow").plan, environment)


async def _turn(call: Call) -> None:
    await asyncio.sleep(0)


def _in_a_loop(work: Callable[[], Awaitable[Any]], times: int) -> Callable[[], float]:
    """Seconds of one of `times` runs, one after the other in one loop."""

    async def all_of_them() -> float:
        begun = time.perf_counter()
        for _ in range(times):
            await work()
        return (time.perf_counter() - begun) / times

    return lambda: asyncio.run(all_of_them())


def _in_a_row(work: Callable[[], Any], times: int) -> Callable[[], float]:
    def all_of_them() -> float:
        begun = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - begun) / times

    return all_of_them
