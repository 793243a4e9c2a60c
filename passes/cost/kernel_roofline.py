"""What a call of a kernel takes at least on a machine, from few measured numbers.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model" (CACM 2009), with a roof
for each level of the memory and a price for each operator.
"""

from collections.abc import Mapping

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.passes.cost.kernel_amounts import READS, WORK, WRITTEN, Amounts
from flowc.passes.cost.kernel_work import MULTIPLYING, OPERATORS


@frozen(eq=False)
class Machine:
    """Ceilings of a processor for a number of threads.

    `bandwidths` are the bytes a second that a copy reaches whose bytes in all are 2 to the power of `sizes`,
    ascending; `operations` additions of f32 a second, `multiplications` operations of a product of matrices;
    `call` the seconds of a call that does nothing.
    """

    name: str
    threads: int
    sizes: NDArray[np.float64]
    bandwidths: NDArray[np.float64]
    operations: float
    multiplications: float
    call: float

    def bandwidth(self, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bytes a second for so many bytes, between the measured ones by the logarithm of the size."""
        return np.interp(np.log2(np.maximum(moved, 1)), self.sizes, self.bandwidths)


_prices: Mapping[str, float] = (
    dict.fromkeys(OPERATORS, 1.0)
    | dict.fromkeys(
        (
            "div",
            "sqrt",
            "rsqrt",
            "gather",
            "take_along",
            "true_positions",
            "pick",
            "topk",
            "argreduce",
            "argreduce_rows",
        ),
        5,
    )
    | dict.fromkeys(("exp", "exp2", "sigmoid", "expm1", "tanh", "hypot"), 30)
    | dict.fromkeys(("sin", "cos", "sinh", "cosh", "cbrt", "softmax", "floordiv", "mod"), 40)
    | dict.fromkeys(("log", "log2", "log10", "log1p", "tan", "asinh", "acosh", "atanh"), 60)
    | dict.fromkeys(("atan", "asin", "acos", "atan2", "erf"), 80)
    | dict.fromkeys(("scatter", "segment", "histogram", "other"), 20)
    | dict.fromkeys(("sort", "argsort", "order_statistics"), 200)
    | dict.fromkeys(("sort_rows", "argsort_rows", "order_statistics_rows"), 100)
    | {"pow": 150, "scan": 50, "scan_rows": 40, "reduce_columns": 4, "concat": 2, "search": 100, "random": 80}
)
PRICES: NDArray[np.float64] = np.array(
    [0.0 if name in MULTIPLYING else _prices[name] for name in OPERATORS], np.float64
)
"""Additions of f32 in vectors that an element of an operator is worth, about, on a core with AVX-512."""
_MULTIPLICATIONS = np.array([float(name in MULTIPLYING) for name in OPERATORS])


@frozen(eq=False)
class Roofline:
    """Seconds of a call, and of each loop by memory and by arithmetic."""

    seconds: float
    memory: NDArray[np.float64]
    arithmetic: NDArray[np.float64]


def roofline(machine: Machine, found: Amounts) -> Roofline:
    """The slower of memory and arithmetic, loop by loop, and the price of the call."""
    moved = found.loops[:, WRITTEN] + found.loops[:, READS].sum(axis=1)
    memory = moved / machine.bandwidth(moved)
    wide = np.maximum(found.fixed[0], 4) / 4
    work = found.loops[:, WORK]
    arithmetic = wide * (
        work @ PRICES / machine.operations + work @ _MULTIPLICATIONS / machine.multiplications
    )
    return Roofline(machine.call + float(np.maximum(memory, arithmetic).sum()), memory, arithmetic)
