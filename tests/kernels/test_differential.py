"""Generated kernels between guard pages: what is compiled equals the reference and touches nothing else."""

import ctypes
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.testing.strategies.kernels import programs
from tests.kernels.children import in_child
from tests.kernels.differential import QUICK, drawn, examples
from tests.kernels.guarded import contiguous, guarded


def check(data: st.DataObject, level: int, special: bool = False) -> None:
    drawn(data, data.draw(programs(special=special)), level)


@examples(0.2)
@given(st.data())
def test_compiled_kernels_agree_with_the_reference_and_stay_in_bounds(data: st.DataObject) -> None:
    check(data, 2)


@examples(0.3)
@given(st.data())
def test_kernels_that_are_not_optimised_agree_and_stay_in_bounds(data: st.DataObject) -> None:
    check(data, 0)


@examples(0.2)
@given(st.data())
def test_kernels_on_nan_and_infinity_agree_and_stay_in_bounds(data: st.DataObject) -> None:
    check(data, 2, special=True)


@examples(0.4)
@given(st.data())
def test_kernels_that_are_fused_and_not_optimised_agree_and_stay_in_bounds(data: st.DataObject) -> None:
    check(data, QUICK, data.draw(st.booleans()))


def test_a_guard_page_stops_an_access_beyond_either_end() -> None:
    for at_end in (True, False):
        array = guarded(np.arange(3.0), contiguous(1), at_end).array
        beyond = array.ctypes.data + (array.nbytes if at_end else -1)
        with pytest.raises(AssertionError, match="SIGSEGV"):
            in_child(partial(ctypes.string_at, beyond, 1))
