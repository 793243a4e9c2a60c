"""Agents of many turns before one server with a finite cache: programs completed a second.

The peer asks as it goes: the server takes requests first come, first served, and evicts what was used least
recently. flowc asks the same of the same server, and lets programs in such that their contexts stay cached.
"""

import asyncio
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from attrs import evolve, frozen

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.compiler.driver import compile_text
from flowc.runtime.admission.calls import FULL, Policy
from flowc.runtime.batch import run_many
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.providers.simulated.behaviour import Behaviour, Serving, Simulation
from flowc.runtime.providers.simulated.distributions import Family
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.providers.simulated.serving import Statistics
from flowc.runtime.randomness import seed_of
from flowc.runtime.result import RunResult

PROGRAM = Path(__file__).parent / "programs" / "multi_turn.flow"
BAR = 1.5
AT_ONCE = 64
PROGRAMS = 128
SEED = 7
TURNS = 5, 12
ANSWER = Family(90, "gamma", 4.0)
"""Tokens of an answer."""
FOUND = Family(1_500, "gamma", 2.0)
"""Tokens of what a tool finds."""
GAP = Family(1.5, "gamma", 2.0)
"""Seconds of a tool."""
CAPACITIES = 65_536, 98_304, 196_608, 262_144, 393_216, 786_432
"""Tokens that the cache holds."""
NOTE = f"""\
Virtual time; {PROGRAMS} programs, {AT_ONCE} at once, of {TURNS[0]} to {TURNS[1]} turns, with the same calls,
tokens, latencies and seed for both. FCFS is the server's own queue with eviction of what was used least
recently. `hits` is the share of prompt tokens found in the cache. Where the cache holds the contexts of all
programs at once, there is nothing to gain; where it holds a handful, the server decodes for few at a time.
`no_x` is the gain with that rule left out: all programs of this workload are alike, so rank and age decide
nothing in it."""


@frozen
class Served:
    """What the programs came to: virtual seconds, what the server did, and how long the programs took."""

    seconds: float
    programs: int
    statistics: Statistics
    latencies: tuple[float, ...]
    answers: tuple[object, ...]

    @property
    def rate(self) -> float:
        """Programs completed a second."""
        return self.programs / self.seconds

    @property
    def hits(self) -> float:
        """The share of prompt tokens that the cache held."""
        known = self.statistics
        return known.cached / (known.cached + known.prefilled)


def run(options: Options) -> Table:
    """A row for each capacity."""
    rows = tuple(row(capacity, 24 if options.quick else PROGRAMS) for capacity in CAPACITIES)
    return Table("multi_turn", "Agents of many turns under pressure on the cache", rows, NOTE)


def row(capacity: int, programs: int = PROGRAMS) -> Row:
    """Both at one capacity of the cache."""
    peer = served(capacity, programs, None)
    ours = served(capacity, programs, FULL)
    without = {
        "no_age": Policy(age=False),
        "no_rank": Policy(rank=False),
        "no_residency": Policy(residency=False),
    }
    return {
        "cache": capacity,
        "programs": programs,
        "fcfs_programs/s": round(peer.rate, 3),
        "flowc_programs/s": round(ours.rate, 3),
        "gain": round(ours.rate / peer.rate, 2),
        "bar": BAR,
        "fcfs_hits": round(peer.hits, 3),
        "flowc_hits": round(ours.hits, 3),
        **{
            name: round(served(capacity, programs, policy).rate / peer.rate, 2)
            for name, policy in without.items()
        },
    }


def served(capacity: int, programs: int, policy: Policy | None, at_once: int = AT_ONCE) -> Served:
    """The programs under a policy; None is the peer, which lets all of them ask as they go."""
    serving = Serving(kv_tokens=capacity)
    behaviour = Behaviour(lengths=ANSWER, server=serving)
    server = Simulated(SEED, behaviour, Simulation(behaviour))
    model = ModelSettings("agent", provider="server")
    if policy is not None:
        model = evolve(model, kv_tokens=capacity, max_in_flight=serving.max_batch)
    environment = Environment(
        config=Config(models={"agent": model}),
        providers={"server": server},
        tools={"look_up": look_up},
        seed=SEED,
        policy=policy or FULL,
    )
    loop = VirtualLoop()
    try:
        loaded = load(plan(), environment)
        results = loop.run_until_complete(run_many(loaded, "main", arguments(programs), width=at_once))
        seconds = loop.time()
        statistics = server.hosts[loop]["agent"].server.statistics
    finally:
        loop.close()
    ended = [each for each in results if isinstance(each, RunResult) and each.status == "ok"]
    if len(ended) != programs:
        raise RuntimeError(f"a program did not end well: {results[:3]}")
    latencies = tuple(each.wall_ms / 1e3 for each in ended)
    return Served(seconds, programs, statistics, latencies, tuple(each.result for each in ended))


@cache
def plan() -> Plan:
    """The agent, compiled."""
    return compile_text(PROGRAM.read_text("utf-8"), PROGRAM.name).plan


def arguments(programs: int) -> list[Mapping[str, object]]:
    """A task and a number of turns for each program."""
    return [
        {"task": task, "turns": random.Random(seed_of(SEED, "turns", task)).randint(*TURNS)}
        for task in range(programs)
    ]


async def look_up(action: str, task: int, turn: int) -> str:
    """Something found after a while; both depend on the task and the turn alone."""
    chance = random.Random(seed_of(SEED, "look_up", task, turn))
    await asyncio.sleep(GAP.sample(chance))
    words = max(1, round(FOUND.sample(chance) / 2))
    return " ".join(f"{chance.randrange(10**7):07d}" for _ in range(words))
