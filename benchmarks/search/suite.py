"""Programs with a real choice in them: the plan of -O2 beside that which -O3 finds, on runs it has not seen.

A program stands in a folder with its flowc.toml. The search gets its stated default of seconds on whatever
machine this is; both plans then run on the `simulated` provider from seeds that the search did not have.
"""

import time
from pathlib import Path
from statistics import fmean, geometric_mean

from attrs import frozen

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.compiler.driver import Options as Compilation
from flowc.compiler.driver import check_text, compile_checked
from flowc.passes.search.goal import Goal, Sample
from flowc.passes.search.search import SECONDS, STEPS, SearchRequest
from flowc.passes.search.stand_ins import World
from flowc.passes.search.trials import Built, built, tried
from flowc.runtime.config import load_config
from flowc.runtime.plan import Plan

PROGRAMS = Path(__file__).parent / "programs"
UNSEEN = 1_000_000
"""The first seed of the runs that are compared."""
RUNS = 40


@frozen
class Case:
    """A program, and what its owner wants of it."""

    name: str
    goal: Goal
    choice: str


CASES = (
    Case("support", Goal("time"), "answer before the screening is done"),
    Case("triage", Goal("time"), "both desks begin before the ticket is sorted"),
    Case("escalate", Goal("time", {"money": 0.01}), "the large model begins before the small one is judged"),
    Case("inbox", Goal("time"), "no endpoint for batches, at twice the price"),
    Case("survey", Goal("money"), "a batch instead of answers as they come"),
    Case("rules", Goal("time"), "no call ahead of the others, at five times the price"),
    Case("translate", Goal("time"), "more calls at once"),
    Case("crowded", Goal("time"), "as many calls at once as the endpoint takes"),
    Case("prices", Goal("time"), "late shops are asked again"),
    Case("minutes", Goal("tokens"), "what may be one call, read as it comes, or batched"),
)


def run(options: Options) -> Table:
    """One row a program: the objective of both plans, the ratio, the seconds of the search."""
    rows = [_row(case, 8 if options.quick else RUNS) for case in CASES if _wanted(case, options)]
    gains = [float(str(row["ratio"])) for row in rows]
    note = (
        f"{sum(gain >= 1.2 for gain in gains)} of {len(gains)} at least 1.2 times better, the worst"
        f" {min(gains):.3f}, geometric mean {geometric_mean(gains):.2f}; {RUNS} runs from unseen seeds"
        if gains
        else ""
    )
    title = f"What -O3 finds in {SECONDS:g} s, beside -O2 (means of simulated runs)"
    return Table("search", title, tuple(rows), note)


def _wanted(case: Case, options: Options) -> bool:
    return not options.only or case.name in options.only


def ratio_of(case: Case, *, seconds: float, steps: int, runs: int) -> float:
    """How many times better the plan of -O3 is, by a search of another length."""
    row = _row(case, runs, seconds, steps)
    return float(str(row["ratio"]))


def _row(case: Case, runs: int, limit: float = SECONDS, steps: int = STEPS) -> Row:
    folder = PROGRAMS / case.name
    path = folder / f"{case.name}.flow"
    world = World(load_config(folder / "flowc.toml"))
    checked = check_text(path.read_text("utf-8"), str(path), folder=folder)
    usual = _built(compile_checked(checked, Compilation(level=2)).plan)
    start = time.perf_counter()
    request = SearchRequest(world, case.goal, limit, steps)
    compiled = compile_checked(checked, Compilation(level=3, search=request))
    seconds = time.perf_counter() - start
    found = compiled.found
    assert found is not None
    assert found.winner is not None
    before, after = _runs(usual, world, runs), _runs(_built(compiled.plan), world, runs)
    name = case.goal.objective
    old, new = fmean(each.of(name) for each in before), fmean(each.of(name) for each in after)
    broken = sum(bool(case.goal.exceeded(each) or each.code) for each in after)
    return {
        "program": case.name,
        "for": name,
        "the choice": case.choice,
        "found": found.winner.name,
        "O2": float(f"{old:.4g}"),
        "O3": float(f"{new:.4g}"),
        "ratio": round(old / new, 3) if new else 1.0,
        "bounds broken": broken,
        "plans": found.plans,
        "search s": round(found.seconds, 1),
        "compile s": round(seconds, 1),
        "limit s": found.limit,
    }


def _built(plan: Plan) -> Built:
    return built(plan, {}, frozenset())


def _runs(candidate: Built, world: World, runs: int) -> list[Sample]:
    """Runs from the unseen seeds."""
    found = []
    for number in range(runs):
        sample = tried(candidate, world, UNSEEN + number, time.monotonic() + 600)
        assert sample is not None
        found.append(sample)
    return found
