"""Small task graphs, and what must hold of every schedule."""

from collections.abc import Sequence

from hypothesis import strategies as st

from flowc.passes.cost.task_samples import Traits
from flowc.passes.simulation.cluster import Cluster, Worker, identical
from flowc.passes.simulation.graph import Task, TaskGraph
from flowc.passes.simulation.schedule import Schedule


def graph(*tasks: tuple[float, Sequence[int]]) -> TaskGraph:
    """Tasks of seconds and parents, each of a category of its own."""
    return TaskGraph(
        "drawn",
        tuple(
            Task(f"t{place}", seconds, tuple(parents), traits=Traits(f"c{place}"))
            for place, (seconds, parents) in enumerate(tasks)
        ),
    )


@st.composite
def graphs(draw: st.DrawFn, most: int = 12) -> TaskGraph:
    """Graphs in which each task waits for some of those before it."""
    count = draw(st.integers(1, most))
    seconds = st.integers(0, 6).map(float)
    return graph(
        *(
            (draw(seconds), sorted(draw(st.sets(st.integers(0, place - 1), max_size=3))) if place else [])
            for place in range(count)
        )
    )


workers = st.integers(1, 4)
clusters = st.one_of(
    workers.map(identical),
    st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=4).map(
        lambda speeds: Cluster(tuple(Worker(speed) for speed in speeds))
    ),
)


def check(schedule: Schedule, graph: TaskGraph, cluster: Cluster) -> None:
    """Each task runs once to its end, after its parents, for its time, and no worker runs two at once."""
    kept = {placed.task: placed for placed in schedule.placements if not placed.lost}
    assert sorted(kept) == list(range(len(graph.tasks)))
    assert len(schedule.placements) == len(kept) + schedule.lost
    ends = [placed.end for placed in schedule.placements]
    assert ends == sorted(ends)
    for place, task in enumerate(graph.tasks):
        placed = kept[place]
        assert placed.end - placed.start >= task.seconds / cluster.workers[placed.worker].speed - 1e-9
        assert all(kept[parent].end <= placed.start for parent in task.parents)
    busy: dict[int, float] = {}
    for placed in sorted(schedule.placements, key=lambda each: (each.start, each.end)):
        assert placed.start >= busy.get(placed.worker, 0.0)
        busy[placed.worker] = placed.end
    assert schedule.makespan == max((placed.end for placed in kept.values()), default=0.0)
