"""Kernels of the shapes that real ones have, drawn between guard pages, equal the reference."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowc.dialects.array.types import ShapeError
from flowc.testing.strategies.choices import from_draw
from flowc.testing.strategies.kernels import Program
from tests.kernels.all_families import FAMILIES
from tests.kernels.differential import QUICK, drawn, examples
from tests.kernels.sketch import Sketch


def program(data: st.DataObject, family: str, special: bool) -> Program:
    """A program of the family; what does not fit together is drawn anew."""
    try:
        return FAMILIES[family](Sketch(from_draw(data.draw), special))
    except ShapeError:
        assume(False)
        raise


@pytest.mark.parametrize("family", FAMILIES)
@examples(0.1)
@given(st.data())
def test_programs_of_each_family_agree_with_the_reference(family: str, data: st.DataObject) -> None:
    drawn(data, program(data, family, data.draw(st.booleans())), QUICK)


@pytest.mark.parametrize(
    "family", ["contractions", "rows", "pairs", "points", "windows", "weighted", "borders"]
)
@examples(0.05)
@given(st.data())
def test_what_the_optimiser_makes_of_them_agrees_too(family: str, data: st.DataObject) -> None:
    drawn(data, program(data, family, data.draw(st.booleans())), 2)
