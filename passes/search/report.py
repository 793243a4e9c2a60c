"""What a search found, for a person, for an artifact, and as a decision among the others."""

from collections.abc import Sequence

from attrs import frozen

from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.pipelines import O2, O3, Pipeline
from flowc.passes.search.goal import Goal, Score
from flowc.passes.search.space import difference, text_of
from flowc.runtime.plan import Json

PLAN = "plan"
"""What the decision is about."""
NO_CALLS = "the program calls no model, tool or person"
NO_CHOICE = "no choice makes another plan"
"""Reasons to try nothing where nothing was to be found."""


@frozen
class Candidate:
    """A plan that was among the last few. `efficient`: none of them is nowhere worse and somewhere better."""

    pipeline: Pipeline
    score: Score
    efficient: bool

    @property
    def name(self) -> str:
        """What it does otherwise than -O2."""
        return difference(self.pipeline)


@frozen
class SearchReport:
    """A search, ended. `candidates` are the last few, -O2 first; `reason` is why there is none.

    `built` pipelines gave so many different `plans`, tried in `runs` simulated runs. `complete` says that it
    was not time that ended the search, so that it finds the same again. `flow` is the one that was tried, on
    `line`.
    """

    goal: Goal
    chosen: Pipeline = O2
    candidates: tuple[Candidate, ...] = ()
    built: int = 0
    plans: int = 0
    runs: int = 0
    seconds: float = 0.0
    limit: float = 0.0
    complete: bool = True
    reason: str = ""
    flow: str = ""
    line: int = 0

    @property
    def usual(self) -> Candidate | None:
        """The plan of -O2, where plans were tried."""
        return self.candidates[0] if self.candidates else None

    @property
    def winner(self) -> Candidate | None:
        """The plan that was chosen, where plans were tried."""
        return next((each for each in self.candidates if each.pipeline == self.chosen), None)

    @property
    def pipeline(self) -> str:
        """The chosen pipeline, as `--pass-pipeline` reads it."""
        return text_of(self.chosen)

    @property
    def fallback(self) -> str:
        """The plan that was taken where none was tried."""
        return "-O2" if self.chosen == O2 else "-O3 without a search"

    @property
    def blind(self) -> bool:
        """Whether there may have been better plans, and none could be tried."""
        return self.reason not in ("", NO_CALLS, NO_CHOICE)

    @property
    def unpriced(self) -> bool:
        """Whether money was asked about and no run cost any."""
        about_money = "money" in (self.goal.objective, *self.goal.at_most)
        return (
            about_money
            and self.usual is not None
            and not any(each.score.worst["money"] for each in self.candidates)
        )

    @property
    def feasible(self) -> bool:
        """Whether the chosen plan kept all bounds, as far as it was tried."""
        return self.winner is None or self.winner.score.feasible

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The choice of a plan as a record; none where nothing was tried."""
        usual, winner = self.usual, self.winner
        if usual is None or winner is None:
            return ()
        found = tuple(
            Alternative(each.name, each.score.means["time"] * 1e3, each.score.means["money"])
            for each in self.candidates
        )
        gain = (usual.score.means["time"] - winner.score.means["time"]) * 1e3
        basis = f"for {self.goal.objective}, {winner.score.runs} simulated runs of each"
        about = f"of {self.flow}"
        return (Decision(PLAN, self.line, winner.name, found, gain, True, about, basis),)

    def to_json(self) -> dict[str, Json]:
        """What an artifact says of it. It holds no value of any run."""
        return {
            "objective": self.goal.objective,
            "at_most": dict(self.goal.at_most),
            "pipeline": self.pipeline,
            "built": self.built,
            "plans": self.plans,
            "runs": self.runs,
            "complete": self.complete,
            "reason": self.reason,
            "candidates": [
                {
                    "plan": each.name,
                    **{name: float(f"{value:.6g}") for name, value in each.score.means.items()},
                    "broken": each.score.broken,
                    "efficient": each.efficient,
                    "chosen": each is self.winner,
                }
                for each in self.candidates
            ],
        }


def untried(goal: Goal, reason: str, seconds: float = 0.0) -> SearchReport:
    """What is left where no plan could be tried: that of -O3 without a search, or, where its calls ahead of
    time are not what the goal asks for, that of -O2.
    """
    chosen = O3 if goal == Goal() else O2
    return SearchReport(goal, chosen, seconds=seconds, reason=reason)


def report_text(report: SearchReport) -> str:
    """A search for a person: how much was tried, the last few plans as a table, the choice and why."""
    bounds = "".join(f", {name} at most {shown(name, most)}" for name, most in report.goal.at_most.items())
    lines = [f"plan search for the least {report.goal.objective}{bounds}"]
    if not report.candidates:
        return "\n".join(
            [*lines, f"  nothing was tried: {report.reason}; the plan is that of {report.fallback}"]
        )
    ended = "" if report.complete else ", stopped by the limit"
    lines.append(
        f"  {report.plans} plans of {report.built} pipelines, {report.runs} simulated runs,"
        f" {report.seconds:.1f} s of {report.limit:g} s{ended}"
    )
    rows: list[tuple[str, ...]] = [("", "plan", "time", "money", "tokens", "")]
    rows += [_row(each, each is report.winner) for each in report.candidates]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines += [_line(row, widths) for row in rows]
    return "\n".join([*lines, f"  {_why(report)}"])


def _row(each: Candidate, chosen: bool) -> tuple[str, ...]:
    means = each.score.means
    mark = ("*" if chosen else " ") + ("o" if each.efficient else " ")
    broken = f"breaks a bound in {each.score.broken} of {each.score.runs} runs" if each.score.broken else ""
    why = f"{broken} ({', '.join(each.score.reasons)})" if broken else ""
    return (mark, each.name, *(shown(name, means[name]) for name in ("time", "money", "tokens")), why)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    mark, name, *figures, why = row
    aligned = "  ".join(text.rjust(width) for text, width in zip(figures, widths[2:], strict=True))
    return f"  {mark.ljust(2)} {name.ljust(widths[1])}  {aligned}  {why}".rstrip()


def _why(report: SearchReport) -> str:
    """The sentence below the table."""
    usual, winner = report.usual, report.winner
    if usual is None or winner is None:
        return ""
    legend = "(* chosen, o no other plan is nowhere worse)"
    if winner is usual:
        return f"none is better than -O2 beyond what chance explains {legend}"
    objective = report.goal.objective
    before, after = usual.score.means[objective], winner.score.means[objective]
    if usual.score.broken > winner.score.broken:
        return f"chosen because it breaks fewer bounds than -O2 {legend}"
    ratio = f"{before / after:.2f} times as good as -O2" if after else "better than -O2"
    figures = f"{shown(objective, after)} instead of {shown(objective, before)}"
    return f"chosen for {objective}: {figures}, {ratio} {legend}"


def shown(name: str, value: float) -> str:
    """A figure with its unit."""
    match name:
        case "time":
            return f"{value:,.3g} s" if value < 1000 else f"{value:,.0f} s"
        case "money":
            return f"${value:.6f}" if value < 0.01 else f"${value:,.4f}"
    return f"{value:,.0f}"
