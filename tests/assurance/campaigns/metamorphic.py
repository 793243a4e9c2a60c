"""Typed programs, changed so that they mean the same, and run in ways that must make no difference."""

from random import Random

from flowc.testing.oracles.metamorphic import TRANSFORMATIONS, WAYS, check, check_ways
from flowc.testing.oracles.programs import Reached, subject
from flowc.testing.oracles.rewriting import shuffled
from tests.assurance.campaign import Campaign, Tally, examples
from tests.assurance.campaigns.programs import Drawn, count, drawn


def check_one(example: Drawn, tally: Tally) -> None:
    """One program, changed by the first of the drawn changes that applies, or run in two ways."""
    program, number = example
    chance = Random(number)
    given = subject(program)
    if chance.random() < 0.25:
        count(given, check_ways(given, chance.choice(sorted(WAYS)), chance), tally)
        return
    for name in shuffled(sorted(TRANSFORMATIONS), chance):
        if check(given, name, chance):
            tally.tried["programs"] += 1  # the changed one
            tally.tried["changes"] += 1
            break
    count(given, Reached(runs=1), tally)


CAMPAIGN = Campaign("metamorphic", examples(drawn(), check_one, 15))
