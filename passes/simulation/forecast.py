"""How long a program is expected to run: many runs on stand-ins, and the one in their middle to look at."""

import math
import statistics
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from flowc.passes.simulation.graph import TaskGraph
from flowc.passes.simulation.rehearsal import Rehearsal, Setting, rehearse
from flowc.passes.simulation.run_tasks import WORK, run_tasks
from flowc.passes.simulation.schedule import Schedule
from flowc.runtime.errors import FlowError, Problem, fail
from flowc.runtime.plan import Plan
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.trace.model import Trace

RUNS = 299
"""How many runs are made where chance decides something, at most."""
STEPS = 200_000
"""How many nodes they go through together, at most, but for the first few runs."""
FEWEST = 9
SURE = 0.02
"""Of the mean: with a standard error below that no more runs are made."""


@frozen
class Forecast:
    """What runs on stand-ins took, in seconds: `seconds` of all in ascending order; the middle one's tasks
    and when they ran. `assumed` says in words what was not known, `learned` how often each call, step or
    kernel that is known was seen, `described` that calls of which nothing is known take what a simulated
    provider is said to. `failed` are the problems with which runs ended, and how many did.
    """

    graph: TaskGraph
    schedule: Schedule
    seconds: tuple[float, ...]
    learned: Mapping[str, int]
    failed: Mapping[Problem, int]
    described: bool = False

    @property
    def makespan(self) -> float:
        """The middle one."""
        return self.seconds[len(self.seconds) // 2]

    @property
    def mean(self) -> float:
        """The mean."""
        return statistics.fmean(self.seconds)

    def quantile(self, share: float) -> float:
        """The time that so large a share of the runs keeps."""
        return self.seconds[round(share * (len(self.seconds) - 1))]


def forecast(
    plan: Plan, flow: str, setting: Setting | None = None, seed: int = 0, runs: int = RUNS
) -> Forecast:
    """Runs a flow on stand-ins, several times where chance decides something, until the mean is known well or
    `runs` are made.

    Raises FlowError E0657 where no run has a task, or too many tasks are made.
    """
    made = [rehearse(plan, flow, setting, _seed(seed, 0))]
    if _by_chance(made[0], setting):
        most = max(FEWEST, STEPS // max(len(_log(made[0])), 1))
        while len(made) < min(runs, most) and not _sure([each.seconds for each in made]):
            made.append(rehearse(plan, flow, setting, _seed(seed, len(made))))
    ordered = sorted(made, key=lambda each: each.seconds)
    middle = ordered[len(ordered) // 2]
    assumed = dict.fromkeys(text for each in made for text in each.assumed)
    known = [counts for each in made for counts in (each.learned, each.corrected)]
    learned = {name: count for counts in known for name, count in counts.items()}
    failed: dict[Problem, int] = {}
    for each in ordered:
        if each.problem is not None:
            failed[each.problem] = failed.get(each.problem, 0) + 1
    graph, schedule = run_tasks(flow, _log(middle), tuple(assumed))
    if not graph.tasks and not any(entry[2].node.op in WORK for each in made for entry in _log(each)):
        raise nothing(flow)
    schedule = evolve(schedule, makespan=middle.seconds)
    seconds = tuple(each.seconds for each in ordered)
    return Forecast(graph, schedule, seconds, learned, failed, _is_described(setting))


def nothing(flow: str) -> FlowError:
    """The error for a flow without tasks."""
    return fail(
        "E0657",
        f"nothing in `{flow}` takes time",
        why="with these arguments it calls no model, tool, person or kernel",
        help="give it arguments with which it does, or name another flow: --flow NAME",
    )


def _sure(seconds: Sequence[float]) -> bool:
    """Whether enough runs were made to know their mean."""
    if len(seconds) < FEWEST:
        return False
    error = statistics.stdev(seconds) / math.sqrt(len(seconds))
    return error <= SURE * statistics.fmean(seconds)


def _by_chance(first: Rehearsal, setting: Setting | None) -> bool:
    """Whether another run would be another one: where something is drawn from what runs showed, or flowc.toml
    describes models that are simulated.
    """
    return bool(first.learned) or _is_described(setting)


def _is_described(setting: Setting | None) -> bool:
    """Whether somebody asks the `simulated` provider."""
    if setting is None:
        return False
    chosen = setting.provider or setting.config.provider
    return "simulated" in {chosen, *(each.provider for each in setting.config.models.values())}


def _seed(seed: int, number: int) -> int:
    return seed * 1_000_003 + number


def _log(made: Rehearsal) -> Sequence[Entry]:
    trace = made.result.trace
    return trace.log if isinstance(trace, Trace) else ()
