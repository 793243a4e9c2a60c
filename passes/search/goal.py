"""What a plan is searched for: the least of one figure, with others within bounds; and how plans compare."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from attrs import evolve, field, frozen

FIGURES: Mapping[str, str] = {"time": "seconds", "money": "dollars", "tokens": "tokens"}
"""What can be an objective or be bounded, and the unit."""


def _known(_: object, __: object, value: str) -> None:
    if value not in FIGURES:
        raise ValueError(f"no objective: {value!r:.40}")


@frozen
class Goal:
    """The figure of which a plan should have the least, and how much of others a run may take at most."""

    objective: str = field(default="time", validator=_known)
    at_most: Mapping[str, float] = field(factory=dict)

    def exceeded(self, sample: "Sample") -> tuple[str, ...]:
        """The figures of which a run took more than it may."""
        return tuple(name for name, most in self.at_most.items() if sample.of(name) > most)

    @property
    def order(self) -> tuple[str, ...]:
        """The objective, then the others: they decide between plans that are as good."""
        return (self.objective, *(name for name in FIGURES if name != self.objective))


@frozen
class Sample:
    """One simulated run of a plan. `code` is that of the failure it ended with, empty where it did not."""

    time: float
    money: float
    tokens: float
    code: str = ""

    def of(self, name: str) -> float:
        """A figure by its name in `FIGURES`."""
        return {"time": self.time, "money": self.money, "tokens": self.tokens}[name]


@frozen
class Score:
    """What some runs of a plan come to: means, the worst of each figure, and how many broke a bound.

    A run breaks a bound where it takes more than it may, or fails as the same run of the -O2 plan does not.
    """

    means: Mapping[str, float]
    worst: Mapping[str, float]
    runs: int
    broken: int
    reasons: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether all runs kept all bounds."""
        return not self.broken


def score(goal: Goal, samples: Sequence[Sample], usual: Sequence[Sample], limits: Iterable[str]) -> Score:
    """The score of runs beside those of the -O2 plan with the same seeds.

    `limits` are the codes of failures that say that a limit of the program was reached: they break a bound
    whoever has them.
    """
    known = frozenset(limits)
    reasons: list[str] = []
    broken = 0
    for mine, theirs in zip(samples, usual, strict=True):
        found = list(goal.exceeded(mine))
        if mine.code and (mine.code in known or not theirs.code):
            found.append(mine.code)
        broken += bool(found)
        reasons += found
    return Score(
        {name: fmean(each.of(name) for each in samples) for name in FIGURES},
        {name: max(each.of(name) for each in samples) for name in FIGURES},
        len(samples),
        broken,
        tuple(dict.fromkeys(reasons)),
    )


def projected(found: Score, some: Sequence[Sample], whole: Sequence[Sample]) -> Score:
    """A score of fewer runs as if it were of as many as the usual plan has: `some` of its `whole` samples are
    from the same seeds.
    """
    means = dict(found.means)
    for name in means:
        part = fmean(each.of(name) for each in some)
        if part > 0:
            means[name] *= fmean(each.of(name) for each in whole) / part
    return evolve(found, means=means)


def rank(goal: Goal, found: Score) -> tuple[float, ...]:
    """Less is better: bounds first, then the objective, then the other figures; four digits count."""
    return (found.broken / found.runs, *(_rounded(found.means[name]) for name in goal.order))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def is_better(goal: Goal, samples: Sequence[Sample], usual: Sequence[Sample]) -> bool:
    """Whether the objective of runs is less than that of others with the same seeds, beyond chance.

    The mean difference of the pairs must be above two standard errors, and above one in a hundred.
    """
    pairs = [
        theirs.of(goal.objective) - mine.of(goal.objective)
        for mine, theirs in zip(samples, usual, strict=True)
    ]
    mean = fmean(pairs)
    error = (fmean((each - mean) ** 2 for each in pairs) / max(1, len(pairs) - 1)) ** 0.5
    least = 0.01 * fmean(each.of(goal.objective) for each in usual)
    return mean > 0 and mean >= least and mean > 2 * error


def dominates(first: Score, second: Score) -> bool:
    """Whether a plan is nowhere worse than another and somewhere better."""
    pairs = [(_rounded(first.means[name]), _rounded(second.means[name])) for name in FIGURES]
    return all(mine <= theirs for mine, theirs in pairs) and any(mine < theirs for mine, theirs in pairs)


def pareto(found: Sequence[Score]) -> list[int]:
    """The places of feasible scores that no other feasible one dominates; of equal ones the first."""
    kept: list[int] = []
    for place, each in enumerate(found):
        others = [other for other in found if other is not each and other.feasible]
        equal = any(_same(found[other], each) for other in kept)
        if each.feasible and not equal and not any(dominates(other, each) for other in others):
            kept.append(place)
    return kept


def _same(first: Score, second: Score) -> bool:
    return all(_rounded(first.means[name]) == _rounded(second.means[name]) for name in FIGURES)
