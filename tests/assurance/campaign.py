"""What a campaign is: cases drawn from seeds without end, and the account of what they reached.

A case is a function of its random source, so that its seed is all that it takes to see it again. It raises
where something is wrong; a case that ends the process, or does not end, is wrong, too.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Set
from random import Random
from typing import Any

from attrs import define, field, fields, frozen
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from flowc.runtime.errors import FlowError


@define
class Tally:
    """What cases reached. `tried` counts what was tried by its kind (see `KINDS`). `operations` and `pairs`
    count the operations of the modules that were compiled and which of them stood next to each other
    (`"a>b"`: b uses what a gives); `passes` those that changed something. `texts` counts the operations of
    modules that were only written and read back.
    """

    tried: Counter[str] = field(factory=Counter)
    operations: Counter[str] = field(factory=Counter)
    pairs: Counter[str] = field(factory=Counter)
    passes: Counter[str] = field(factory=Counter)
    texts: Counter[str] = field(factory=Counter)

    def add(self, other: "Tally") -> None:
        """Adds what other cases reached."""
        for name in COUNTED:
            getattr(self, name).update(getattr(other, name))


COUNTED = tuple(each.name for each in fields(Tally))

UNANSWERED = "questions without an answer"
KINDS: Mapping[str, str] = {
    "programs": "whole programs, compiled or changed, and held to the reference semantics",
    "typed programs": "programs that were only checked, printed, read back and evaluated",
    "leaks": "programs with a flow that labels forbid, and the same without it, only checked",
    "changes": "programs changed so that they must mean the same",
    "runs": "runs of compiled programs, disturbed ones included",
    "kernels": "kernels compiled or rewritten, and compared with the reference",
    "modules": "modules of the IR, compiled or written and read back",
    "plans": "plans, written and read back",
    "journals": "histories of runs, written, crashed and read back",
    "inputs": "mutated or damaged texts and bytes, given to a reader",
    "proofs": "rules that z3 proved, or that held on all numbers of a dtype",
    "quotients": "quotients and remainders compared with Python's",
    UNANSWERED: "rules of which z3 said nothing in its time",
}
"""What is counted, in the order in which it is told; a campaign may have others."""


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


class Wrong(AssertionError):
    """Something that does not survive what all of its sort must."""


def refusal(error: Exception, codes: Set[str], given: object) -> str:
    """The code with which a reader refused what it was given. Raises Wrong for any code but these, and for
    any other error.
    """
    code = error.problem.code if isinstance(error, FlowError) else None
    if code in codes:
        return code
    said = f"{type(error).__name__}: {error}" if code is None else f"refused with {code}"
    raise Wrong(f"{said}: {given}") from error


def examples(strategy: st.SearchStrategy[Any], check: Callable[[Any, Tally], None], number: int) -> Case:
    """A case that checks so many examples of a strategy; one that fails is shrunk, and printed as Hypothesis
    prints it.

    Hypothesis begins with the simplest example, whatever the seed: it is left out, or each case would try,
    and count, it again.
    """

    def case(chance: Random, tally: Tally) -> None:
        begun = False

        @seed(chance.getrandbits(64))
        @settings(
            max_examples=number + 1,
            database=None,
            deadline=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate] if UNSHRUNK in os.environ else [Phase.generate, Phase.shrink],
        )
        @given(strategy)
        def every(example: Any) -> None:
            nonlocal begun
            if begun:
                check(example, tally)
            begun = True

        every()

    return case
