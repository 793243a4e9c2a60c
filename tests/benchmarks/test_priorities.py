"""Compiled priorities against first come, first served, on programs of the benchmark."""

import pytest

from benchmarks.priorities import FIFO, generated, makespans, plan_of
from flowc.runtime.admission.calls import FULL


@pytest.mark.parametrize("runs", [0, 2, 50])
def test_no_program_loses_a_twentieth_to_first_come_first_served(runs: int) -> None:
    ratios = []
    for seed in range(6):
        program = generated(seed)
        ours = sum(makespans(plan_of(program, runs), program, FULL))
        ratios.append(ours / sum(makespans(plan_of(program, 0), program, FIFO)))
    assert max(ratios) <= 1.05
    assert sum(ratios) / len(ratios) < 1.0
