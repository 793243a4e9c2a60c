"""arith and math as CUDA C++: each operator on each type does in the text what NumPy does."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.backends.cuda.emulation import emulate
from tests.compiler.cuda import operations
from tests.compiler.cuda.launching import Launch, run, text_of
from tests.compiler.cuda.operations import DTYPES, Operation

Array = npt.NDArray[Any]
SIZE = 64
EDGES = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    np.inf,
    -np.inf,
    np.nan,
    5e-324,
    1e-45,
    6e-8,
    65504.0,
    65520.0,
    2.0**-25,
    3.4e38,
    1e308,
)
"""Floats at which something begins or ends."""

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=4, deadline=None)


class Drawn:
    """Arrays of anything: half of them edges of the type, half of them random bits."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, dtype: str, number: int = 0) -> Array:
        type_ = DTYPES[dtype]
        if dtype == "bool":
            return self.random.random(SIZE) < 0.5
        bits = self.random.bytes(SIZE * type_.itemsize)
        array = np.frombuffer(bits, type_).copy()
        if type_.kind in "iu":
            info = np.iinfo(type_)
            edges = np.array([0, 1, info.min, info.min + 1, info.max, info.max - 1], type_)
        else:
            with np.errstate(all="ignore"):
                edges = np.array(EDGES).astype(type_)
        return np.where(self.random.random(SIZE) < 0.5, self.random.choice(edges, SIZE), array).astype(type_)

    def floats(self, low: float, high: float) -> Callable[[str, int], Array]:
        """Floats of a range."""
        return lambda dtype, _: self.random.uniform(low, high, SIZE).astype(np.float32).astype(DTYPES[dtype])


@cache
def prepared(group: Callable[[], Sequence[Operation]]) -> tuple[Sequence[Operation], str]:
    """Operators, and the text of their kernels."""
    ops = group()
    return ops, text_of(*(op.kernel for op in ops))


def check(group: Callable[[], Sequence[Operation]], inputs: Callable[[str, int], Array]) -> None:
    """Runs each op on arrays that `inputs` gives for a dtype and the number of an operand."""
    ops, text = prepared(group)
    launches, wanted = [], []
    for place, op in enumerate(ops):
        given_ = [inputs(dtype, number) for number, dtype in enumerate(op.operands)]
        with np.errstate(all="ignore"):
            wanted.append(np.asarray(op.reference(*given_)).astype(DTYPES[op.result], copy=False))
        out = np.zeros(SIZE, DTYPES[op.result])
        parameters = [part for array in (*given_, out) for part in (array, np.int64(SIZE))]
        launches.append(Launch(parameters, kernel=place, block=(SIZE, 1, 1)))
    run(text, *launches)
    for op, launch, expected in zip(ops, launches, wanted, strict=True):
        compare(op, launch.parameters[-2], expected)


def compare(op: Operation, result: Array, expected: Array) -> None:
    if op.ulps:
        numbers = np.isfinite(expected)
        assert np.array_equal(np.isnan(result), np.isnan(expected)), op.name
        near = np.abs(result[numbers] - expected[numbers]) <= op.ulps * np.spacing(np.abs(expected[numbers]))
        assert near.all(), (op.name, result[numbers][~near], expected[numbers][~near])
    elif expected.dtype.kind in "fV":
        same = (result == expected) & (np.signbit(result) == np.signbit(expected))
        same |= (result != result) & (expected != expected)
        assert same.all(), (op.name, result[~same], expected[~same])
    else:
        assert np.array_equal(result, expected), op.name


@few
@given(seeds)
def test_integers_wrap_around(seed: int) -> None:
    check(operations.integers, Drawn(seed))


@few
@given(seeds)
def test_division_is_that_of_the_op(seed: int) -> None:
    drawn = Drawn(seed)

    def inputs(dtype: str, number: int) -> Array:
        array = drawn(dtype)
        if not number:
            return array
        divisors = np.where(array == 0, 3, array).astype(array.dtype)
        if dtype == "index":
            return np.maximum(divisors, 5)
        return np.where(divisors == np.array(-1).astype(array.dtype), 7, divisors).astype(array.dtype)

    check(operations.divisions, inputs)


@few
@given(seeds)
def test_shifts_keep_or_lose_the_sign(seed: int) -> None:
    drawn = Drawn(seed)

    def inputs(dtype: str, number: int) -> Array:
        array = drawn(dtype)
        return array & array.dtype.type(8 * array.itemsize - 1) if number else array

    check(operations.shifts, inputs)


@few
@given(seeds)
def test_floats_are_rounded_once(seed: int) -> None:
    check(operations.floats, Drawn(seed))


@few
@given(seeds)
def test_comparisons_know_nan(seed: int) -> None:
    check(operations.comparisons, Drawn(seed))


@few
@given(seeds)
def test_conversions_keep_what_the_type_holds(seed: int) -> None:
    check(operations.conversions, Drawn(seed))


@few
@given(seeds)
def test_floats_become_integers_towards_zero(seed: int) -> None:
    check(operations.from_floats, Drawn(seed).floats(0, 127.9))


@few
@given(seeds)
def test_functions_are_those_of_mathematics(seed: int) -> None:
    check(operations.functions, Drawn(seed).floats(-20, 20))


@few
@given(seeds)
def test_a_fused_operation_rounds_once(seed: int) -> None:
    check(operations.fused, Drawn(seed).floats(-1e6, 1e6))


def test_every_bit_pattern_of_half_formats_is_read_and_written() -> None:
    ops = [
        op for op in operations.conversions()
        if op.operands[0] in ("float16", "bfloat16") and op.result == "float32"
    ]  # fmt: skip
    back = [
        op
        for op in operations.conversions()
        if op.operands[0] == "float32" and op.result in ("float16", "bfloat16")
    ]
    assert len(ops) == len(back) == 2
    everything = np.arange(65536, dtype=np.uint16)
    launches = []
    for place, op in enumerate(ops):
        source, out = everything.view(DTYPES[op.operands[0]]), np.zeros(65536, np.float32)
        launches.append(
            Launch((source, np.int64(65536), out, np.int64(65536)), place, (1024, 1, 1), (64, 1, 1))
        )
    for place, op in enumerate(back):
        half, wide = DTYPES[op.result], everything.view(DTYPES[op.result]).astype(np.float32)
        out = np.zeros(65536, half)
        launches.append(
            Launch((wide, np.int64(65536), out, np.int64(65536)), 2 + place, (1024, 1, 1), (64, 1, 1))
        )
    run(text_of(*(op.kernel for op in ops + back)), *launches)
    for op, launch in zip(ops + back, launches, strict=True):
        with np.errstate(all="ignore"):
            compare(op, launch.parameters[2], op.reference(launch.parameters[0]))
