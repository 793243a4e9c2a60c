"""Where tasks run: workers with speeds, what moving data costs, and how often workers fail."""

from attrs import frozen

MOST_WORKERS = 10_000
"""Workers of a cluster at most: where they differ, each task is weighed against each of them."""


@frozen
class Worker:
    """Runs one task at a time. A task of `p` seconds takes p / `speed`.

    It fails after a time drawn from the exponential distribution with the mean `mtbf` seconds, loses the
    task it has begun, and is back `repair` seconds later; None never fails.
    """

    speed: float = 1.0
    mtbf: float | None = None
    repair: float = 0.0


@frozen
class Cluster:
    """Workers, at least one. `bandwidth` is in bytes a second; None moves data in no time."""

    workers: tuple[Worker, ...]
    bandwidth: float | None = None

    @property
    def uniform(self) -> bool:
        """Whether it makes no difference which worker takes a task."""
        return self.bandwidth is None and len({worker.speed for worker in self.workers}) == 1

    @property
    def fails(self) -> bool:
        """Whether any worker may fail."""
        return any(worker.mtbf is not None for worker in self.workers)


def identical(workers: int) -> Cluster:
    """Workers of speed 1 that never fail, between which data moves in no time."""
    return Cluster((Worker(),) * workers)
