"""Batches of 1,000 runs: operations made and distinct, prompt tokens computed, and runs a second.

Every model is a simulated server with a prefix cache of finite size that evicts what was used least
recently; SQL and reports run on DuckDB. The peers get the same calls, lengths, times and seed: runs one after
the other, and as many side by side as here, each with a cache of the last results of tools.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, evolve, field, frozen

from benchmarks.agents import halo
from benchmarks.agents.stage import Times
from benchmarks.measure import Table
from benchmarks.rounds import Options
from flowc.compiler.driver import Options as Compiling
from flowc.compiler.driver import compile_text
from flowc.passes.pipelines import PIPELINES
from flowc.runtime.batch import run_many
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import Embedding, EmbedRequest, ModelSettings, Request, Response
from flowc.runtime.providers.simulated.behaviour import Behaviour, Serving
from flowc.runtime.providers.simulated.identities import block_ids
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.providers.simulated.serving import Statistics
from flowc.runtime.result import RunResult
from flowc.runtime.values import canonical

RUNS = 1_000
WIDTH = 128
RECENT = 128
"""Results of tools that a peer keeps: what `functools.lru_cache` keeps where nobody says."""
SHARING = ("merge-calls", "share-prefix")
"""The passes that a peer does without."""
SERVER = Serving()
ANSWER = 120
"""Tokens of an answer."""
BAR_PREFILL, BAR_SPEED = 1.05, 3.0
NOTE = f"""\
Virtual time; {WIDTH} runs at once. `made/distinct`: SQL statements and requests made, and how many
different ones the runs ask for. `prefill/bound`: prompt tokens that the servers computed over what no
server with blocks of {SERVER.block} tokens can avoid: each different block of a beginning once, and of
each call what does not fill a block. `naive` is one run after the other, `side by side` as many at once
as here, both with the same servers and the last {RECENT} results of tools kept. `ceiling` is the gain
over `naive` that the distinct work allows: no batch ends before its busiest server has computed it at
full batches, nor before the longest run alone. "at 0": the models at temperature 0, so that equal
questions are one."""

Asked = tuple[str, str]


@define(eq=False)
class World:
    """Tools and models of a graph, which count what they are asked. `keep` results of tools are kept for the
    runs; `known` only saves the real time of asking the database again.
    """

    times: Times
    functions: Mapping[str, Callable[..., Any]]
    keep: int = 0
    known: dict[Asked, Any] = field(factory=dict)
    models: Simulated = field(factory=lambda: Simulated(7, Behaviour(server=SERVER, answer_tokens=ANSWER)))
    made: Counter[Asked] = field(factory=Counter)
    asked: set[Asked] = field(factory=set)
    kept: "OrderedDict[Asked, Any]" = field(factory=OrderedDict)
    prompts: list[tuple[str, str]] = field(factory=list)

    async def generate(self, request: Request) -> Response:
        """What the server gives, in the time that it takes; a planner's answer is the real one."""
        self.prompts.append((request.model.alias, request.prompt))
        response = await self.models.generate(request)
        given = self.functions.get(request.operation)
        return response if given is None else evolve(response, text=given(request))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """As the server does."""
        return await self.models.embed(request)

    def prompt_bound(self, request: Request) -> int:
        """As the server counts."""
        return self.models.prompt_bound(request)

    async def close(self) -> None:
        """Has nothing to let go."""

    def tool(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """A tool that takes its time, unless its result is kept."""
        import asyncio

        async def call(*arguments: object) -> Any:
            key = name, canonical(list(arguments))
            self.asked.add(key)
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
            self.made[key] += 1
            if key not in self.known:
                self.known[key] = self.functions[name](*arguments)
            result = self.known[key]
            await asyncio.sleep(self.times.seconds(name, key[1]))
            if self.keep:
                self.kept[key] = result
                if len(self.kept) > self.keep:
                    self.kept.popitem(last=False)
            return result

        return call

    def environment(self, plan: Plan) -> Environment:
        """The environment in which a plan meets this world."""
        tools = {each.name: self.tool(each.name) for each in plan.operations.values() if each.kind == "tool"}
        aliases = {each.model for each in plan.operations.values() if each.model}
        models = {
            alias: ModelSettings(alias, provider="world", prefix_cache=True, min_prefix_tokens=SERVER.block)
            for alias in aliases
        }
        return Environment(tools=tools, config=Config(models=models), providers={"world": self}, seed=7)


@frozen
class Ended:
    """A batch, ended: virtual seconds, and the real ones that it took to simulate."""

    world: World
    seconds: float
    real: float
    results: Sequence[object]
    servers: Mapping[str, Statistics]


def run(options: Options) -> Table:
    """A row for each graph, as it stands and at temperature 0, and without each pass that shares."""
    count = 60 if options.quick else RUNS
    chosen = [name for name in ("small", *halo.FILES) if not options.only or name in options.only]
    graphs = {name: graph for name in chosen if (graph := halo.graph_of(name)) is not None}
    rows = [row(name, graph, count, steady=each) for name, graph in graphs.items() for each in (False, True)]
    return Table("batches", f"Batches of {count:,} runs", tuple(rows), NOTE)


def row(name: str, graph: halo.HaloGraph, count: int, *, steady: bool) -> dict[str, object]:
    """What a batch comes to, beside its peers and itself without sharing."""
    program = graph.program.replace('")\nllm', '", temperature=0)\nllm') if steady else graph.program
    lines = halo.inputs(graph, count)
    runs = partial(batch, program, graph, lines, halo.functions(graph), {})
    ours = runs()
    beside = runs(without=SHARING, keep=RECENT)
    naive = runs(without=SHARING, keep=RECENT, width=1)
    without = {each: runs(without=(each,)) for each in SHARING}
    made, distinct = sum(ours.world.made.values()), len(beside.world.asked)
    least = max(longest(naive), *busiest(ours).values())
    return {
        "workload": f"{name} at 0" if steady else name,
        "runs": count,
        "made": made,
        "distinct": distinct,
        "made/distinct": round(made / distinct, 4),
        "made_without": sum(without["merge-calls"].world.made.values()),
        "model_calls": len(ours.world.prompts),
        "prefill/bound": round(prefilled(ours) / bound(ours), 4),
        "bar": BAR_PREFILL,
        "prefill_without": round(prefilled(without["share-prefix"]) / bound(without["share-prefix"]), 4),
        "runs/s": round(count / ours.seconds, 3),
        "gain_naive": round(naive.seconds / ours.seconds, 2),
        "bar_gain": BAR_SPEED,
        "ceiling": round(naive.seconds / least, 2),
        "gain_side_by_side": round(beside.seconds / ours.seconds, 2),
        "gain_merging": round(without["merge-calls"].seconds / ours.seconds, 2),
        "real_s": round(ours.real, 1),
    }


def batch(
    program: str,
    graph: halo.HaloGraph,
    lines: Sequence[Mapping[str, object]],
    functions: Mapping[str, Callable[..., Any]],
    known: dict[Asked, Any],
    *,
    without: Sequence[str] = (),
    keep: int = 0,
    width: int = WIDTH,
) -> Ended:
    """One batch in virtual time."""
    names = [each.name for each in PIPELINES["O2"] if each.name not in without]
    compiled = compile_text(program, "batch.flow", options=Compiling(pipeline=",".join(names), native=False))
    world = World(Times(halo.means(graph)), functions, keep, known)
    loaded = load(compiled.plan, world.environment(compiled.plan))
    loop = VirtualLoop()
    begun = time.perf_counter()
    try:
        results = loop.run_until_complete(run_many(loaded, "main", lines, width=width))
        seconds = loop.time()
        hosts = world.models.hosts[loop]
    finally:
        loop.close()
    for each in results:
        if not isinstance(each, RunResult) or each.status != "ok":
            raise RuntimeError(f"a run of the batch ended so: {each}")
    servers = {alias: host.server.statistics for alias, host in hosts.items()}
    return Ended(world, seconds, time.perf_counter() - begun, results, servers)


def prefilled(ended: Ended) -> int:
    """Prompt tokens that the servers computed."""
    return sum(each.prefilled for each in ended.servers.values())


def bound(ended: Ended) -> int:
    """Prompt tokens that cannot be avoided: see the note."""
    blocks: set[tuple[str, int]] = set()
    tails = 0
    for alias, prompt in ended.world.prompts:
        tokens = (len(prompt.encode()) + 3) // 4
        full = tokens // SERVER.block
        blocks |= {(alias, each) for each in block_ids(prompt, SERVER.block)[:full]}
        tails += max(1, tokens - full * SERVER.block)
    return len(blocks) * SERVER.block + tails


def busiest(ended: Ended) -> dict[str, float]:
    """Seconds that each server needs for its work at full batches; a prefill gives the first token."""
    token = SERVER.iteration / SERVER.max_batch + SERVER.per_sequence
    needed: dict[str, float] = {}
    for alias, each in ended.servers.items():
        prefill = each.jobs * SERVER.prefill + each.prefilled * SERVER.per_prompt_token
        needed[alias] = prefill + (each.decoded - each.jobs) * token
    return needed


def longest(naive: Ended) -> float:
    """Seconds of the longest run alone."""
    return max(each.wall_ms for each in naive.results if isinstance(each, RunResult)) / 1e3
