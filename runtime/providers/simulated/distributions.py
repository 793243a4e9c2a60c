"""Distributions of waiting times and lengths: a few families by their mean, and what was measured."""

import math
import random
from collections.abc import Sequence

from attrs import frozen

FAMILIES = ("constant", "exponential", "gamma", "lognormal")
POINTS = 1024
"""How many quantiles of a measured sample are kept."""


SHAPE = 4.0
"""Of the gamma distribution of a tool whose program gives its mean alone: the deviation is half the mean."""


@frozen
class Family:
    """A family with this mean. `shape` is that of the gamma distribution (its coefficient of variation is
    1/sqrt(shape)), or the standard deviation of the logarithm of the log-normal one.
    """

    mean: float
    family: str = "constant"
    shape: float = 1.0

    def sample(self, chance: random.Random) -> float:
        """One value."""
        if self.mean <= 0:
            return 0.0
        match self.family:
            case "exponential":
                return chance.expovariate(1 / self.mean)
            case "gamma":
                return chance.gammavariate(self.shape, self.mean / self.shape)
            case "lognormal":
                return chance.lognormvariate(math.log(self.mean) - self.shape**2 / 2, self.shape)
        return self.mean


@frozen
class Empirical:
    """What was measured, as quantiles in equal steps of probability from the least to the most.

    >>> Empirical.of([1, 2, 3, 10]).at(0.5)
    2.5
    """

    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Empirical":
        """The distribution of at least one value; a long sample is thinned to `POINTS` quantiles."""
        ordered = sorted(values)
        if len(ordered) <= POINTS:
            return cls(tuple(map(float, ordered)))
        whole = cls(tuple(map(float, ordered)))
        return cls(tuple(whole.at(index / (POINTS - 1)) for index in range(POINTS)))

    def at(self, probability: float) -> float:
        """The quantile of a probability, interpolated."""
        place = probability * (len(self.quantiles) - 1)
        below = math.floor(place)
        above = min(below + 1, len(self.quantiles) - 1)
        return self.quantiles[below] + (place - below) * (self.quantiles[above] - self.quantiles[below])

    @property
    def mean(self) -> float:
        """The mean."""
        return sum(self.quantiles) / len(self.quantiles)

    def sample(self, chance: random.Random) -> float:
        """One value."""
        return self.at(chance.random())


Distribution = Family | Empirical
