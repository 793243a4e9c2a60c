"""Runs a task graph on a cluster by discrete events: a list dispatch that never lets a worker wait.

Whenever a worker is free and a task ready, one begins: the task of the lowest key, among equal keys the one
that was ready first, on the free worker where it ends first. Tasks that become ready at one moment do so in
the order of their positions. The same graph, cluster, policy and seed give the same schedule.
"""

import random
from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Protocol

from attrs import define, field

from flowc.passes.simulation.cluster import Cluster
from flowc.passes.simulation.graph import TaskGraph
from flowc.passes.simulation.schedule import Placement, Schedule
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.randomness import seed_of

MOST_ATTEMPTS = 1_000
"""How many times a task may begin anew before the cluster is taken to be unable to run it."""
MOST_FAILURES = 1_000_000
"""How many times workers may fail in a run, those that have nothing to do among them."""

_ENDED, _BACK, _FAILED = 0, 1, 2


class Policy(Protocol):
    """Says which of the ready tasks begins first."""

    def keys(self) -> Sequence[float]:
        """A key for each task; the lowest begins first."""
        ...

    def ended(self, tasks: Sequence[tuple[int, float]]) -> Sequence[float] | None:
        """Is told which tasks ended now, with the seconds that each took at speed 1; new keys, or None."""
        ...


def simulate(graph: TaskGraph, cluster: Cluster, policy: Policy, seed: int = 0) -> Schedule:
    """The schedule that a policy makes of a graph. `seed` decides when workers fail.

    Raises FlowError E0655 where a task begins too often in vain, or workers fail too often.
    """
    run = _Run(graph, cluster, policy, seed)
    while run.left:
        run.dispatch()
        run.advance()
    return Schedule(tuple(run.placements), max((p.end for p in run.placements if not p.lost), default=0.0))


@define
class _Run:
    """The state between two events. A worker's `token` tells its present task's end from a lost one's, and
    the numbers of the `idle` ones ascend.
    """

    graph: TaskGraph
    cluster: Cluster
    policy: Policy
    seed: int
    keys: Sequence[float] = ()
    now: float = 0.0
    arrived: int = 0
    failures: int = 0
    left: int = field(init=False)
    uniform: bool = field(init=False)
    ready: list[tuple[float, int, int]] = field(factory=list)
    events: list[tuple[float, int, int, int]] = field(factory=list)
    placements: list[Placement] = field(factory=list)
    chances: dict[int, random.Random] = field(factory=dict)
    waits: list[int] = field(init=False)
    place_of: list[int] = field(init=False)
    attempts: list[int] = field(init=False)
    number: list[int] = field(init=False)
    begun: list[tuple[int, float] | None] = field(init=False)
    tokens: list[int] = field(init=False)
    idle: list[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        tasks, workers = self.graph.tasks, self.cluster.workers
        self.left, self.uniform = len(tasks), self.cluster.uniform
        self.keys = self.policy.keys()
        self.waits = [len(task.parents) for task in tasks]
        self.place_of, self.attempts, self.number = ([0] * len(tasks) for _ in range(3))
        self.begun, self.tokens = [None] * len(workers), [0] * len(workers)
        self.idle = list(range(len(workers)))
        self.chances = {
            place: random.Random(seed_of("worker", self.seed, place))
            for place, worker in enumerate(workers)
            if worker.mtbf is not None
        }
        for place in self.chances:
            self.fail_later(place)
        for place, waits in enumerate(self.waits):
            if not waits:
                self.arrive(place)

    def arrive(self, task: int) -> None:
        """A task is ready, and stands behind those of its key that already were."""
        self.number[task] = self.arrived
        self.arrived += 1
        heappush(self.ready, (self.keys[task], self.number[task], task))

    def fail_later(self, worker: int) -> None:
        """Draws when a worker fails next."""
        mean = self.cluster.workers[worker].mtbf
        if mean is not None:
            heappush(self.events, (self.now + self.chances[worker].expovariate(1 / mean), _FAILED, worker, 0))

    def dispatch(self) -> None:
        """Begins tasks while there is one, and a worker for it."""
        while self.ready and self.idle:
            task = heappop(self.ready)[2]
            if self.uniform:
                worker = self.idle.pop(0)
                taken = self.graph.tasks[task].seconds / self.cluster.workers[worker].speed
            else:
                taken, worker = min((self.duration(task, place), place) for place in self.idle)
                self.occupy(worker)
            self.begun[worker] = task, self.now
            heappush(self.events, (self.now + taken, _ENDED, worker, self.tokens[worker]))

    def duration(self, task: int, worker: int) -> float:
        """How long a task takes on a worker: what its parents left on others is fetched, then it computes."""
        own = self.graph.tasks[task]
        taken = own.seconds / self.cluster.workers[worker].speed
        if self.cluster.bandwidth is None:
            return taken
        far = (
            size
            for parent, size in zip(own.parents, own.fetched, strict=False)
            if self.place_of[parent] != worker
        )
        return taken + sum(far) / self.cluster.bandwidth

    def advance(self) -> None:
        """Goes to the next moment at which something happens, and lets all of it happen."""
        self.now = self.events[0][0]
        ended = []
        while self.events and self.events[0][0] <= self.now:
            _, kind, worker, token = heappop(self.events)
            if kind == _ENDED and token == self.tokens[worker]:
                ended.append(self.end(worker))
            elif kind == _FAILED:
                self.fail(worker)
            elif kind == _BACK:
                insort(self.idle, worker)
                self.fail_later(worker)
        self.left -= len(ended)
        for task in sorted(ended):
            for child in self.graph.children[task]:
                self.waits[child] -= 1
                if not self.waits[child]:
                    self.arrive(child)
        if ended:
            self.tell(ended)

    def tell(self, ended: Sequence[int]) -> None:
        """Lets the policy learn from what ended."""
        keys = self.policy.ended([(task, self.graph.tasks[task].seconds) for task in ended])
        if keys is not None:
            self.keys = keys
            self.ready = [(keys[task], number, task) for _, number, task in self.ready]
            heapify(self.ready)

    def end(self, worker: int) -> int:
        """A task is done; gives which."""
        task = self.leave(worker, lost=False)
        self.place_of[task] = worker
        insort(self.idle, worker)
        return task

    def fail(self, worker: int) -> None:
        """A worker fails: its task goes back to where it stood, and the worker is away for its repair."""
        self.failures += 1
        if self.failures > MOST_FAILURES:
            raise self.hopeless(f"workers failed more than {MOST_FAILURES:,} times", worker)
        if self.begun[worker] is not None:
            task = self.leave(worker, lost=True)
            self.attempts[task] += 1
            if self.attempts[task] == MOST_ATTEMPTS:
                own = self.graph.tasks[task]
                takes = f"the task takes {own.seconds:g} s"
                raise self.hopeless(f"task `{own.name}` was lost {MOST_ATTEMPTS:,} times", worker, takes)
            heappush(self.ready, (self.keys[task], self.number[task], task))
        else:
            self.occupy(worker)
        heappush(self.events, (self.now + self.cluster.workers[worker].repair, _BACK, worker, 0))

    def hopeless(self, title: str, worker: int, besides: str = "") -> FlowError:
        """The error for a run that workers do not let end; names one of them."""
        besides = besides or f"after {self.now:g} s {self.left:,} of {len(self.graph.tasks):,} tasks are left"
        mean = self.cluster.workers[worker].mtbf
        why = f"worker {worker} fails about every {mean:g} s, and {besides}"
        return fail("E0655", title, why=why, help="give some workers a longer `mtbf`")

    def occupy(self, worker: int) -> None:
        """A worker is idle no longer."""
        del self.idle[bisect_left(self.idle, worker)]

    def leave(self, worker: int, lost: bool) -> int:
        """Notes what a worker did until now; gives its task."""
        begun = self.begun[worker]
        assert begun is not None
        self.begun[worker] = None
        self.tokens[worker] += 1
        self.placements.append(Placement(begun[0], worker, begun[1], self.now, lost))
        return begun[0]
