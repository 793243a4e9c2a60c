"""Chains of dependent calls among single calls: how long the chains take on a server that is nearly busy.

The peer hands each request to the server as it comes, and the server takes them first come, first served.
flowc keeps them at its gate, as many in flight as the server decodes at once, and lets the longest remaining
path go first.
"""

import asyncio
import random
import statistics
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from attrs import evolve, frozen

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.compiler.driver import compile_text
from flowc.runtime.admission.calls import FULL, Policy
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load, run_plan
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.providers.simulated.behaviour import Behaviour, Serving, Simulation
from flowc.runtime.providers.simulated.distributions import Family
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.randomness import seed_of

PROGRAM = Path(__file__).parent / "programs" / "chain.flow"
BAR = 0.7
SEED = 7
CHAINS = 24
SINGLES = 1_200
ANSWER = Family(150, "gamma", 4.0)
"""Tokens of an answer."""
SERVING = Serving(max_batch=16)
CAPACITY = 11.0
"""Calls a second that this server answers at full batches, about: a batch of tokens over an iteration."""
LOADS = 0.9, 1.0, 1.1, 1.25
IDLE = 0.02
"""A load under which nobody waits."""
NOTE = f"""\
Virtual time; {CHAINS} chains of 8 calls and {SINGLES:,} single calls, arriving by chance at `load` times what
the server can answer, the same for both. `chain` is the mean latency of a chain in seconds, `alone` that
without background, below which no policy comes, `single` that of a single call, `rate` the calls a second
until all are answered. `no_x` is the ratio with that rule left out."""


@frozen
class Observed:
    """Latencies of the chains and of the single calls, and calls a second, in virtual time."""

    chains: Sequence[float]
    singles: Sequence[float]
    rate: float

    @property
    def chain(self) -> float:
        """The mean latency of a chain."""
        return statistics.fmean(self.chains)

    @property
    def single(self) -> float:
        """The mean latency of a single call."""
        return statistics.fmean(self.singles)


def run(options: Options) -> Table:
    """A row for each load."""
    share = 0.25 if options.quick else 1.0
    rows = tuple(row(load, share) for load in LOADS)
    return Table("critical_chain", "Chains of calls under background load", rows, NOTE)


def row(load: float, share: float = 1.0) -> Row:
    """Both under one load."""
    peer = observed(load, None, share)
    ours = observed(load, FULL, share)
    without = {"no_rank": Policy(rank=False), "no_age": Policy(age=False)}
    return {
        "load": load,
        "alone_s": round(observed(IDLE, None, share).chain, 2),
        "fcfs_chain_s": round(peer.chain, 2),
        "flowc_chain_s": round(ours.chain, 2),
        "flowc/fcfs": round(ours.chain / peer.chain, 3),
        "bar": BAR,
        "fcfs_single_s": round(peer.single, 2),
        "flowc_single_s": round(ours.single, 2),
        "fcfs_rate": round(peer.rate, 2),
        "flowc_rate": round(ours.rate, 2),
        **{
            name: round(observed(load, policy, share).chain / peer.chain, 3)
            for name, policy in without.items()
        },
        "neither": round(observed(load, Policy(rank=False, age=False), share).chain / peer.chain, 3),
    }


def observed(load: float, policy: Policy | None, share: float = 1.0) -> Observed:
    """What the programs take under a policy; None is the peer, which lets all of them ask as they go."""
    behaviour = Behaviour(lengths=ANSWER, server=SERVING)
    model = ModelSettings("agent", provider="server")
    if policy is not None:
        model = evolve(model, max_in_flight=SERVING.max_batch)
    environment = Environment(
        config=Config(models={"agent": model}),
        providers={"server": Simulated(SEED, behaviour, Simulation(behaviour))},
        seed=SEED,
        policy=policy or FULL,
    )
    loop = VirtualLoop()
    try:
        chains, singles = loop.run_until_complete(_served(_loaded(environment), load, share))
        seconds = loop.time()
    finally:
        loop.close()
    return Observed(chains, singles, (8 * len(chains) + len(singles)) / seconds)


async def _served(loaded: Loaded, load: float, share: float) -> tuple[list[float], list[float]]:
    chains, singles = round(CHAINS * share), round(SINGLES * share)
    seconds = (8 * chains + singles) / (load * CAPACITY)
    chance = random.Random(seed_of(SEED, "arrivals"))
    arrivals = [("chain", chance.random() * seconds) for _ in range(chains)]
    arrivals += [("single", chance.random() * seconds) for _ in range(singles)]

    async def one(number: int, flow: str, time: float) -> tuple[str, float]:
        await asyncio.sleep(time)
        result = await run_plan(loaded, flow, {"task": number}, number=number)
        if result.status != "ok":
            raise RuntimeError(f"a program did not end well: {result.problem}")
        return flow, result.wall_ms / 1e3

    ended = await asyncio.gather(*(one(number, *arrival) for number, arrival in enumerate(arrivals)))
    return [took for flow, took in ended if flow == "chain"], [
        took for flow, took in ended if flow == "single"
    ]


def _loaded(environment: Environment) -> Loaded:
    return load(plan(), environment)


@cache
def plan() -> Plan:
    """The programs, compiled."""
    return compile_text(PROGRAM.read_text("utf-8"), PROGRAM.name).plan
