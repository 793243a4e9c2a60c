"""What the benchmark of the passes shows is counted in virtual time, so it can be held."""

import pytest

from benchmarks.passes import CASES, Case, figures


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.removed)
def test_each_pass_saves_calls_nodes_or_time_in_the_program_that_shows_it(case: Case) -> None:
    with_it = figures(case.body, ())
    without = figures(case.body, (case.removed,))
    assert all(figure <= other for figure, other in zip(with_it, without, strict=True))
    assert with_it != without
