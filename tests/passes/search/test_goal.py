"""How plans compare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.search.goal import FIGURES, Goal, Sample, Score, dominates, is_better, pareto, rank, score

amounts = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 1e-9, 1e9]) | st.floats(0, 1e6)
samples = st.builds(Sample, amounts, amounts, amounts)


@st.composite
def scores(draw: st.DrawFn) -> Score:
    means = {name: draw(amounts) for name in FIGURES}
    return Score(means, means, 4, draw(st.sampled_from([0, 0, 1, 4])))


@given(st.lists(scores(), max_size=8))
def test_the_front_is_what_no_feasible_plan_dominates(found: list[Score]) -> None:
    front = pareto(found)
    kept = [found[place] for place in front]
    assert all(each.feasible for each in kept)
    assert not any(dominates(one, other) for one in kept for other in kept)
    for each in found:
        if each.feasible and each not in kept:
            assert any(dominates(one, each) or rank(Goal(), one) == rank(Goal(), each) for one in kept)


@given(st.lists(samples, min_size=6, max_size=16), st.sampled_from(sorted(FIGURES)))
def test_no_plan_is_better_than_itself(found: list[Sample], objective: str) -> None:
    assert not is_better(Goal(objective), found, found)


@given(st.lists(samples, min_size=6, max_size=16), st.lists(samples, min_size=16, max_size=16))
def test_of_two_plans_at_most_one_is_better(mine: list[Sample], others: list[Sample]) -> None:
    theirs = others[: len(mine)]
    assert not (is_better(Goal(), mine, theirs) and is_better(Goal(), theirs, mine))


def test_a_gain_that_chance_explains_is_none() -> None:
    theirs = [Sample(10.0 + offset, 0.0, 0.0) for offset in (0, 0, 0, 0, 0, 0)]
    lucky = [Sample(time, 0.0, 0.0) for time in (1.0, 12.0, 11.0, 12.0, 11.5, 12.0)]
    steady = [Sample(9.0, 0.0, 0.0)] * 6
    assert not is_better(Goal(), lucky, theirs)
    assert is_better(Goal(), steady, theirs)
    assert not is_better(Goal(), [Sample(9.99, 0.0, 0.0)] * 6, theirs)


def test_a_run_breaks_a_bound_where_it_takes_more_or_fails_as_the_usual_plan_does_not() -> None:
    goal = Goal("time", {"money": 0.5})
    usual = [Sample(1.0, 0.1, 10), Sample(1.0, 0.1, 10, "E0711"), Sample(1.0, 0.1, 10, "E0723")]
    same = score(goal, usual, usual, {"E0723"})
    assert (same.broken, same.reasons) == (1, ("E0723",))
    mine = [Sample(1.0, 0.6, 10, "E0820"), Sample(1.0, 0.1, 10, "E0711"), Sample(1.0, 0.1, 10)]
    found = score(goal, mine, usual, {"E0723"})
    assert (found.broken, found.reasons) == (1, ("money", "E0820"))
    assert not found.feasible


def test_plans_that_break_fewer_bounds_come_first_whatever_they_take() -> None:
    fast = Score({"time": 1.0, "money": 1.0, "tokens": 1.0}, {}, 4, 1)
    slow = Score({"time": 9.0, "money": 9.0, "tokens": 9.0}, {}, 4, 0)
    assert rank(Goal(), slow) < rank(Goal(), fast)
    assert rank(Goal("money"), slow)[1] == 9.0


def test_an_objective_is_one_of_the_figures() -> None:
    with pytest.raises(ValueError, match="no objective"):
        Goal("speed")
