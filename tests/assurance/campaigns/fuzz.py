"""Inputs that nobody wrote: a few hundred mutations of one target's corpus a case."""

from random import Random

from tests.assurance.campaign import Campaign, Tally
from tests.fuzz.contract import attempt, little_memory
from tests.fuzz.keeping import kept, minimised
from tests.fuzz.registry import TARGETS, corpus

INPUTS = 400
"""Of a target with a share of 1; others get as many as take as long."""


def case(chance: Random, tally: Tally) -> None:
    """Mutates the corpus of one target. What fails is made smaller, kept in the build folder, and raised."""
    target = chance.choice(list(TARGETS.values()))
    inputs = corpus(target.name)
    with little_memory():
        for _ in range(max(int(INPUTS * target.share), 10)):
            failure = attempt(target, target.mutate(chance, inputs))
            tally.tried["inputs"] += 1
            if failure is not None:
                raise AssertionError(kept(minimised(target, failure)))


CAMPAIGN = Campaign("fuzz", case)
