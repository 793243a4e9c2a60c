"""A campaign that finds nothing wrong."""

from random import Random

from tests.assurance.campaign import Campaign, Tally


def case(chance: Random, tally: Tally) -> None:
    """Counts, prints what must not spoil the answers, and is quick."""
    print("{}")
    tally.tried["programs"] += 2
    tally.operations[f"flow.{chance.choice('ab')}"] += 1


CAMPAIGN = Campaign("good", case)
