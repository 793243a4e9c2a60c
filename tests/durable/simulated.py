"""Whole lives of runs out of one number: which program, where it dies, how its clocks are off."""

import hashlib
import random
import sys
from collections.abc import Sequence
from functools import cache

from attrs import define, evolve

from flowc.compiler.driver import Compiled, compile_text
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.journal.frames import unframe
from flowc.runtime.providers.simulated.behaviour import Behaviour, Simulation
from tests.durable.crashing import Fuse, Machine, Setting
from tests.durable.programs import PROGRAMS, Program
from tests.durable.world import HEADER, RUN, World

YEAR = 366 * 86400.0
JUMPS = (0.0, 0.0, 0.0, 1.0, -1.0, 3600.0, -3600.0, YEAR, -YEAR)
UNRELIABLE = Simulation(
    behaviour=Behaviour(rate_limited=0.05, server_error=0.05, reset=0.05, wrong_schema=0.05)
)


@define(eq=False)
class Simulated(World):
    """A world whose models are simulated from a seed, and fail now and then."""

    seed: int = 0

    def environment(self, threads: int) -> Environment:
        usual = super().environment(threads)
        config = Config(simulation=UNRELIABLE)
        return evolve(usual, provider="simulated", providers={}, seed=self.seed, config=config)


@cache
def compiled(program: Program) -> Compiled:
    return compile_text(HEADER + program.text, "program.flow", level=program.level)


def life(seed: int) -> Machine:
    """A run that has come to its end."""
    chosen = random.Random(seed)
    program = chosen.choice(PROGRAMS)
    fuses = [Fuse(chosen.randint(1, 25), chosen.random() < 0.5) for _ in range(chosen.randint(0, 3))]
    settings = tuple(Setting(0, chosen.choice(JUMPS)) for _ in range(6))
    machine = Machine(
        compiled(program),
        program.arguments,
        program.answers,
        world=Simulated(seed=seed),
        fuses=fuses,
        settings=settings,
    )
    machine.last()
    return machine


def records(machine: Machine) -> list[bytes]:
    """The journal, byte for byte."""
    return [payload for _, payload in unframe(machine.store.segments(RUN))]


def digest(seeds: Sequence[int]) -> str:
    """What the journals, and the worlds, of many runs come to."""
    whole = hashlib.sha256()
    for seed in seeds:
        machine = life(seed)
        for segment in machine.store.segments(RUN):
            whole.update(segment.body)
        whole.update(repr((machine.statuses, machine.world.effects)).encode())
    return whole.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(digest(range(*map(int, sys.argv[1:]))))
