"""One number says all: a run in virtual time is the same again, byte for byte, wherever it dies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from flowc.compiler.driver import compile_text
from tests.durable.crashing import Fuse, Machine, Setting
from tests.durable.simulated import YEAR, digest, life, records
from tests.durable.world import HEADER

LONG = settings.get_current_profile_name() == "long"
SEEDS = 5000 if LONG else 200
PART = 25


@pytest.mark.alike(2)
@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_a_seed_gives_the_same_journal_again(first: int) -> None:
    for seed in range(first, first + PART):
        one, other = life(seed), life(seed)
        assert records(one) == records(other), seed
        assert (one.statuses, one.world.effects) == (other.statuses, other.world.effects), seed


def test_another_process_gives_the_same_journal() -> None:
    seeds = 7, 7 + PART
    there = subprocess.run(
        [sys.executable, "-m", "tests.durable.simulated", *map(str, seeds)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "4"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout == digest(range(*seeds))


def test_seeds_differ() -> None:
    assert len({tuple(records(life(seed))) for seed in range(20)}) == 20


# ---- clocks that are off


NAPS = """
flow main(n: int) -> int:
    a = put(n)
    with timeout(3h):
        sleep(1h)
        b = put(a)
    sleep(30s)
    return b
"""
HASTY = """
flow stuck(n: int) -> int:
    for i in range(500):
        n = slow(n)
    return put(n)

@timeout(5s)
flow hasty(n: int) -> int:
    return stuck(n)

flow main(n: int) -> int:
    return try hasty(n) else put(7)
"""


@pytest.mark.alike(5)
@pytest.mark.parametrize("first", [0.0, YEAR, -YEAR])
@pytest.mark.parametrize("second", [0.0, YEAR, -YEAR])
@pytest.mark.parametrize("third", [0.0, YEAR, -YEAR])
def test_a_sleep_ends_however_the_clocks_jump(first: float, second: float, third: float) -> None:
    jumps = tuple(Setting(0, jump) for jump in (first, second, third, 0.0))
    machine = Machine(compile_text(HEADER + NAPS, "naps.flow"), {"n": 1}, {}, settings=jumps)
    begun = machine.world.now
    result = machine.last()
    assert result.status == "ok" or (result.problem is not None and result.problem.code == "E0714")
    assert machine.world.now - begun <= 4 * 3600.0 + 60.0
    assert machine.processes <= 12


@pytest.mark.parametrize("jump", [YEAR, -YEAR, 2.0, -2.0])
def test_a_deadline_holds_however_the_clock_jumps(jump: float) -> None:
    compiled = compile_text(HEADER + HASTY, "hasty.flow")
    jumps = Setting(), Setting(0, jump), Setting(0, jump)
    for place in (3, 20, 40):
        machine = Machine(compiled, {"n": 1}, {}, settings=jumps, fuses=[Fuse(place, True)])
        begun = machine.world.now
        assert machine.last().result == 71
        assert machine.world.now - begun <= 5.0 * machine.processes + 1.0
