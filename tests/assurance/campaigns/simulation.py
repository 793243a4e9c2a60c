"""Whole runs out of one number: processes that die, disks that fail, models that do, and clocks that are off.

What a run comes to, and what it does to the world, is what it would have come to undisturbed; and the same
number gives the same journal, byte for byte.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from attrs import define, evolve, frozen
from hypothesis import strategies as st

from flowc.compiler.driver import Compiled, compile_text
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.memory import NONE, Faults, MemoryStore
from flowc.runtime.journal.store import Segment
from flowc.runtime.providers.simulated.behaviour import PLAIN, Behaviour, Simulation
from tests.assurance.campaign import Campaign, Tally, examples
from tests.durable.crashing import Ending, Fuse, Machine, Setting, ending_of
from tests.durable.programs import PROGRAMS, Program
from tests.durable.simulated import JUMPS, records
from tests.durable.test_crashes import Drawn
from tests.durable.world import HEADER, World
from tests.passes.flow_text import programs


@frozen
class Story:
    """What happens to a run: after which records its processes die (and whether the record is kept), how far
    their clocks are off, which append the disk refuses, and how its models fail (None: they do not).
    """

    program: Program
    deaths: tuple[tuple[int, bool], ...] = ()
    jumps: tuple[float, ...] = ()
    disk: Faults = NONE
    models: Behaviour | None = None
    seed: int = 0

    def __repr__(self) -> str:
        told = f"{self.deaths=}, {self.jumps=}, {self.disk=}, {self.models=}, {self.seed=}"
        return (
            f"{self.program.name}, -O{self.program.level}, {told.replace('self.', '')}\n{self.program.text}"
        )


@define(eq=False)
class Failing(World):
    """A world whose models are simulated."""

    models: Behaviour = PLAIN
    seed: int = 0

    def environment(self, threads: int) -> Environment:
        usual = super().environment(threads)
        config = Config(simulation=Simulation(behaviour=self.models))
        return evolve(usual, provider="simulated", providers={}, seed=self.seed, config=config)


class Disk(MemoryStore):
    """A disk that may refuse to write. Who writes ends with that: nobody knows what of it went down."""

    def __init__(self, world: World, faults: Faults) -> None:
        super().__init__(faults=faults, now=lambda: 0.0)
        self._world = world

    def append(self, segments: Sequence[Segment], blobs: Mapping[bytes, bytes], *, sync: bool) -> None:
        try:
            super().append(segments, blobs, sync=sync)
        except FlowError:
            self._world.dead = True
            raise


@define(eq=False)
class Helped(Machine):
    """A machine whose people have a disk that works: they have not yet told what it refuses to write."""

    def _tell(self, told: Sequence[tuple[str, str, Any]]) -> None:
        disk = self.store
        faults, disk._faults = disk._faults, NONE
        super()._tell(told)
        disk._faults = faults


@cache
def compiled(program: Program) -> Compiled:
    """Of the programs with names; those that are drawn come once."""
    return compile_text(HEADER + program.text, "program.flow", level=program.level)


def stories() -> st.SearchStrategy[Story]:
    """What may happen to the programs with names, and to drawn ones."""
    share = st.sampled_from((0.0, 0.0, 0.05, 0.3))
    named = st.sampled_from(PROGRAMS)
    drawn = st.builds(
        Program,
        st.just("drawn"),
        programs(),
        st.fixed_dictionaries({"n": st.integers(0, 4)}),
        level=st.sampled_from((0, 2, 3)),
    )
    deaths = st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=4).map(tuple)
    disks = st.one_of(st.just(NONE), st.builds(Faults, st.integers(1, 12), st.booleans()))
    jumps = st.lists(st.sampled_from(sorted({*JUMPS})), max_size=4).map(tuple)
    behaviours = st.builds(
        Behaviour, rate_limited=share, server_error=share, reset=share, wrong_schema=share, not_json=share
    )
    seeds = st.integers(0, 1 << 32)
    return st.one_of(
        st.builds(Story, named, deaths, disk=disks),
        st.builds(Story, named, deaths, jumps, disks, behaviours, seeds),
        st.builds(Story, drawn, deaths, disk=disks),
    )


def told(story: Story, compiled: Compiled) -> Machine:
    """The machine that a story happens to, not begun."""
    program = story.program
    world = World() if story.models is None else Failing(models=story.models, seed=story.seed)
    world = Drawn() if program.name == "drawn" else world
    return Helped(
        compiled,
        program.arguments,
        program.answers,
        world=world,
        store=Disk(world, story.disk),
        fuses=[Fuse(*each) for each in story.deaths],
        settings=tuple(Setting(0, jump) for jump in (*story.jumps, 0.0)),
    )


def check(story: Story, tally: Tally) -> None:
    """A story, told twice, and once without all that goes wrong."""
    program = story.program
    if program.name == "drawn":
        code = compile_text(program.text, "generated.flow", level=program.level)
    else:
        code = compiled(program)
    one, other = told(story, code), told(story, code)
    ending, again = ending_of(one), ending_of(other)
    tally.tried["runs"] += 2
    assert records(one) == records(other), "the same story gave another journal"
    assert (one.statuses, one.world.effects, ending) == (other.statuses, other.world.effects, again)
    if story.models is None:
        assert program.asks is None or one.world.asked <= program.asks, "more was asked than may be"
        assert program.tokens is None or one.world.tokens <= program.tokens, "more was spent than may be"
    if story.models is None and not program.loose:
        tally.tried["runs"] += 1
        compare(program, ending, ending_of(told(Story(program), code)))


def compare(program: Program, ending: Ending, wanted: Ending) -> None:
    """Of a drawn run that fails, what is unordered with the failed step may have happened or not."""
    loose: Mapping[str, object] = {"writes": {}, "value": None}
    if program.name == "drawn" and ending.status != "ok":
        ending, wanted = evolve(ending, **loose), evolve(wanted, **loose)
    assert ending == wanted, "it ended otherwise than undisturbed"


CAMPAIGN = Campaign("simulation", examples(stories(), check, 10))
