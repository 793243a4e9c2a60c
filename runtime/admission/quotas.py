"""What an endpoint itself has said is left of a limit, which may be lower than in flowc.toml, and change."""

from attrs import define, evolve

from flowc.runtime.admission.windows import WINDOW, Account, Taken
from flowc.runtime.providers.base import Quota


@define(eq=False)
class Told(Account):
    """What was last said, and what calls have taken that the endpoint had not seen by then.

    Nothing is counted before the first word. When its time is over, as much may be taken as the limit is,
    for a minute or until there is word again.
    """

    said: Quota | None = None

    def delay(self, now: float, amount: int) -> float:
        """Seconds until `amount` more may be taken. More than the limit itself waits for all of it."""
        said = self.said
        if said is None:
            return 0.0
        if said.until <= now:
            self._forget(None)
            if said.limit is None:
                self.said = None
                return 0.0
            said = self.said = Quota(said.limit, now + WINDOW, said.limit)
        least = amount if said.limit is None else min(amount, said.limit)
        return 0.0 if self.total + least <= said.left else said.until - now

    def take(self, now: float, amount: int) -> Taken | None:
        """Takes `amount`; None where nothing is counted."""
        return None if self.said is None else self.add(now, amount)

    def hear(self, said: Quota, now: float, taken: Taken | None, others: int) -> None:
        """The answer to the call that took `taken` says this. Calls before it are part of it, later ones are
        not; what was said to an earlier call is old. At the first word `others`, all that is under way, is
        taken for later.
        """
        if said.until <= now:  # the answer was long; what came after the call still counts
            if said.limit is None:
                return
            said = Quota(said.limit, now + WINDOW, said.limit)
        if self.said is None:
            self.said = evolve(said, left=said.left - others)
        elif taken is not None and taken.counted:
            self._forget(taken)
            self.said = said

    def _forget(self, last: Taken | None) -> None:
        """Counts no more what was taken up to `last`, None for all."""
        while self.taken:
            if self.drop() is last:
                return
