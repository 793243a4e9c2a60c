"""Policies: HEFT as published, an oracle that is never worse, priorities that shrink to first come."""

import itertools

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.passes.cost.task_samples import Traits
from flowc.passes.simulation import learned
from flowc.passes.simulation.cluster import Cluster, Worker, identical
from flowc.passes.simulation.graph import Task, TaskGraph, upward_ranks
from flowc.passes.simulation.heft import heft
from flowc.passes.simulation.learned import Learned
from flowc.passes.simulation.oracle import oracle
from flowc.passes.simulation.outcome import outcome
from flowc.passes.simulation.policies import POLICIES, Fixed, by_rank, fifo
from flowc.passes.simulation.simulator import simulate
from tests.passes.simulation.graphs import check, clusters, graph, graphs, workers


def alike(*tasks: tuple[float, list[int], str]) -> TaskGraph:
    """Tasks of seconds, parents and a category."""
    return TaskGraph(
        "alike",
        tuple(
            Task(f"t{place}", seconds, tuple(parents), traits=Traits(name))
            for place, (seconds, parents, name) in enumerate(tasks)
        ),
    )


@given(graphs(), clusters, st.sampled_from([None, 3.0]))
def test_a_plan_of_heft_is_legal(drawn: TaskGraph, cluster: Cluster, bandwidth: float | None) -> None:
    moved = TaskGraph(
        drawn.name, tuple(evolve(task, fetched=(6,) * len(task.parents)) for task in drawn.tasks)
    )
    check(heft(moved, evolve(cluster, bandwidth=bandwidth)), moved, cluster)


def test_heft_puts_a_short_task_into_a_gap_before_a_long_one() -> None:
    drawn = graph((4, []), (10, [0]), (3, []))
    plan = {each.task: each for each in heft(drawn, identical(1)).placements}
    assert [plan[task].start for task in (0, 1, 2)] == [0, 4, 14]
    wide = TaskGraph(
        "wide", (Task("a", 4), Task("b", 4, (0,), (50,)), Task("c", 9, (0,), (50,)), Task("d", 3))
    )
    cluster = Cluster((Worker(), Worker()), bandwidth=100.0)
    plan = {each.task: each for each in heft(wide, cluster).placements}
    other = next(each for each in plan.values() if each.task == 3)
    assert (other.start, other.worker) == (0.0, 1)
    assert plan[1].worker == 1


def test_heft_keeps_a_child_where_its_data_is() -> None:
    far = TaskGraph("far", (Task("a", 2), Task("b", 2, (0,), (1_000,))))
    plan = heft(far, Cluster((Worker(), Worker(speed=1.5)), bandwidth=10.0))
    assert len({each.worker for each in plan.placements}) == 1


@settings(deadline=None)
@given(graphs(7), workers)
def test_the_oracle_finds_what_all_orders_find(drawn: TaskGraph, workers: int) -> None:
    cluster = identical(workers)
    found = oracle(drawn, cluster)
    check(found, drawn, cluster)
    others = [heft(drawn, cluster), simulate(drawn, cluster, by_rank(drawn, drawn.seconds))]
    assert found.makespan <= min(each.makespan for each in (*others, simulate(drawn, cluster, fifo(drawn))))
    if len(drawn.tasks) <= 5:
        orders = itertools.permutations(range(len(drawn.tasks)))
        best = min(simulate(drawn, cluster, Fixed(list(map(float, order)))).makespan for order in orders)
        assert found.makespan <= best


def test_the_oracle_beats_ranks_where_they_are_misled() -> None:
    drawn = graph(*((float(seconds), []) for seconds in (7, 7, 6, 6, 5, 5, 4, 4, 4)))
    cluster = identical(4)
    assert simulate(drawn, cluster, by_rank(drawn, drawn.seconds)).makespan > 12
    assert oracle(drawn, cluster).makespan == 12


@given(graphs(), clusters)
def test_without_forecasts_and_repetition_the_learned_order_is_first_come(
    drawn: TaskGraph, cluster: Cluster
) -> None:
    learned = simulate(drawn, cluster, Learned(drawn, [None] * len(drawn.tasks)))
    assert learned == simulate(drawn, cluster, fifo(drawn))


def test_true_forecasts_give_the_order_of_ranks() -> None:
    drawn = graph((1, []), (1, []), (1, []), (9, [2]))
    learned = simulate(drawn, identical(1), Learned(drawn, drawn.seconds))
    assert [each.task for each in learned.placements] == [2, 3, 0, 1]


def test_forecasts_that_differ_by_less_than_a_step_leave_the_order_of_arrival() -> None:
    drawn = graph((1.0, []), (1.004, []), (200.0, []))
    order = [each.task for each in simulate(drawn, identical(1), Learned(drawn, drawn.seconds)).placements]
    assert order == [2, 0, 1]


def test_what_has_ended_in_the_run_teaches_of_what_has_not() -> None:
    heads = [(1.0, [], "short")] * 4 + [(6.0, [], "long")] * 4
    rest = [(1.0, [0], "short"), (1.0, [0], "short"), (6.0, [4], "long"), (6.0, [4], "long")]
    drawn = alike(*heads, *rest)
    policy = Learned(drawn, [None] * len(drawn.tasks))
    assert len(set(policy.keys())) == 1
    for place in range(8):
        policy.ended([(place, drawn.tasks[place].seconds)])
    keys = policy.keys()
    assert keys[10] < keys[8]


def test_half_known_work_gives_half_as_many_steps() -> None:
    drawn = graph((1, []), (1, []))
    known = Learned(drawn, [1.0, 1.0]).keys()
    half = Learned(drawn, [1.0, None]).keys()
    assert (known[0], half[0]) == (-100, -50)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_outcome_holds_its_bound_and_repeats_itself(policy: str) -> None:
    drawn = graph((3, []), (4, [0]), (5, [0]), (1, [1, 2]), (6, []), (2, []))
    failing = Cluster((Worker(mtbf=40.0, repair=1.0), Worker(speed=2.0)), bandwidth=5.0)
    for cluster in (identical(2), failing):
        name = next(each for each in POLICIES if each == policy)
        first = outcome(drawn, cluster, name, 3, drawn.seconds)
        check(first.schedule, drawn, cluster)
        assert first.ratio >= 1 - 1e-9
        assert first.schedule == outcome(drawn, cluster, name, 3, drawn.seconds).schedule


def test_ranks_are_the_longest_paths_to_the_end() -> None:
    drawn = graph((3, []), (4, [0]), (5, [0]), (1, [1, 2]))
    assert upward_ranks(drawn, drawn.seconds) == [9, 5, 6, 1]


def test_forecasts_of_a_category_that_differ_by_little_leave_the_order_of_arrival() -> None:
    drawn = alike(*[(1.0, [], "c")] * 5)
    assert len(set(Learned(drawn, [1.0, 1.1, 1.2, 1.3, 0.9]).keys())) == 1
    keys = Learned(drawn, [1.0, 1.0, 1.0, 4.1, 0.9]).keys()
    assert sorted(keys)[0] == keys[3] == 4 * keys[0]


@given(st.integers(1, 60), st.integers(1, 200))
def test_ranks_of_a_large_graph_are_computed_anew_less_often(tasks: int, ranked: int) -> None:
    """Though each task is the first of its category: together there are no more new ranks than is said."""
    drawn = alike(*((1.0, [], str(place)) for place in range(tasks)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learned, "RANKED", ranked)
        policy = Learned(drawn, [None] * tasks)
    anew = sum(policy.ended([(place, 1.0)]) is not None for place in range(tasks))
    assert 1 <= anew <= max(1, ranked // tasks)
