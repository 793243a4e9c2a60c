"""Memory, descriptors, threads, tasks and processes over a long time: none of them may grow."""

import asyncio
import contextlib
import gc
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from attrs import evolve, frozen

from benchmarks.measure import Table
from benchmarks.rounds import Options
from benchmarks.soak.programs import DECLARED, FLOWS, Moody, tools
from flowc.cli.loading import load_text
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load, run_plan
from flowc.runtime.providers.base import ModelSettings

WIDTH, CALLS = 6, 5
"""Runs at once, and about how many calls each of them makes."""

CANCELLED = 0.1
"""The share of the runs that are cancelled somewhere."""

EVERY = 0.25
"""Seconds between two samples, in a short soak; at least one in four hundred parts of a long one."""

WARM = 0.4
"""The share of the time that what fills once may take: caches, pools, the allocator's."""

WINDOWS = 12
"""Into so many windows the samples are divided."""

SETTLING = 10.0
"""Seconds that what was given up may take to end."""

BARS = {"memory_MB": 8.0, "descriptors": 3.0, "threads": 16.0, "tasks": 8.0, "processes": 2.0}
"""How much each may grow over all the time: more than the noise of a busy machine, less than any leak."""


@frozen
class Sample:
    """What the process has at one moment."""

    at: float
    memory_MB: float
    descriptors: int
    threads: int
    tasks: int
    processes: int


@frozen
class Soaked:
    """What was seen: how the runs ended, the samples, and what the process has before and behind them all."""

    endings: Counter[str]
    samples: tuple[Sample, ...]
    before: Sample
    behind: Sample

    def growth(self, name: str) -> float:
        """How much a figure grew, by a straight line through the least of each window but the first: there
        what comes and goes with the load is left out, and what stays is not.
        """
        samples = self.samples[int(len(self.samples) * WARM) :]
        size = max(1, len(samples) // WINDOWS)
        windows = [samples[start : start + size] for start in range(0, len(samples) - size + 1, size)]
        return growth([(each[0].at, min(float(getattr(one, name)) for one in each)) for each in windows])


def growth(points: Sequence[tuple[float, float]]) -> float:
    """How much a line through points rises from the first to the last. It has the median of all slopes, which
    single outliers do not move (Theil, 1950).
    """
    at, seen = (np.array(column) for column in zip(*points, strict=True))
    first, second = np.triu_indices(len(points), 1)
    return float(np.median((seen[second] - seen[first]) / (at[second] - at[first])) * (at[-1] - at[0]))


def run(options: Options) -> Table:
    """A row for each figure: where it begins and ends, and how much it grows."""
    seconds = options.seconds or (10.0 if options.quick else 60.0)
    soaked = asyncio.run(soak(seconds, seed=1))
    rows = []
    for name, bar in BARS.items():
        seen = [getattr(each, name) for each in soaked.samples]
        rows.append(
            {
                "what": name.replace("_", " "),
                "least": round(min(seen), 1),
                "most": round(max(seen), 1),
                "growth": round(soaked.growth(name), 2),
                "bar": bar,
            }
        )
    ended = ", ".join(f"{count:,} {status}" for status, count in soaked.endings.most_common())
    return Table("soak", f"A soak of {seconds:,.0f} s", tuple(rows), f"Runs: {ended}.")


async def soak(seconds: float, seed: int) -> Soaked:
    """Runs programs for so long, some at a time, and looks at the process meanwhile."""
    chance = random.Random(seed)
    model = ModelSettings("moody", "moody", max_in_flight=32)
    config = Config(models={"moody": model, "default": model})
    environment = Environment(config=config, providers={"moody": Moody(chance)}, tools=tools(chance))
    compiled = [load_text(DECLARED + flow, "main.flow", 2) for flow in FLOWS.values()]
    programs = [load(each.plan, evolve(environment, kernels=each.kernels)) for each in compiled]
    endings: Counter[str] = Counter()
    before = _sample()
    until = time.monotonic() + seconds
    workers = [asyncio.create_task(_work(programs, chance, until, endings)) for _ in range(WIDTH)]
    samples: list[Sample] = []
    pause = max(EVERY, seconds / 400)
    while time.monotonic() < until:
        await asyncio.sleep(pause)
        samples.append(_sample())
    await asyncio.gather(*workers)
    return Soaked(endings, tuple(samples), before, await _settled(before))


async def _settled(before: Sample) -> Sample:
    """What the process has when all has ended, as soon as that is no more than before; processes and tasks
    that were given up take a moment to end.
    """
    until = time.monotonic() + SETTLING
    while True:
        sample = _sample()
        if time.monotonic() > until or (
            sample.tasks <= before.tasks and sample.processes <= before.processes
        ):
            return sample
        await asyncio.sleep(0.05)


async def _work(
    programs: Sequence[Loaded], chance: random.Random, until: float, endings: Counter[str]
) -> None:
    while time.monotonic() < until:
        loaded = chance.choice(programs)
        task = asyncio.create_task(run_plan(loaded, "main", {"count": chance.randrange(1, 2 * CALLS)}))
        if chance.random() < CANCELLED:
            await asyncio.sleep(chance.random() / 10)
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            endings[(await task).status] += 1
            continue
        endings["cancelled"] += 1


def _sample() -> Sample:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    tasks = [*Path("/proc/self/task").iterdir()]
    children = sum(len(_text(task / "children").split()) for task in tasks)
    return Sample(
        at=time.monotonic(),
        memory_MB=pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20),
        descriptors=len([*Path("/proc/self/fd").iterdir()]),
        threads=len(tasks),
        tasks=len(asyncio.all_tasks()),
        processes=children,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
