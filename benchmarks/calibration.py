"""What the machine gives to straight loops in C, measured in the same run: bandwidths and arithmetic."""

import sys
from collections.abc import Mapping

from benchmarks.rounds import Command, Options, interleave, started

ELEMENTS = 1 << 25


def measure(options: Options, threads: int) -> Mapping[str, float]:
    """Bytes a second read, copied, and of the triad, and operations a second; empty without a C compiler."""
    arguments = (str(threads), str(ELEMENTS // 64 if options.quick else ELEMENTS))
    command = Command(sys.executable, "benchmarks.floors.child", arguments, threads)
    problems: list[str] = []
    with started([command], 120, lambda _, why: problems.append(why)) as workers:
        interleave(workers, 1 if options.quick else 3, 0.02 if options.quick else 0.3, options.patience)
        return {
            name: float(worker.facts[name]) / options.estimate(samples)
            for worker in workers
            for name, samples in worker.samples.items()
        }
