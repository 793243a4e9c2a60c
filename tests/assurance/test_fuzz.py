"""A case of the campaign mutates the corpus of one target, and counts what it tried."""

from random import Random

from tests.assurance.campaign import Tally
from tests.assurance.campaigns.fuzz import CAMPAIGN


def test_a_case_counts_its_inputs() -> None:
    tally = Tally()
    CAMPAIGN.case(Random(2), tally)
    assert tally.tried["inputs"] >= 10
    assert tally.tried.keys() == {"inputs"}
