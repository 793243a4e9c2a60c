"""Generated programs on the real scheduler in virtual time: calls by compiled priority, or as they come.

A program is a graph of calls of a few operations, or chains of different lengths, that wait for a few places.
Its operations take times that differ, which the compiler knows from no run, from two or from many. The same
calls take the same times whatever their order, so that only the order differs.
"""

import math
import random
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.compiler.backends.plan import to_plan
from flowc.compiler.driver import Options as How
from flowc.compiler.driver import check_text, lowered
from flowc.passes.cost.call_model import shrunk
from flowc.passes.cost.learned import keep_expectations
from flowc.passes.pipelines import PIPELINES, optimise
from flowc.runtime.admission.calls import FULL, Policy
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run_plan
from flowc.runtime.expectations import AnswerLaw, CallExpectation, Expectations, Quantiles, TimeLaw
from flowc.runtime.expected import UNSURE
from flowc.runtime.plan import Plan
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.providers.simulated.behaviour import PLAIN, Simulation
from flowc.runtime.providers.simulated.distributions import Family
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.randomness import seed_of

FIFO = Policy(rank=False, age=False)
PROGRAMS = 60
DRAWS = 5
"""Runs of a program, each with other times of its calls."""
RUNS = {"by structure": 0, "by two runs": 2, "by fifty runs": 50}
SPREAD = 0.5
"""The standard deviation of the logarithm of what calls of one operation take."""
APART = 1.0
"""The same between operations."""
USUAL = 2.0
"""Seconds."""
NOTE = f"""\
{PROGRAMS} programs of 8 to 60 calls at 2, 3, 4 and 8 places; of each {DRAWS} runs with other times of calls.
`mean` is the geometric mean over all programs of the makespan over that of first come, first served, `worst
program` the largest where a program counts by the sum of its runs, `worst run` that of a single run: even the
true mean times order one run of a small program worse than chance at times. `lost` counts programs more than
5 % slower."""


@frozen
class Program:
    """A program, the mean seconds of its operations, and how many of its calls run at once."""

    text: str
    means: dict[str, float]
    places: int
    seed: int


def run(options: Options) -> Table:
    """A row for what is known of the times."""
    programs = [generated(seed) for seed in range(PROGRAMS // 6 if options.quick else PROGRAMS)]
    first = [makespans(plan_of(each, 0), each, FIFO) for each in programs]
    rows = tuple(_row(name, runs, programs, first) for name, runs in RUNS.items())
    return Table("priorities", "Programs by priority, over first come, first served", rows, NOTE)


def _row(name: str, runs: int, programs: Sequence[Program], first: Sequence[Sequence[float]]) -> Row:
    found = [makespans(plan_of(each, runs), each, FULL) for each in programs]
    ratios = [sum(ours) / sum(theirs) for ours, theirs in zip(found, first, strict=True)]
    single = [
        one / other
        for ours, theirs in zip(found, first, strict=True)
        for one, other in zip(ours, theirs, strict=True)
    ]
    return {
        "times known": name,
        "mean": f"{math.exp(sum(map(math.log, ratios)) / len(ratios)):.4f}",
        "worst program": f"{max(ratios):.3f}",
        "lost": sum(ratio > 1.05 for ratio in ratios),
        "best program": f"{min(ratios):.3f}",
        "worst run": f"{max(single):.3f}",
    }


def generated(seed: int) -> Program:
    """A program by chance."""
    chance = random.Random(seed_of("priorities", seed))
    count = chance.choice([2, 4, 8])
    operations = [f"op{number}" for number in range(count)]
    body = _chains(chance, operations) if seed % 2 else _graph(chance, operations)
    declared = "".join(
        f'@model("m")\nllm {name}(a: str, b: str) -> str:\n    """What of {{a}} and {{b}}, {name}?"""\n\n'
        for name in operations
    )
    means = {name: USUAL * math.exp(chance.gauss(0.0, APART)) for name in operations}
    return Program(declared + body, means, chance.choice([2, 3, 4, 8]), seed)


def _graph(chance: random.Random, operations: Sequence[str]) -> str:
    """Calls of which each reads up to two of those before it."""
    calls, near = chance.choice([8, 12, 20, 40]), chance.choice([3, 8, 20, 40])
    lines, read = [], set[int]()

    def earlier(number: int) -> str:
        if not number or chance.random() < 0.15:
            return "q"
        found = chance.randrange(max(0, number - near), number)
        read.add(found)
        return f"v{found}"

    for number in range(calls):
        given = f'{earlier(number)}, {earlier(number)} + "{number}"'
        lines.append(f"    v{number} = {chance.choice(operations)}({given})\n")
    ends = [f"v{number}" for number in range(calls) if number not in read]
    return f"flow main(q: str) -> list[str]:\n{''.join(lines)}    return [{', '.join(ends)}]\n"


def _chains(chance: random.Random, operations: Sequence[str]) -> str:
    """Chains of calls, most of them short."""
    lines, ends, number = [], [], 0
    for _ in range(chance.choice([4, 6, 10, 20])):
        last = "q"
        for _ in range(chance.choice([1, 1, 2, 3, 5, 8])):
            lines.append(f'    v{number} = {chance.choice(operations)}({last}, "{number}")\n')
            last, number = f"v{number}", number + 1
        ends.append(last)
    return f"flow main(q: str) -> list[str]:\n{''.join(lines)}    return [{', '.join(ends)}]\n"


def plan_of(program: Program, runs: int) -> Plan:
    """The plan, compiled with what so many runs have shown."""
    module = lowered(check_text(program.text, "main.flow", folder=Path()), How(native=False))
    if runs:
        keep_expectations(module, learned(program, runs))
    optimise(module, PIPELINES["O2"], verify=False)
    return to_plan(module, source="main.flow", optimisation=2)[0]


def learned(program: Program, runs: int) -> Expectations:
    """What the times of one call of each operation a run teach."""
    chance = random.Random(seed_of("runs", program.seed))
    calls: dict[str, tuple[CallExpectation, ...]] = {}
    for name, mean in program.means.items():
        family = Family(mean, "lognormal", SPREAD)
        times = [math.log(family.sample(chance)) for _ in range(runs)]
        found = shrunk(times, UNSURE.times(USUAL))
        answer = AnswerLaw(Quantiles(1.0, 1.0, 1.0, runs))
        calls[name] = (CallExpectation("simulated", "", answer=answer, factor=found, samples=runs),)
    law = TimeLaw("m", "simulated", "", 1.0, 0.0, 0.0, spread=Quantiles(1.0, 1.0, 1.0, runs))
    return Expectations(calls, (law,))


def makespans(plan: Plan, program: Program, policy: Policy) -> list[float]:
    """The milliseconds of a program, run by run."""
    return [_makespan(plan, program, policy, draw) for draw in range(DRAWS)]


def _makespan(plan: Plan, program: Program, policy: Policy, draw: int) -> float:
    llms = {name: Family(mean, "lognormal", SPREAD) for name, mean in program.means.items()}
    seed = seed_of("draw", program.seed, draw)
    model = ModelSettings("m", provider="simulated", max_in_flight=program.places)
    environment = Environment(
        config=Config(models={"m": model}),
        providers={"simulated": Simulated(seed, PLAIN, Simulation(llms=llms))},
        seed=seed,
        policy=policy,
    )
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(run_plan(plan, "main", {"q": "what"}, environment=environment))
    finally:
        loop.close()
    if result.status != "ok":
        raise RuntimeError(f"a program did not end well: {result.problem}")
    return result.wall_ms
