"""What the benchmark of the passes shows is counted in virtual time, so it can be held."""

import pytest
from attrs import astuple

from benchmarks.pass_programs import CASES, Case
from benchmarks.passes import figures


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.removed)
def test_each_pass_saves_calls_nodes_or_time_in_the_program_that_shows_it(case: Case) -> None:
    with_it = figures(case.body, (), case.level)
    without = figures(case.body, (case.removed,), case.level)
    assert with_it.wall <= without.wall
    if case.level == "O2":  # what starts ahead of time, or twice, buys time with calls
        assert with_it.calls <= without.calls
    if case.level == "O2" and case.removed != "parallelise":  # which buys time with nodes
        assert all(figure <= other for figure, other in zip(astuple(with_it), astuple(without), strict=True))
    assert with_it != without
