"""The campaign of rewrites reaches each sort of rules, and says so when one is wrong."""

from random import Random

import pytest

from flowc.passes.array_to_loops import scalar_integers
from tests.assurance.campaign import UNANSWERED, Tally
from tests.assurance.campaigns import rewrites
from tests.validation.prover import Unproved


@pytest.mark.parametrize("sort", rewrites.SORTS, ids=lambda sort: sort.__name__)
def test_rules_of_each_sort_hold(sort: rewrites.Callable) -> None:
    if sort is not rewrites.operators:  # those of 64 bits take their time
        sort(Random(2), Tally())


def test_what_has_no_answer_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(chance: Random, tally: Tally) -> None:
        raise Unproved("no answer")

    monkeypatch.setattr(rewrites, "SORTS", (silent,))
    tally = Tally()
    rewrites.case(Random(0), tally)
    assert tally.tried == {UNANSWERED: 1}


def test_a_wrong_quotient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = scalar_integers._quotient
    monkeypatch.setattr(scalar_integers, "_quotient", lambda b, x, y: b.add(right(b, x, y), right(b, x, x)))
    with pytest.raises(AssertionError, match="of i16 by"):
        rewrites.divisions(Random(0), Tally())
