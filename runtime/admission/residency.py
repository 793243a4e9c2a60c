"""Which programs have a place in the finite cache of a model, so that their contexts stay between calls.

A program is let in when the contexts of all that are in, as large as programs have grown so far, leave room
for its own. It keeps its place until it ends or has not called for `KEPT`
seconds. Where contexts outgrow the
cache, those let in last stand back until there is room again; the oldest is always in, so somebody proceeds.
This is admission by program (Luo et al., "Autellix: an efficient serving engine for LLM agents as general
programs", 2025) with a time to live (Li et al., "Continuum", 2025), before an endpoint that knows of neither.
"""

from attrs import define, field

KEPT = 60.0
"""Seconds for which a program that calls nobody keeps its place: tools mostly answer within them."""

GROWN = 0.75
"""The share of its last context that a program is expected to have: programs are at different turns."""

KEPT_IDLE = 5.0
"""The same while the model has nothing to do: who is in may be waiting for the answer of one who is not."""


@define(eq=False)
class Resident:
    """A program that was let in: the largest context it had or, while calls are under way, may have; the
    largest that calls have `left`, how many are under way, and when the last ended.
    """

    tokens: int
    left: int = 0
    calls: int = 0
    seen: float = 0.0


@define(eq=False)
class Residency:
    """Places in a cache of `capacity` tokens, in the order in which programs were let in."""

    capacity: int
    residents: dict[str, Resident] = field(factory=dict)
    ended: int = 0
    grown: int = 0

    @property
    def typical(self) -> float:
        """How large the context of a program is to be expected, by those that have ended."""
        return GROWN * self.grown / self.ended if self.ended else 0.0

    def inside(self) -> set[str]:
        """The programs whose contexts fit together, the first let in first."""
        found: set[str] = set()
        total, typical = 0.0, self.typical
        for name, resident in self.residents.items():
            total += max(resident.tokens, typical)
            if total > self.capacity and found:
                break
            found.add(name)
        return found

    def admit(self, name: str, context: int) -> bool:
        """Lets a program in, if there is room; whether it is in now."""
        typical = self.typical
        held = sum(max(each.tokens, typical) for each in self.residents.values())
        if self.residents and held + max(context, typical) > self.capacity:
            return False
        self.residents[name] = Resident(context)
        return True

    def begin(self, name: str, context: int, now: float) -> None:
        """A call of a program begins."""
        resident = self.residents.setdefault(name, Resident(0))
        resident.tokens = max(resident.tokens, context)
        resident.calls += 1
        resident.seen = now

    def settle(self, name: str, context: int) -> None:
        """A call has left this much in the cache."""
        resident = self.residents.get(name)
        if resident is not None:
            resident.left = max(resident.left, context)
            resident.tokens = max(resident.tokens, context)

    def leave(self, name: str, now: float) -> None:
        """A call of a program has ended. What was left takes the place of what was expected."""
        resident = self.residents.get(name)
        if resident is not None:
            resident.calls -= 1
            resident.seen = now
            if not resident.calls and resident.left:
                resident.tokens = resident.left

    def end(self, name: str) -> None:
        """A program has ended and calls no more."""
        resident = self.residents.pop(name, None)
        if resident is not None and resident.tokens:
            self.ended += 1
            self.grown += resident.tokens

    def expire(self, now: float) -> None:
        """Takes the places of those that have not called for too long."""
        kept = self._kept()
        for name, resident in list(self.residents.items()):
            if not resident.calls and resident.seen + kept <= now:
                del self.residents[name]

    def next_expiry(self) -> float:
        """When the next place will be free, if its program does not call; infinity where none will."""
        kept = self._kept()
        idle = (each.seen + kept for each in self.residents.values() if not each.calls)
        return min(idle, default=float("inf"))

    def _kept(self) -> float:
        return KEPT if any(each.calls for each in self.residents.values()) else KEPT_IDLE
