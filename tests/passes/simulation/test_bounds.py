"""Lower bounds: equal to their definitions, and below every schedule."""

import pytest
from attrs import evolve
from hypothesis import given

from flowc.passes.simulation.bounds import Bounds, below, lower_bounds
from flowc.passes.simulation.cluster import Cluster, Worker, identical
from flowc.passes.simulation.graph import TaskGraph, heads, tails
from flowc.passes.simulation.oracle import oracle
from flowc.passes.simulation.outcome import outcome
from tests.passes.simulation.graphs import clusters, graph, graphs, workers


def defined(graph: TaskGraph, workers: int) -> float:
    """The head-tail-area bound as it is defined: every pair of thresholds."""
    seconds = graph.seconds
    before, after = heads(graph, seconds), tails(graph, seconds)
    found = 0.0
    for head in before:
        for tail in after:
            area = [s for s, b, a in zip(seconds, before, after, strict=True) if b >= head and a >= tail]
            if area:
                found = max(found, head + sum(area) / workers + tail)
    return found


@given(graphs(), workers)
def test_the_tree_finds_what_all_pairs_of_thresholds_find(drawn: TaskGraph, workers: int) -> None:
    found = lower_bounds(drawn, identical(workers)).head_tail_area
    assert found == pytest.approx(defined(drawn, workers))


@given(graphs(8), clusters)
def test_no_schedule_is_shorter_than_a_bound(drawn: TaskGraph, cluster: Cluster) -> None:
    assert oracle(drawn, cluster).makespan >= lower_bounds(drawn, cluster).best - 1e-9


@given(graphs(8), clusters)
def test_a_bound_is_not_above_a_makespan_by_rounding(drawn: TaskGraph, cluster: Cluster) -> None:
    tenths = TaskGraph("tenths", tuple(evolve(task, seconds=task.seconds / 10) for task in drawn.tasks))
    for done in (outcome(tenths, cluster, "fifo"), outcome(tenths, cluster, "heft")):
        assert done.bounds.best <= done.schedule.makespan
        assert done.ratio >= 1.0


def test_tenths_of_seconds_on_one_worker_take_exactly_their_bound() -> None:
    """Their sum is 0.6 in the order of `heft`, and a little more in that of the file."""
    done = outcome(graph((0.1, []), (0.2, []), (0.3, [])), identical(1), "heft")
    assert (done.bounds.best, done.ratio) == (done.schedule.makespan, 1.0)


def test_a_bound_that_is_truly_above_a_makespan_stays_there() -> None:
    assert below(Bounds(6.1, 2.0, 6.0), 6.0) == Bounds(6.1, 2.0, 6.0)


def test_a_chain_is_bound_by_its_path_and_a_crowd_by_its_work() -> None:
    chain = lower_bounds(graph((2, []), (3, [0]), (4, [1])), identical(2))
    assert (chain.critical_path, chain.work) == (9, 4.5)
    crowd = lower_bounds(graph(*[(2, [])] * 6), identical(3))
    assert (crowd.critical_path, crowd.work, crowd.best) == (2, 4, 4)


def test_work_between_a_first_and_a_last_task_counts_with_both() -> None:
    fork = graph((5, []), *[(3, [0])] * 4, (7, [1, 2, 3, 4]))
    bounds = lower_bounds(fork, identical(2))
    assert bounds.head_tail_area == 5 + 4 * 3 / 2 + 7
    assert bounds.best > max(bounds.critical_path, bounds.work)


def test_a_path_takes_the_fastest_worker_and_work_all_of_them() -> None:
    cluster = Cluster((Worker(speed=2.0), Worker(speed=1.0)))
    bounds = lower_bounds(graph((6, []), (6, [0])), cluster)
    assert (bounds.critical_path, bounds.work) == (6, 4)
