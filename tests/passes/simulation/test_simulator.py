"""The simulator: legal schedules, workers that never wait, and the order that a policy asks for."""

from heapq import heappop, heappush

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.simulation import simulator
from flowc.passes.simulation.bounds import lower_bounds
from flowc.passes.simulation.cluster import Cluster, Worker, identical
from flowc.passes.simulation.graph import TaskGraph
from flowc.passes.simulation.policies import Fixed, by_chance, fifo
from flowc.passes.simulation.schedule import Placement, utilisation
from flowc.passes.simulation.simulator import simulate
from flowc.runtime.errors import FlowError
from tests.passes.simulation.graphs import check, clusters, graph, graphs, workers

FAILING = Cluster((Worker(mtbf=9.0, repair=2.0), Worker(speed=2.0, mtbf=30.0)))


def stepwise(graph: TaskGraph, workers: int, keys: list[float]) -> float:
    """The makespan of a list schedule of whole seconds, a second at a time."""
    left = [int(seconds) for seconds in graph.seconds]
    done: set[int] = set()
    running: list[int] = []
    ready: list[tuple[float, int, int]] = []
    arrived, seen, now = 0, set[int](), 0
    while True:
        changed = True
        while changed:
            changed = False
            ended = [task for task in running if not left[task]]
            running = [task for task in running if left[task]]
            done.update(ended)
            for task in range(len(left)):
                if task not in seen and all(parent in done for parent in graph.tasks[task].parents):
                    seen.add(task)
                    heappush(ready, (keys[task], arrived, task))
                    arrived += 1
            while ready and len(running) < workers:
                running.append(heappop(ready)[2])
                changed = changed or not left[running[-1]]
        if not running:
            return float(now)
        now += 1
        for task in running:
            left[task] -= 1


@given(graphs(), workers, st.integers(0, 99))
def test_a_list_schedule_is_that_of_a_simulator_that_steps_through_seconds(
    drawn: TaskGraph, workers: int, seed: int
) -> None:
    whole = TaskGraph(drawn.name, tuple(evolve(task, seconds=task.seconds or 1.0) for task in drawn.tasks))
    keys = list(by_chance(whole, seed).keys())
    assert simulate(whole, identical(workers), Fixed(keys)).makespan == stepwise(whole, workers, keys)


@given(graphs(), clusters, st.integers(0, 9))
def test_every_schedule_is_legal_and_below_the_bound_of_graham(
    drawn: TaskGraph, cluster: Cluster, seed: int
) -> None:
    done = simulate(drawn, cluster, by_chance(drawn, seed))
    check(done, drawn, cluster)
    if cluster.uniform:
        bounds = lower_bounds(drawn, cluster)
        assert done.makespan <= bounds.work + bounds.critical_path + 1e-9


@given(graphs(), workers)
def test_no_worker_waits_while_a_task_is_ready(drawn: TaskGraph, workers: int) -> None:
    done = simulate(drawn, identical(workers), fifo(drawn))
    placed = {each.task: each for each in done.placements}
    for task, own in placed.items():
        ready = max((placed[parent].end for parent in drawn.tasks[task].parents), default=0.0)
        moments = {each.start for each in placed.values() if ready <= each.start < own.start} | {ready}
        for moment in (each for each in moments if each < own.start):
            busy = [each for each in placed.values() if each.start <= moment < each.end]
            assert len(busy) == workers


def test_the_lowest_key_begins_first_and_equal_keys_in_the_order_of_arrival() -> None:
    crowd = graph((1, []), (1, []), (1, []), (1, []))
    order = [each.task for each in simulate(crowd, identical(1), Fixed([2, 1, 2, 0])).placements]
    assert order == [3, 1, 0, 2]
    late = graph((2, []), (1, []), (1, [1]), (1, [0]))
    assert [each.task for each in simulate(late, identical(2), fifo(late)).placements][-2:] == [2, 3]


def test_a_task_goes_where_it_ends_first() -> None:
    cluster = Cluster((Worker(speed=1.0), Worker(speed=4.0)))
    (placed,) = simulate(graph((8, [])), cluster, Fixed([0.0])).placements
    assert placed == Placement(0, 1, 0.0, 2.0)


def test_data_is_fetched_from_other_workers_alone() -> None:
    drawn = graph((1, []), (5, []), (1, [0]))
    moved = TaskGraph("moved", (*drawn.tasks[:2], evolve(drawn.tasks[2], fetched=(100,))))
    cluster = Cluster((Worker(), Worker()), bandwidth=10.0)
    done = {each.task: each for each in simulate(moved, cluster, fifo(moved)).placements}
    assert done[2] == Placement(2, 0, 1.0, 2.0)
    both = graph((1, []), (1, []), (1, [0, 1]))
    moved = TaskGraph("moved", (*both.tasks[:2], evolve(both.tasks[2], fetched=(30, 70))))
    done = {each.task: each for each in simulate(moved, cluster, fifo(moved)).placements}
    assert done[2] == Placement(2, 1, 1.0, 1.0 + 3.0 + 1.0)


@given(graphs(), st.integers(0, 20))
def test_failures_lose_tasks_but_never_a_result(drawn: TaskGraph, seed: int) -> None:
    done = simulate(drawn, FAILING, fifo(drawn), seed)
    check(done, drawn, FAILING)
    assert done == simulate(drawn, FAILING, fifo(drawn), seed)


def test_some_seed_loses_tasks_and_another_worker_does_without() -> None:
    crowd = graph(*[(5, [])] * 8)
    lost = [simulate(crowd, FAILING, fifo(crowd), seed).lost for seed in range(8)]
    assert max(lost) > 0
    assert len(set(lost)) > 1


def test_a_task_that_can_never_end_is_told() -> None:
    with pytest.raises(FlowError, match="E0655"):
        simulate(graph((1e6, [])), Cluster((Worker(mtbf=1.0),)), Fixed([0.0]))


def test_workers_that_fail_while_they_have_nothing_to_do_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "MOST_FAILURES", 500)
    cluster = Cluster((Worker(), Worker(mtbf=1.0)))
    with pytest.raises(FlowError, match=r"E0655.*workers failed more than 500 times.*1 of 2 tasks"):
        simulate(graph((1.0, []), (1e9, [0])), cluster, Fixed([0.0, 0.0]))


def test_a_worker_is_away_for_its_repair() -> None:
    crowd = graph(*[(5, [])] * 8)
    at_once, later = (
        simulate(crowd, Cluster((Worker(mtbf=20.0, repair=repair),)), fifo(crowd), 1) for repair in (0.0, 7.0)
    )
    assert at_once.lost == later.lost > 0
    assert later.makespan == pytest.approx(at_once.makespan + 7.0 * later.lost)


def test_utilisation_counts_what_is_computed_and_kept() -> None:
    drawn = graph((4, []), (2, []))
    cluster = identical(2)
    assert utilisation(simulate(drawn, cluster, fifo(drawn)), drawn, cluster) == 6 / 8
    nothing = graph((0, []))
    assert utilisation(simulate(nothing, cluster, fifo(nothing)), nothing, cluster) == 0.0


def test_tasks_in_a_ring_are_no_graph() -> None:
    with pytest.raises(ValueError, match=r"t0 > t1 > t0|t1 > t0 > t1"):
        graph((1, [1]), (1, [0]))
