"""What a simulation gives: where and when each task ran, and the figures that follow."""

from attrs import frozen

from flowc.passes.simulation.cluster import Cluster
from flowc.passes.simulation.graph import TaskGraph


@frozen
class Placement:
    """A task on a worker, from `start` to `end`, data included; `lost` where the worker failed at the end."""

    task: int
    worker: int
    start: float
    end: float
    lost: bool = False


@frozen
class Schedule:
    """Placements in the order in which they ended, lost ones among them. Times are in seconds."""

    placements: tuple[Placement, ...]
    makespan: float

    @property
    def lost(self) -> int:
        """How many times a task had to begin anew."""
        return sum(placed.lost for placed in self.placements)

    def starts(self, tasks: int) -> list[float]:
        """When each of the tasks began for the last time."""
        found = [0.0] * tasks
        for placed in self.placements:
            found[placed.task] = placed.start
        return found


def utilisation(schedule: Schedule, graph: TaskGraph, cluster: Cluster) -> float:
    """The share of the workers' time in which they compute what is kept; 0 where nothing takes time.

    Moving data and work that is lost do not count.
    """
    whole = schedule.makespan * len(cluster.workers)
    useful = sum(
        graph.tasks[placed.task].seconds / cluster.workers[placed.worker].speed
        for placed in schedule.placements
        if not placed.lost
    )
    return useful / whole if whole else 0.0
