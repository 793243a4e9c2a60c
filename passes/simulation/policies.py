"""The policies by name, and orders that are fixed before a run begins: first come, by chance, by rank."""

import random
from collections.abc import Sequence
from typing import Literal, get_args

from attrs import frozen

from flowc.passes.simulation.graph import TaskGraph, upward_ranks
from flowc.runtime.randomness import seed_of

PolicyName = Literal["fifo", "learned", "oracle", "heft", "random"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)


@frozen
class Fixed:
    """The keys of all tasks, whatever happens."""

    values: Sequence[float]

    def keys(self) -> Sequence[float]:
        """The values."""
        return self.values

    def ended(self, tasks: Sequence[tuple[int, float]]) -> None:
        """Nothing is learned."""


def fifo(graph: TaskGraph) -> Fixed:
    """The task that was ready first begins first."""
    return Fixed([0.0] * len(graph.tasks))


def by_chance(graph: TaskGraph, seed: int) -> Fixed:
    """Any order is as likely as any other."""
    chance = random.Random(seed_of("order", seed))
    return Fixed([chance.random() for _ in graph.tasks])


def by_rank(graph: TaskGraph, seconds: Sequence[float]) -> Fixed:
    """The task with the longest path to the end begins first."""
    return Fixed([-rank for rank in upward_ranks(graph, seconds)])
