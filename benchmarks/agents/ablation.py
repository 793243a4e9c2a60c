"""What each pass is worth on the agentic workloads: the same run with one pass left out, losses included."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from benchmarks.agents.contenders import flowc, virtually
from benchmarks.agents.stage import Stage
from benchmarks.agents.workloads import Workload, workloads
from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.passes.pipelines import PIPELINES

LEVEL = "O3" if "O3" in PIPELINES else "O2"
WIDTH, LEAST = 16, 16
NOTE = f"""\
Each model takes {WIDTH} calls at once and keeps beginnings of prompts from {LEAST} tokens. A cell says what
the run takes without the pass, as a multiple of what it takes with all: time (makespan), calls, read (prompt
tokens that no cached prefix covers), cost. Only what changes is named, `=` is no change, a factor below 1 a
loss. `needed`: without the pass there is no plan."""


@frozen
class Figures:
    """What one run comes to."""

    time: float
    calls: int
    read: int
    cost: float


def run(options: Options) -> Table:
    """A row for each pass of the highest level, a column for each workload."""
    chosen = [
        each
        for each in workloads(60 if options.quick else 1_000)
        if not each.name.startswith("plan") or each.name == "plan 1"
    ]
    base = {each.name: figures(each) for each in chosen}
    rows: list[Row] = [
        {"without": name, **{each.name: cell(base[each.name], each, name) for each in chosen}}
        for name in passes()
        if not options.only or name in options.only
    ]
    title = f"What each pass of -{LEVEL} is worth on agentic workloads (virtual time)"
    return Table("ablation", title, tuple(rows), NOTE, {name: _plain(found) for name, found in base.items()})


def passes() -> Sequence[str]:
    """The passes of the level, each once: a new one appears by itself."""
    return list(dict.fromkeys(each.name for each in PIPELINES[LEVEL]))


def figures(workload: Workload, without: Sequence[str] = ()) -> Figures:
    """One run without some passes."""
    stage = Stage(workload.times, workload.functions, WIDTH, LEAST)
    outcome = virtually(flowc(workload, stage, without, LEVEL))
    return Figures(outcome.seconds, sum(stage.calls.values()), stage.prefilled, stage.spent)


def cell(base: Figures, workload: Workload, name: str) -> str:
    """What changes without a pass."""
    try:
        found = figures(workload, (name,))
    except Exception:  # whatever a compiler without one of its passes stumbles over
        return "needed"
    return compared(base, found)


def compared(base: Figures, found: Figures) -> str:
    """The factors that are not 1.

    >>> compared(Figures(2.0, 10, 100, 0.5), Figures(3.0, 10, 90, 0.5))
    'time 1.50, read 0.90'
    """
    factors = {
        "time": found.time / base.time if base.time else 1.0,
        "calls": found.calls / base.calls if base.calls else 1.0,
        "read": found.read / base.read if base.read else 1.0,
        "cost": found.cost / base.cost if base.cost else 1.0,
    }
    changed = [f"{what} {factor:.2f}" for what, factor in factors.items() if abs(factor - 1) >= 0.005]
    return ", ".join(changed) or "="


def _plain(found: Figures) -> Mapping[str, object]:
    return {
        "makespan_s": round(found.time, 3),
        "calls": found.calls,
        "read_tokens": found.read,
        "cost_usd": round(found.cost, 6),
    }
