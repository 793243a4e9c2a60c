"""The search: a beam over pipelines, each tried on a few seeds; then the best few on many fresh ones.

It is anytime and deterministic: as long as the seconds last, what it finds depends on the program, flowc.toml
and the number of plans alone. Plans that are equal are tried once. The plan of -O2 is always among the last
few, and another one is taken only if it keeps all bounds and is better beyond what chance explains, so that
no search makes a plan worse. Successive halving of the seeds after Jamieson and Talwalkar (AISTATS 2016);
beam search over schedules after Adams et al., "Learning to optimize Halide" (SIGGRAPH 2019).
"""

import time
from collections.abc import Callable, Sequence

from attrs import define, evolve, field, frozen

from flowc.passes.pipelines import O2, Pipeline
from flowc.passes.search.goal import Goal, Sample, Score, is_better, pareto, projected, rank, score
from flowc.passes.search.report import NO_CHOICE, Candidate, SearchReport, untried
from flowc.passes.search.space import distance, neighbours, starts
from flowc.passes.search.stand_ins import World
from flowc.passes.search.trials import LIMITS, Built, Unplayable, tried
from flowc.runtime.plan import Function
from flowc.runtime.plan_check import entry

BEAM = 3
"""So many of the best plans are changed further in each round."""
FEW = 3
"""Seeds that each plan is tried with; one alone, where a run takes more than `LONG` of the time."""
LONG = 0.01
BEHIND = 1.1
"""A plan whose first run takes so many times what that of the best takes is not tried with a second seed."""
MANY = 16
"""Further seeds for the best few; fewer where time is short, but never below `FEWEST`."""
FEWEST = 6
FINALISTS = 6
"""Plans that are tried with the further seeds, beside that of -O2."""
SHARE = 0.6
"""The share of the time for trying many plans a little."""
LAST = 0.92
"""The share after which nothing is tried any more, so that what is under way can end within the limit."""
STEPS = 96
"""Plans that are built, where nothing else is said."""
SECONDS = 10.0
"""The limit where nothing else is said."""

Build = Callable[[Pipeline], Built]


@frozen
class SearchRequest:
    """What to search for, in which world, and for how long: at most so many plans and seconds."""

    world: World
    goal: Goal = field(factory=Goal)
    seconds: float = SECONDS
    steps: int = STEPS
    seed: int = 0


@define(eq=False)
class _Tried:
    """A plan under way: its samples for the first seeds of a list, in order."""

    pipeline: Pipeline
    built: Built
    samples: list[Sample] = field(factory=list)


@define(eq=False)
class _Search:
    """A search under way. `longest` is the longest time that building a plan took, `slowest` that of a run;
    `hurried` says that time was up before all was tried, so that another search may find another plan.
    """

    request: SearchRequest
    build: Build
    begun: float = field(factory=time.monotonic)
    longest: float = 0.0
    slowest: float = 0.0
    hurried: bool = False
    few: int = FEW
    steps: int = 0
    runs: int = 0
    seen: set[Pipeline] = field(factory=set)
    plans: dict[bytes, _Tried] = field(factory=dict)

    @property
    def flow(self) -> Function:
        """The flow that is tried."""
        return entry(self.usual.built.plan, self.request.world.flow)

    @property
    def usual(self) -> _Tried:
        """The plan of -O2, which is the first to be tried."""
        return next(iter(self.plans.values()))

    def until(self, share: float = LAST) -> float:
        """When a share of the time is over."""
        return self.begun + share * self.request.seconds

    @property
    def spent(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self.begun

    def score(self, each: _Tried) -> Score:
        """The score of a plan beside that of -O2."""
        usual = self.usual.samples[: len(each.samples)]
        found = score(self.request.goal, each.samples, usual, LIMITS)
        return projected(found, usual, self.usual.samples)

    def rank(self, each: _Tried) -> tuple[float, ...]:
        """Less is better; of plans that are as good, the one that is nearest to -O2."""
        return (*rank(self.request.goal, self.score(each)), distance(each.pipeline))


def search(request: SearchRequest, build: Build, usual: Built, took: float) -> SearchReport:
    """Searches for a pipeline; gives that of -O2 where none is better.

    `usual` is the plan of -O2, which `took` so many seconds to build. Raises nothing of its own: a flow that
    cannot be run on stand-ins ends the search with a reason, and `untried` says with which plan.
    """
    state = _Search(request, build, longest=took)
    try:
        tried(usual, request.world, request.seed, state.until(SHARE))  # what is loaded once is no run's time
        _try_built(state, O2, usual)
        if code := _failing(state):
            why = (
                f"the flow fails with {code} on made-up arguments and answers; `--args` may give better ones"
            )
            return untried(request.goal, why, state.spent)
        _explore(state)
        finalists = _finals(state)
    except Unplayable as error:
        return untried(request.goal, error.problem.message, state.spent)
    if finalists is None and state.hurried:
        return evolve(untried(request.goal, "there was too little time", state.spent), complete=False)
    if finalists is None:
        return SearchReport(request.goal, seconds=state.spent, reason=NO_CHOICE)
    first, *others = finalists
    scores = {id(each): state.score(each) for each in finalists}
    goal = request.goal
    better = [
        each
        for each in others
        if scores[id(each)].broken < scores[id(first)].broken
        # A run that a limit ended took little, which is no merit.
        or (scores[id(each)].feasible and is_better(goal, each.samples, first.samples))
    ]
    best = min(better, key=state.rank, default=first)
    return _report(state, finalists, best.pipeline)


def _failing(state: _Search) -> str:
    """The failure that ends each run of the -O2 plan, whatever the plan: such runs teach nothing."""
    samples = state.usual.samples if state.plans else []
    programs = all(each.code.startswith("E07") and each.code not in LIMITS for each in samples)
    return samples[0].code if samples and programs else ""


def _explore(state: _Search) -> None:
    """Tries plans until nothing near the best is new, enough were tried, or time is up."""
    for pipeline in starts():
        if not _try(state, pipeline):
            return
    if not state.plans:
        return
    further = _next(state)
    while further is not None and _try(state, further):
        further = _next(state)


def _next(state: _Search) -> Pipeline | None:
    """What is near the best plan and was not tried yet, or near the next best ones."""
    for each in sorted(state.plans.values(), key=state.rank)[:BEAM]:
        for pipeline in neighbours(each.pipeline, each.built.places):
            if pipeline not in state.seen:
                return pipeline
    return None


def _try(state: _Search, pipeline: Pipeline) -> bool:
    """Tries a pipeline, if it is new and so is its plan; False where there is no time left for it."""
    if pipeline in state.seen:
        return True
    if state.steps >= state.request.steps:
        return False
    start = time.monotonic()
    if start + 1.5 * (state.longest + state.few * state.slowest) >= state.until(SHARE):
        state.hurried = True
        return False
    state.steps += 1
    made = state.build(pipeline)
    state.longest = max(state.longest, time.monotonic() - start)
    return _try_built(state, pipeline, made)


def _try_built(state: _Search, pipeline: Pipeline, made: Built) -> bool:
    """Tries a plan, if it is new; False where there is no time left for it."""
    state.seen.add(pipeline)
    known = state.plans.get(made.digest)
    if known is not None:
        if distance(pipeline) < distance(known.pipeline):
            known.pipeline = pipeline
        return True
    fresh = _Tried(pipeline, made)
    while len(fresh.samples) < state.few:
        sample = _sample(state, made, state.request.seed + len(fresh.samples), SHARE)
        if sample is None:
            return False
        fresh.samples.append(sample)
        if len(fresh.samples) == 1 and _is_behind(state, sample):
            break
        if not state.plans and state.slowest > LONG * state.request.seconds:
            state.few, state.hurried = 1, True
    state.plans[made.digest] = fresh
    return True


def _is_behind(state: _Search, first: Sample) -> bool:
    """Whether the first run of a plan is so far behind the same one of the best that it needs no second."""
    name = state.request.goal.objective
    beam = sorted(each.samples[0].of(name) for each in state.plans.values())[:BEAM]
    return len(beam) == BEAM and first.of(name) > BEHIND * beam[-1]


def _finals(state: _Search) -> list[_Tried] | None:
    """The best plans, tried with the further seeds, that of -O2 first; None where too few runs ended, or
    there is no other plan.
    """
    if len(state.plans) < 2:
        return None
    ranked = sorted(state.plans.values(), key=state.rank)
    front = pareto([state.score(each) for each in ranked])
    wanted = (state.usual, *ranked[: FINALISTS // 2], *(ranked[place] for place in front), *ranked)
    apart: list[_Tried] = []
    for each in wanted:
        if not any(_same(each, other) for other in apart):
            apart.append(each)
    chosen = apart[: 1 + _affordable(state, min(FINALISTS, len(apart) - 1))]
    for each in chosen:
        each.samples.clear()
    for number in range(FEW, FEW + MANY):
        found = _round(state, chosen, state.request.seed + number)
        if found is None:
            break
        for each, sample in zip(chosen, found, strict=True):
            each.samples.append(sample)
    return chosen if len(state.usual.samples) >= FEWEST else None


def _same(one: _Tried, other: _Tried) -> bool:
    """Whether two plans did the same from all seeds that both were tried with."""
    return all(mine == theirs for mine, theirs in zip(one.samples, other.samples, strict=False))


def _affordable(state: _Search, wanted: int) -> int:
    """How many of the wanted plans beside that of -O2 can be tried often enough in the time that is left, at
    least one.
    """
    left = state.until() - time.monotonic()
    most = int(left / max(state.slowest * FEWEST, 1e-9)) - 1
    if most < wanted:
        state.hurried = True
    return max(1, min(most, wanted))


def _round(state: _Search, chosen: Sequence[_Tried], seed: int) -> list[Sample] | None:
    """One run of each plan with the same seed; None where time was up before all had ended."""
    found = []
    for each in chosen:
        sample = _sample(state, each.built, seed, LAST)
        if sample is None:
            return None
        found.append(sample)
    return found


def _sample(state: _Search, candidate: Built, seed: int, share: float) -> Sample | None:
    """One run; None where a share of the time was over before it ended."""
    start = time.monotonic()
    sample = tried(candidate, state.request.world, seed, state.until(share))
    if sample is None:
        state.hurried = True
    else:
        state.runs += 1
        state.slowest = max(state.slowest, time.monotonic() - start)
    return sample


def _report(state: _Search, finalists: Sequence[_Tried], chosen: Pipeline) -> SearchReport:
    scores = [state.score(each) for each in finalists]
    front = set(pareto(scores))
    candidates = tuple(
        Candidate(each.pipeline, found, place in front)
        for place, (each, found) in enumerate(zip(finalists, scores, strict=True))
    )
    return SearchReport(
        goal=state.request.goal,
        chosen=chosen,
        candidates=candidates,
        built=state.steps,
        plans=len(state.plans),
        runs=state.runs,
        seconds=state.spent,
        limit=state.request.seconds,
        complete=not state.hurried,
        flow=state.flow.name,
        line=state.flow.line,
    )
