"""How well the times of tasks are forecast, before a run and while it goes on, beside other ways."""

import importlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from benchmarks.wfinstances import data
from flowc.passes.cost.running_times import RunningTimes
from flowc.passes.simulation.cluster import identical
from flowc.passes.simulation.outcome import outcome

NOTE = """\
Median absolute percentage errors: over `all tasks`, on which the bar stands, and the median over instances of
those of each. Tasks with a recorded time of zero do not count. `rank` is Spearman's correlation over all
tasks; `inside` the share of tasks between the quantiles 0.1 and 0.9. `when it begins` is what the dispatcher
knew at that moment: the forecast, corrected by the tasks of the run that had ended. Sizes of all files count
from the beginning, as the specification lists them, in `sizes to come unknown` only of those that no task of
the run writes. Two rows say what the best forecast could reach: `its program in the same run` knows the
median that each program will have in this very run; `itself in a repeat` is the time of the task in another
run of its configuration, for the instances that have one.
"""
BAR = 0.30
ROUNDS, LEAVES = 100, 31

Predictions = Mapping[str, Sequence[float | None]]


@frozen
class _Errors:
    """Relative errors of the tasks of each instance, and pairs of predicted and recorded seconds."""

    by_instance: tuple[tuple[float, ...], ...]
    pairs: tuple[tuple[float, float], ...]


def run(options: Options) -> Table:
    """A row for each way of forecasting."""
    known = data.recorded(options.quick)
    title = "Forecasts of task times, other configurations known"
    if not known:
        return Table("task_times", title, (), data.MISSING + NOTE)
    forecast = data.without_configuration(options.quick)
    unwritten = data.without_configuration(options.quick, written=False)
    unseen = data.without_family(options.quick)
    rows = [
        _row("median of the program", _errors(known, _program_medians(known))),
        _row("gradient-boosted trees (LightGBM)", None if options.quick else _trees(known)),
        {
            **_row("similar tasks, before the run", _errors(known, _likely(forecast))),
            "inside": f"{_inside(known, forecast):.0%}",
            "bar": f"{BAR:.0%}",
        },
        _row("similar tasks, sizes to come unknown", _errors(known, _likely(unwritten))),
        _row("a family never seen, before the run", _errors(known, _likely(unseen))),
        _row("its program in the same run", _errors(known, _own_medians(known))),
        _row("itself in a repeat", _repeat_errors(known)),
    ]
    for workers in data.WORKERS:
        errors = _errors(known, _when_begun(known, forecast, workers))
        rows.append(
            {**_row(f"similar tasks, when it begins, {workers} workers", errors), "bar": f"{BAR:.0%}"}
        )
    for workers in data.WORKERS:
        errors = _errors(known, _when_begun(known, unseen, workers))
        rows.append(_row(f"a family never seen, when it begins, {workers} workers", errors))
    return Table("task_times", title, tuple(rows), NOTE)


def _row(name: str, errors: _Errors | None) -> Row:
    if errors is None:
        return {"forecast": name, "all tasks": "not run"}
    everything = [error for some in errors.by_instance for error in some]
    each = [statistics.median(some) for some in errors.by_instance if some]
    return {
        "forecast": name,
        "all tasks": f"{statistics.median(everything):.1%}",
        "instances": f"{statistics.median(each):.1%}",
        "rank": f"{spearman(errors.pairs):.3f}",
    }


def _errors(known: Sequence[data.Recorded], predictions: Predictions) -> _Errors:
    """The errors; what has no prediction is taken as the median of all that is predicted."""
    every = [each for some in predictions.values() for each in some if each is not None]
    usual = statistics.median(every) if every else 1.0
    errors, pairs = [], []
    for each in known:
        own = []
        said = predictions[each.workflow.origin.instance]
        for place, task in enumerate(each.workflow.graph.tasks):
            if place in each.workflow.unusable:
                continue
            predicted = said[place]
            value = usual if predicted is None else predicted
            own.append(abs(value - task.seconds) / task.seconds)
            pairs.append((value, task.seconds))
        errors.append(tuple(own))
    return _Errors(tuple(errors), tuple(pairs))


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """The rank correlation; equal values have the mean of their ranks."""
    ranks = []
    for side in (0, 1):
        _, place, count = np.unique([pair[side] for pair in pairs], return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(count) - (count - 1) / 2)[place])
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _likely(forecast: data.Predicted) -> Predictions:
    return {name: data.likely(each) for name, each in forecast.items()}


def _inside(known: Sequence[data.Recorded], forecast: data.Predicted) -> float:
    """The share of tasks whose time lies between the outer quantiles of its forecast."""
    hits = [
        said.low <= task.seconds <= said.high
        for each in known
        for place, (task, said) in enumerate(
            zip(each.workflow.graph.tasks, forecast[each.workflow.origin.instance], strict=True)
        )
        if said is not None and place not in each.workflow.unusable
    ]
    return sum(hits) / len(hits)


def _program_medians(known: Sequence[data.Recorded]) -> Predictions:
    """For each task the median time of its category in other configurations."""
    found: dict[str, list[float | None]] = {}
    for each in known:
        times: dict[str, list[float]] = {}
        for other in known:
            if not other.workflow.origin.related(each.workflow.origin):
                for place, task in enumerate(other.workflow.graph.tasks):
                    if place not in other.workflow.unusable:
                        times.setdefault(task.traits.category, []).append(task.seconds)
        usual = {name: statistics.median(some) for name, some in times.items()}
        found[each.workflow.origin.instance] = [
            usual.get(task.traits.category) for task in each.workflow.graph.tasks
        ]
    return found


def _own_medians(known: Sequence[data.Recorded]) -> Predictions:
    """For each task the median time of its category in its own run, which nobody knows before."""
    found: dict[str, list[float | None]] = {}
    for each in known:
        times: dict[str, list[float]] = {}
        for place, task in enumerate(each.workflow.graph.tasks):
            if place not in each.workflow.unusable:
                times.setdefault(task.traits.category, []).append(task.seconds)
        usual = {name: statistics.median(some) for name, some in times.items()}
        found[each.workflow.origin.instance] = [
            usual.get(task.traits.category) for task in each.workflow.graph.tasks
        ]
    return found


def _repeat_errors(known: Sequence[data.Recorded]) -> _Errors | None:
    """The errors of telling each task by its time in another run of the configuration, where there is one."""
    runs: dict[str, list[data.Recorded]] = {}
    for each in known:
        runs.setdefault(each.workflow.origin.configuration, []).append(each)
    repeated, found = [], {}
    for same in runs.values():
        for each, other in zip(same, same[1:] + same[:1], strict=True):
            if other is not each:
                times = {task.name: task.seconds for task in other.workflow.graph.tasks}
                repeated.append(each)
                found[each.workflow.origin.instance] = [
                    times.get(task.name) for task in each.workflow.graph.tasks
                ]
    return _errors(repeated, found) if repeated else None


def _when_begun(known: Sequence[data.Recorded], forecast: data.Predicted, workers: int) -> Predictions:
    """What was known of each task at the moment at which it began, under the learned policy."""
    found = {}
    for each in known:
        graph, name = each.workflow.graph, each.workflow.origin.instance
        given = data.likely(forecast[name])
        schedule = outcome(graph, identical(workers), "learned", 0, given).schedule
        running = RunningTimes([task.traits.category for task in graph.tasks], given)
        events = sorted(
            [(placed.end, 0, placed.task) for placed in schedule.placements]
            + [(placed.start, 1, placed.task) for placed in schedule.placements]
        )
        said: list[float | None] = [None] * len(graph.tasks)
        for _, begins, task in events:
            if begins:
                said[task] = running.estimate(task)
            else:
                running.ended(task, graph.tasks[task].seconds)
        found[name] = said
    return found


def _trees(known: Sequence[data.Recorded]) -> _Errors | None:
    """Trees on the logarithm of seconds, for the median, a model for each configuration left out."""
    try:
        lightgbm = importlib.import_module("lightgbm")
    except ImportError:
        return None
    tasks = [(each, place) for each in known for place in range(len(each.workflow.graph.tasks))]
    features = np.array([_features(each, place) for each, place in tasks])
    names = {name: code for code, name in enumerate(dict.fromkeys(_category(*task) for task in tasks))}
    table = np.column_stack([[names[_category(*task)] for task in tasks], features])
    seconds = np.array([each.workflow.graph.tasks[place].seconds for each, place in tasks])
    usable = np.array([place not in each.workflow.unusable for each, place in tasks])
    configurations = np.array([each.workflow.origin.configuration for each, _ in tasks])
    predicted = np.zeros(len(tasks))
    for one in dict.fromkeys(configurations.tolist()):
        out = configurations == one
        train = usable & ~out
        predicted[out] = _boosted(lightgbm, table[train], np.log(seconds[train]))(table[out])
    found: dict[str, list[float | None]] = {each.workflow.origin.instance: [] for each in known}
    for (each, _), value in zip(tasks, np.exp(predicted).tolist(), strict=True):
        found[each.workflow.origin.instance].append(value)
    return _errors(known, found)


def _category(each: data.Recorded, place: int) -> str:
    return each.workflow.graph.tasks[place].traits.category


def _features(each: data.Recorded, place: int) -> list[float]:
    graph = each.workflow.graph
    task = graph.tasks[place]
    traits = task.traits
    return [
        math.log1p(traits.input_bytes),
        math.log1p(traits.largest_input),
        math.log(traits.beside),
        math.log(len(graph.tasks)),
        len(task.parents),
        len(graph.children[place]),
    ]


def _boosted(lightgbm: Any, table: Any, target: Any) -> Callable[[Any], Any]:
    settings = {
        "objective": "l1",
        "num_leaves": LEAVES,
        "min_data_in_leaf": 5,
        "min_data_per_group": 5,
        "cat_smooth": 1,
        "num_threads": 2,
        "seed": 0,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(table, target, categorical_feature=[0])
    predict: Callable[[Any], Any] = lightgbm.train(settings, rows, ROUNDS).predict
    return predict
