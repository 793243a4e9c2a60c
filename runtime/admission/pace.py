"""What is learned from refusals: an endpoint that says "too many" is left alone, then asked less at once.

Additive increase, multiplicative decrease, as TCP does: a refusal halves the number of calls in flight, once
for all the calls that were under way by then; each answer brings it back a little.
"""

import math

from attrs import define

PAUSE = 1.0
"""Seconds of silence after a refusal that names none."""


@define(eq=False)
class Pace:
    """`most` calls in flight, None as long as nothing was refused; none starts before `until`."""

    most: float | None = None
    until: float = -math.inf
    cut: float = -math.inf

    def refused(self, now: float, begun: float, in_flight: int, after: float | None) -> None:
        """A call that began at `begun` was refused while so many were in flight, itself among them."""
        pause = after if after is not None and 0 <= after < math.inf else PAUSE
        self.until = max(self.until, now + pause)
        if begun >= self.cut:
            self.most = max(1.0, min(in_flight, self.most or math.inf) / 2)
            self.cut = now + pause

    def answered(self) -> None:
        """A call was answered."""
        if self.most is not None:
            self.most += 1 / self.most
