"""The entrance of a simulated endpoint: it counts what comes, and refuses what is over its quota."""

import math
from collections import deque

from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import ProviderError
from flowc.runtime.providers.simulated.behaviour import Quota

MINUTE = 60.0


class Endpoint:
    """Counts the requests let in within the last sixty seconds, their tokens, and those under way."""

    def __init__(self, alias: str, quotas: tuple[Quota, ...]) -> None:
        self.alias = alias
        self.quotas = sorted(quotas, key=lambda quota: quota.after)
        self.taken: deque[tuple[float, int]] = deque()
        self.tokens = 0
        self.under_way = 0

    def quota(self, now: float) -> Quota:
        """The quota that holds now."""
        return next((quota for quota in reversed(self.quotas) if quota.after <= now), Quota())

    def enter(self, now: float, tokens: int) -> None:
        """Lets a request in; raises E0820 with the seconds to wait where that would exceed the quota.

        A refused request is not counted. One that is larger than the quota itself is let in when nothing
        else was taken, as it would never be otherwise.
        """
        quota = self.quota(now)
        while self.taken and self.taken[0][0] + MINUTE <= now:
            self.tokens -= self.taken.popleft()[1]
        wait = self._wait(now, quota, tokens)
        if wait > 0:
            raise self._refusal(quota, wait)
        self.taken.append((now, tokens))
        self.tokens += tokens
        self.under_way += 1

    def leave(self) -> None:
        """A request is answered, or its caller has gone."""
        self.under_way -= 1

    def _wait(self, now: float, quota: Quota, tokens: int) -> float:
        """Seconds until the request fits, 0.0 where it does."""
        if quota.concurrency is not None and self.under_way >= quota.concurrency:
            return 1.0  # nobody knows when another call ends
        wait = 0.0
        if quota.requests_per_minute is not None and len(self.taken) >= quota.requests_per_minute:
            wait = self.taken[len(self.taken) - quota.requests_per_minute][0] + MINUTE - now
        if quota.tokens_per_minute is not None:
            missing = self.tokens + min(tokens, quota.tokens_per_minute) - quota.tokens_per_minute
            for time, units in self.taken:
                if missing <= 0:
                    break
                missing -= units
                if missing <= 0:
                    wait = max(wait, time + MINUTE - now)
        return wait

    def _refusal(self, quota: Quota, wait: float) -> ProviderError:
        limits = ", ".join(
            f"{value:,} {name}"
            for name, value in (
                ("requests a minute", quota.requests_per_minute),
                ("tokens a minute", quota.tokens_per_minute),
                ("at once", quota.concurrency),
            )
            if value is not None
        )
        problem = Problem(
            "E0820",
            f"the endpoint takes no more requests now (model `{self.alias}`)",
            f"simulated: it takes {limits}, and that is used up",
            "`@retry(3)` waits as the endpoint asks; `requests_per_minute` in flowc.toml avoids it",
        )
        return ProviderError(problem, after=math.ceil(wait * 1e3) / 1e3)  # rounded up, so that it is enough
