"""How far two ways of computing a kernel may lie apart: units in the last place (ULP), by operator and dtype.

Integers, bools, comparisons, moves and order leave no room. An operator that rounds has its row in `ULP`,
for the compiled code and the reference together. What that makes of the results of a whole kernel is not
derived, but tried, as in Monte Carlo arithmetic (Parker, 1997): `oracles.roundings` evaluates the kernel
again with every rounding moved by as much as its row allows: all up, all down, at random, and at random for
all numbers of an array. A result may differ from the reference by the most that it then moves, and one ULP;
where it does not move, it is exact. Cancellation, long chains and loops need no rule of their own.
`assert_close` is for where no kernel is at hand.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.types import is_float
from flowc.runtime.dtypes import FLOATS
from flowc.testing.strategies.kernel_arrays import places_of

Array = np.ndarray[Any, np.dtype[Any]]


def _row(f64: float, f32: float, f16: float = 1, bf16: float = 1) -> Mapping[str, float]:
    return dict(zip(FLOATS, (f64, f32, f16, bf16), strict=True))


ULP: Mapping[str, Mapping[str, float]] = {
    # Each way rounds correctly, but a product and a sum may be one operation here and two there, and a half
    # format may be rounded at once here and when it is stored there.
    **dict.fromkeys(("add", "sub", "mul", "div", "sqrt"), _row(1, 1)),
    # The bounds of our functions (`backends.llvm.mathematics.BOUNDS`), and NumPy's: 1 in f64; 4 in f32, where
    # it has vector forms. The half formats are computed in f32, so that one rounding is left of it.
    **dict.fromkeys(("log", "asin", "acos", "pow", "cbrt"), _row(2, 5)),
    **dict.fromkeys(("exp", "exp2", "expm1", "log2", "log10", "log1p", "sin", "cos"), _row(3, 6)),
    **dict.fromkeys(("atan", "atan2", "sinh", "cosh", "erf"), _row(3, 6)),
    **dict.fromkeys(("tan", "tanh", "asinh", "acosh", "atanh"), _row(4, 7)),
    # Several operations: a root and a quotient; an exponential, a sum and a quotient; squares and a root.
    "rsqrt": _row(3, 3),
    "sigmoid": _row(6, 8),
    "hypot": _row(3, 3),
    # Sums, once their addends have moved (`addend_ulp`), and what is made of several functions and sums.
    **dict.fromkeys(("sum", "prod", "array.contract", "array.convolve", "array.histogram"), _row(1, 1)),
    "mean": _row(2, 2),
    "array.softmax": _row(8, 12),
    "array.attention": _row(12, 16, 2, 2),
    # One number of the normal distribution is a root of a logarithm, at most 8.6 in f64 and 5.8 in f32, times
    # a cosine, whose ULP near 1 are halves of those of 1; in ULP of 1 and above.
    "normal": _row(18, 24),
}
"""The most by which results of an operator may differ, in their ULP, by its kind or name, and dtype."""

LONGEST = 4096
"""No sum has more numbers in one chain: longer ones are cut into parts, and these summed with care."""

WHOLE: Mapping[str, float] = _row(45_000, 168, 4, 4)
"""What `assert_close` leaves to a whole kernel of a few operators, in ULP of its largest result."""


def addend_ulp(count: int) -> float:
    """By how many ULP each addend of a sum of so many may be moved.

    A sum of n numbers, one after the other, may lose n / 2 ULP of what they come to without their signs. As
    roundings go both ways, a quarter of it is more than is lost: of a chain of 1024, in code that is no
    vectors, 51 of 512.
    """
    return 1 + min(count, LONGEST) / 8


def ulp_of(values: Array, dtype: str) -> Array:
    """The distance of each number to the next one of the dtype, as long doubles.

    >>> float(ulp_of(np.array(1.0), "f32")) == 2.0**-23, float(ulp_of(np.array(0.0), "f16")) == 2.0**-24
    (True, True)
    """
    digits, least = places_of(dtype)
    wide = values.astype(np.longdouble)
    _, exponents = np.frexp(np.where(np.isfinite(wide), wide, 0))
    places = np.where(wide == 0, least, np.maximum(exponents - 1 - digits, least))
    return np.asarray(np.ldexp(np.longdouble(1), places))


def assert_close(got: Any, wanted: Any, dtype: str, factor: float = 1.0) -> None:
    """Same shape and dtype; equal for integers and bools, close for floats, NaN where NaN is wanted.

    `factor` times what `WHOLE` has for the dtype is allowed, and as much of each result's own size.
    """
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype == numpy_dtypes[dtype]
    if not is_float(dtype):
        np.testing.assert_array_equal(got, wanted)
        return
    tolerance = WHOLE[dtype] * factor * 2.0 ** -places_of(dtype)[0]
    with np.errstate(all="ignore"):
        a, b = got.astype(np.float64), wanted.astype(np.float64)
        scale = float(np.max(np.abs(b[np.isfinite(b)]), initial=1.0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)
