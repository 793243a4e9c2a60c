"""Operators of two numbers on infinities, NaN, zeros of both signs, and quotients next to whole numbers."""

from itertools import product

import numpy as np
import pytest
from xdsl.ir import SSAValue

from flowc.compiler.backends import llvm
from flowc.dialects.array import build
from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.types import array_type
from flowc.runtime.kernels import load
from flowc.testing.strategies.kernels import Add, as_module, make_kernel

pytestmark = pytest.mark.usefixtures("unoptimised")

SPECIAL = (0.0, 1.0, 0.5, 0.1, 0.3, 2.0, 3.0, 7.0, 1e30, 1e-30, np.inf, np.nan)
OPERATORS = {
    "hypot": np.hypot, "pow": np.power, "atan2": np.arctan2, "floordiv": np.floor_divide, "mod": np.mod,
    "minimum": np.minimum, "maximum": np.maximum, "div": np.true_divide,
}  # fmt: skip
EXACT = ("floordiv", "mod", "minimum", "maximum", "div")


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("kind", OPERATORS)
def test_an_operator_gives_what_numpy_does_for_numbers_at_the_end_of_something(kind: str, dtype: str) -> None:
    def body(add: Add, x: SSAValue, y: SSAValue) -> list[SSAValue]:
        half = add(build.constant(0.5, dtype))
        return [add(build.elementwise(kind, each)) for each in ([x, y], [x, half])]

    numbers = [sign * each for each in SPECIAL for sign in (1, -1)]
    chance = np.random.default_rng(0)
    whole = chance.integers(1, 1000, 2000).astype(np.float64)
    divisors = chance.random(2000) + 0.01
    pairs = np.concatenate(
        [np.array(list(product(numbers, numbers))), np.stack([whole * divisors, divisors], 1)]
    )
    x, y = np.ascontiguousarray(pairs.T.astype(numpy_dtypes[dtype]))
    types = {"x": array_type(dtype, ("n",)), "y": array_type(dtype, ("n",))}
    code = llvm.compile_kernels(as_module(make_kernel(types, body)), llvm.Options(level=1, cached=False))
    with np.errstate(all="ignore"):
        wanted = [OPERATORS[kind](x, each) for each in (y, np.full_like(x, 0.5))]
    for found, each in zip(load(code.object_code, code.signatures)["k"](x, y), wanted, strict=True):
        np.testing.assert_array_equal(np.signbit(found[found == 0]), np.signbit(each[found == 0]))
        if kind in EXACT:
            np.testing.assert_array_equal(found, each)
        else:
            np.testing.assert_allclose(found, each, rtol=1e-6 if dtype == "f32" else 1e-14)
