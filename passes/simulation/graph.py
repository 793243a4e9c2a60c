"""What is scheduled: tasks, how long they take, and which wait for which."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from attrs import evolve, field, frozen

from flowc.passes.cost.task_samples import Traits


@frozen
class Task:
    """A task: `seconds` on a worker of speed 1, 0 where it takes none.

    `parents` are positions in the graph; `fetched` has for each parent the bytes that are taken from it, and
    is empty where nothing is known of them.
    """

    name: str
    seconds: float
    parents: tuple[int, ...] = ()
    fetched: tuple[int, ...] = ()
    traits: Traits = field(factory=Traits)


@frozen
class TaskGraph:
    """Tasks, each at its position. `children` and `order` (parents first) follow from them.

    `assumed` says in words what was not known and has been assumed. Raises ValueError where tasks wait for
    each other in a ring.
    """

    name: str
    tasks: tuple[Task, ...]
    assumed: tuple[str, ...] = ()
    children: tuple[tuple[int, ...], ...] = field(init=False, repr=False, eq=False)
    order: tuple[int, ...] = field(init=False, repr=False, eq=False)

    @children.default
    def _children(self) -> tuple[tuple[int, ...], ...]:
        found: list[list[int]] = [[] for _ in self.tasks]
        for place, task in enumerate(self.tasks):
            for parent in task.parents:
                found[parent].append(place)
        return tuple(map(tuple, found))

    @order.default
    def _order(self) -> tuple[int, ...]:
        waits = {place: task.parents for place, task in enumerate(self.tasks)}
        try:
            return tuple(TopologicalSorter(waits).static_order())
        except CycleError as error:
            names = " > ".join(self.tasks[place].name for place in error.args[1])
            raise ValueError(f"tasks wait for each other: {names}") from None

    @property
    def seconds(self) -> list[float]:
        """How long each task takes."""
        return [task.seconds for task in self.tasks]


def tails(graph: TaskGraph, seconds: Sequence[float]) -> list[float]:
    """For each task the longest path that begins when it ends."""
    found = [0.0] * len(seconds)
    for place in reversed(graph.order):
        found[place] = max((found[c] + seconds[c] for c in graph.children[place]), default=0.0)
    return found


def heads(graph: TaskGraph, seconds: Sequence[float]) -> list[float]:
    """For each task the longest path that ends when it can begin."""
    found = [0.0] * len(seconds)
    for place in graph.order:
        parents = graph.tasks[place].parents
        found[place] = max((found[p] + seconds[p] for p in parents), default=0.0)
    return found


def upward_ranks(graph: TaskGraph, seconds: Sequence[float]) -> list[float]:
    """For each task the longest path from its start to the end of all (Topcuoglu et al., 2002)."""
    return [own + tail for own, tail in zip(seconds, tails(graph, seconds), strict=True)]


def reversed_graph(graph: TaskGraph) -> TaskGraph:
    """The same tasks, each waiting for those that waited for it; of what is fetched nothing is known."""
    pairs = zip(graph.tasks, graph.children, strict=True)
    return TaskGraph(graph.name, tuple(evolve(task, parents=kids, fetched=()) for task, kids in pairs))
