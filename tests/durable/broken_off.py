"""Runs that are broken off, looked at, and taken up by others: what tests of replays and forks share."""

from collections.abc import Iterator

import pytest
from attrs import evolve

from flowc.runtime.durable import runs
from flowc.runtime.environment import Environment
from flowc.runtime.journal.writer import Writer
from tests.durable import crashing
from tests.durable.crashing import RUN, Fuse, Machine, bound, ending_of
from tests.durable.programs import Program
from tests.durable.simulated import compiled
from tests.durable.world import World


def whole(program: Program) -> Machine:
    """A run that has come to its end."""
    machine = Machine(compiled(program), program.arguments, program.answers)
    ending_of(machine)
    return machine


def broken_off(program: Program, places: range) -> Iterator[Machine]:
    """Runs whose first process has died with one of these records, or stopped before."""
    for place in places:
        machine = Machine(compiled(program), program.arguments, program.answers, fuses=[Fuse(place, True)])
        machine.process()
        machine.store = machine.store.crashed()
        if machine.store.rows():
            yield machine


def surroundings(machine: Machine, world: World | None = None) -> Environment:
    """What a replay runs in."""
    return evolve((world or World()).environment(4), kernels=bound(machine.compiled))


def journal_of(machine: Machine) -> runs.Journal:
    """The journal of a machine, for what is done to its runs from outside."""
    return runs.Journal(machine.store, Writer(machine.store))


def records_of(machine: Machine, run: str = RUN) -> int:
    """How many records a run has."""
    return runs.past_of(machine.store, run).records


def taken_up(machine: Machine, run: str, patch: pytest.MonkeyPatch) -> Machine:
    """Another run of the machine's journal, which goes on in a world of its own."""
    patch.setattr(crashing, "RUN", run)
    return Machine(
        machine.compiled, machine.arguments, machine.answers, world=World(), store=machine.store.crashed()
    )
