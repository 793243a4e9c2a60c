"""Points of a distribution of which three quantiles are known: log-normal on either side of the middle."""

import math

from flowc.runtime.expectations import LARGEST, Quantiles

TENTH = 1.2816
"""How many deviations from the middle of a normal distribution a tenth of it begins."""
LATE = 1.6449
"""The same of a twentieth."""
_LEAST = 1e-300


def at(quantiles: Quantiles, deviations: float) -> float:
    """The value so many deviations from the middle; what is less likely than one in ten is extrapolated."""
    side = quantiles.low if deviations < 0 else quantiles.high
    if not quantiles.low or not quantiles.middle:
        return quantiles.middle if deviations < 0 else quantiles.high
    ratio = math.log(max(side / quantiles.middle, _LEAST))
    return min(quantiles.middle * math.exp(min(ratio * abs(deviations) / TENTH, 200.0)), LARGEST)
