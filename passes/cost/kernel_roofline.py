"""What a call of a kernel takes at least on a machine, from few measured numbers.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model" (CACM 2009), with a roof
for each level of the memory, a price for each operator, whole vectors, and a price for each row that is
reduced.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from flowc.passes.cost.kernel_amounts import COLUMNS, ELEMENTS, INNER, MOVED, WORK, Amounts
from flowc.passes.cost.kernel_work import MULTIPLYING, OPERATORS

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
class Machine:
    """Ceilings of a processor for a number of threads.

    `bandwidths` are the bytes a second that a copy reaches whose bytes in all are 2 to the power of `sizes`,
    ascending; `operations` additions of f32 a second, `multiplications` operations of a product of matrices;
    `call` the seconds of a call that does nothing, `row` those of a short row that is reduced; `vector` the
    bytes of a vector. `prices` are the seconds an element of each operator; `outline` (COLUMNS x 4) gives of
    the amounts of a loop its elements, those of a row, its bytes, and its seconds of arithmetic.
    """

    name: str
    threads: int
    sizes: NDArray[np.float64]
    bandwidths: NDArray[np.float64]
    operations: float
    multiplications: float
    call: float
    row: float
    vector: int
    prices: NDArray[np.float64] = field(init=False)
    outline: NDArray[np.float64] = field(init=False)
    bandwidth: Callable[[float], float] = field(init=False)

    @prices.default
    def _seconds(self) -> NDArray[np.float64]:
        return PRICES / self.operations + _MULTIPLICATIONS / self.multiplications

    @outline.default
    def _outlined(self) -> NDArray[np.float64]:
        columns = np.zeros((len(COLUMNS), 4))
        columns[ELEMENTS, 0] = columns[INNER, 1] = columns[MOVED, 2] = 1
        columns[WORK, 3] = self.prices
        return columns

    @bandwidth.default
    def _between(self) -> Callable[[float], float]:
        """Bytes a second for so many bytes, between the measured ones by the logarithm of the size."""
        sizes, speeds = self.sizes.tolist(), self.bandwidths.tolist()

        def bandwidth(moved: float) -> float:  # a tenth of the time of `np.interp`
            size = math.log2(max(moved, 1))
            above = bisect_right(sizes, size)
            if not 0 < above < len(sizes):
                return float(speeds[min(above, len(sizes) - 1)])
            share = (size - sizes[above - 1]) / (sizes[above] - sizes[above - 1])
            return float(speeds[above - 1] + share * (speeds[above] - speeds[above - 1]))

        return bandwidth


@frozen
class Loop:
    """What a loop does, and its seconds by memory, by arithmetic and by its rows.

    `elements` of its largest array, `inner` of them a row; bytes `moved`; how many elements its vectors hold
    for one of the array (`padding`); the bytes of its widest element, whether it works on `integers` alone,
    whether it `reduced` anything.
    """

    elements: float
    inner: float
    moved: float
    padding: float
    element_bytes: float
    integers: float
    reduced: float
    memory: float
    arithmetic: float
    by_row: float

    @property
    def seconds(self) -> float:
        """The slower of memory and arithmetic, and the price of the rows."""
        return max(self.memory, self.arithmetic) + self.by_row


def roofline(machine: Machine, found: Amounts) -> list[Loop]:
    """The loops of a call; to their seconds comes the price of the call."""
    outline = (found.loops @ machine.outline).tolist()
    loops = []
    for (elements, inner, bytes_, taken), (widest, integers, reduced) in zip(
        outline, found.fixed, strict=True
    ):
        width = max(widest, 4)
        lanes = machine.vector / width
        padding = math.ceil(inner / lanes) * lanes / inner
        loops.append(
            Loop(
                elements, inner, bytes_, padding, widest, integers, reduced,
                memory=bytes_ / machine.bandwidth(bytes_),
                arithmetic=padding * width / 4 * taken,
                by_row=elements / inner * reduced * machine.row,
            )
        )  # fmt: skip
    return loops
