"""Typed programs, compiled and run in drawn ways, each held to the reference semantics."""

from random import Random

from hypothesis import strategies as st

from flowc.compiler import syntax
from flowc.testing.oracles.programs import ORACLES, Reached, Subject, subject
from flowc.testing.oracles.reached import operations, pairs
from flowc.testing.strategies.programs import typed_programs
from tests.assurance.campaign import Campaign, Tally, examples

OFTEN = ("passes", "passes", "runs", "runs", "resumes", "limits", "calls")
"""The oracles, as often as they are drawn."""

Drawn = tuple[syntax.Program, int]


def drawn(budget: int = 12) -> st.SearchStrategy[Drawn]:
    """A program, and a number that decides what is done with it."""
    return st.tuples(typed_programs(budget), st.integers(0, 2**32 - 1))


def check(example: Drawn, tally: Tally) -> None:
    """One program, and one oracle."""
    program, number = example
    chance = Random(number)
    given = subject(program)
    count(given, ORACLES[chance.choice(OFTEN)](given, chance), tally)


def count(given: Subject, reached: Reached, tally: Tally) -> None:
    """Notes what a program reached."""
    tally.tried["programs"] += 1
    tally.tried["runs"] += reached.runs
    tally.passes.update(reached.fired)
    for module in (given.module, *reached.modules):
        tally.operations.update(operations(module))
        tally.pairs.update(pairs(module))


CAMPAIGNS = (
    Campaign("programs", examples(drawn(), check, 20), share=2.0),
    Campaign("large-programs", examples(drawn(40), check, 5), share=0.5),
)
