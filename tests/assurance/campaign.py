"""What a campaign is: cases drawn from seeds without end, and the account of what they reached.

A case is a function of its random source, so that its seed is all that it takes to see it again. It raises
where something is wrong; a case that ends the process, or does not end, is wrong, too.
"""

import os
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field, frozen
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st


@define
class Tally:
    """What cases reached. `tried` counts what was tried by its kind: programs, kernels, inputs, plans, runs,
    modules. `operations` and `pairs` count the operations of the modules that were compiled and which of them
    stood next to each other (`"a>b"`: b uses what a gives); `passes` those that changed something.
    """

    tried: Counter[str] = field(factory=Counter)
    operations: Counter[str] = field(factory=Counter)
    pairs: Counter[str] = field(factory=Counter)
    passes: Counter[str] = field(factory=Counter)

    def add(self, other: "Tally") -> None:
        """Adds what other cases reached."""
        for name in ("tried", "operations", "pairs", "passes"):
            getattr(self, name).update(getattr(other, name))


Case = Callable[[Random, Tally], None]

UNSHRUNK = "ASSURE_UNSHRUNK"
"""With this in the environment what fails is left as it was found, for who asks only whether it does."""


@frozen
class Campaign:
    """Cases of one sort. `share` is the part of the time that it takes beside the others, `limit` the seconds
    after which a case counts as one that does not end.
    """

    name: str
    case: Case
    share: float = 1.0
    limit: float = 120.0


def examples(strategy: st.SearchStrategy[Any], check: Callable[[Any, Tally], None], number: int) -> Case:
    """A case that checks so many examples of a strategy; one that fails is shrunk, and printed as Hypothesis
    prints it.
    """

    def case(chance: Random, tally: Tally) -> None:
        @seed(chance.getrandbits(64))
        @settings(
            max_examples=number,
            database=None,
            deadline=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate] if UNSHRUNK in os.environ else [Phase.generate, Phase.shrink],
        )
        @given(strategy)
        def every(example: Any) -> None:
            check(example, tally)

        every()

    return case
