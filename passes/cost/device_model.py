"""What a call of a kernel is expected to take on a GPU, and what takes arrays there and back.

A roofline, as that of the processor (`kernel_roofline`), with what is peculiar to GPUs: each loop is a launch
or several; a loop with too few elements leaves multiprocessors idle; products of matrices have rates of their
own by the type of their factors; and what lies in host memory must come over the bus. It was not fitted to
measurements: `SPREAD` says how far it may be off.
"""

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.passes.array_account import Sizes
from flowc.passes.cost.device_card import Card
from flowc.passes.cost.device_work import DeviceWork
from flowc.passes.cost.kernel_amounts import COLUMNS, ELEMENTS, READS, WORK, WRITTEN, Amounts, amounts
from flowc.passes.cost.kernel_work import ACCESS, MULTIPLYING, OPERATORS

SPREAD = 2.0
"""Between half and twice of what is said a call lies in four cases of five; with measured ceilings too, as
these are about memory."""
RATE_REACHED = 0.5
"""The share of a rate of a data sheet that loops and products are expected to reach."""
THREADS = 1024
"""Elements a multiprocessor must have under way before memory is used as well as it can be."""
TILE = 128 * 128
"""Elements of a result that a multiprocessor makes at once in a product of matrices."""
LEAST = 1 / 64
"""The share of a card that the smallest of loops is taken to have."""
TRANSFER = 10e-6
"""Seconds of an array's transfer beside those of its bytes."""

_TIMES = {"plain": 1.0, "transposed": 1.5, "strided": 2.0, "repeated": 1.0, "picked": 4.0}
"""How often memory is asked for a byte that is read in such a way: it gives 32 at once."""
_PRICES = (
    dict.fromkeys(OPERATORS, 1.0)
    | dict.fromkeys(("div", "sqrt", "rsqrt", "hypot", "floordiv", "mod", "argreduce", "argreduce_rows"), 8)
    | dict.fromkeys(("exp", "exp2", "sigmoid", "expm1", "tanh", "sinh", "cosh", "cbrt"), 20)
    | dict.fromkeys(("log", "log2", "log10", "log1p", "sin", "cos", "tan", "erf"), 30)
    | dict.fromkeys(("asinh", "acosh", "atanh", "atan", "asin", "acos", "atan2", "pow", "random"), 60)
    | dict.fromkeys(("scan", "scan_rows", "search", "topk"), 40)
    | dict.fromkeys(("scatter", "segment", "histogram", "other"), 100)
    | dict.fromkeys(("sort", "argsort", "order_statistics"), 5000)
    | dict.fromkeys(("sort_rows", "argsort_rows", "order_statistics_rows"), 1000)
    | dict.fromkeys(MULTIPLYING, 0.0)
)
"""Operations that an element of an operator is worth, about; of what sorts and scatters there is no table, so
these are guesses that favour the processor."""
_LAUNCHES = (
    dict.fromkeys(OPERATORS, 0)
    | dict.fromkeys(("reduce", "argreduce", "reduce_columns", "histogram", "segment", "scatter"), 1)
    | dict.fromkeys(("scan", "true_positions", "pick", "topk"), 2)
    | dict.fromkeys(("sort", "argsort", "order_statistics"), 24)
)
"""Launches beside the one that every loop is: a second pass, or one for each digit."""

_BYTES = np.zeros(len(COLUMNS))
_BYTES[READS] = [_TIMES[each] for each in ACCESS]
_BYTES[WRITTEN] = 1
_OPERATIONS, _MULTIPLICATIONS = np.zeros(len(COLUMNS)), np.zeros(len(COLUMNS))
_OPERATIONS[WORK] = [_PRICES[each] for each in OPERATORS]
_MULTIPLICATIONS[WORK] = [float(each in MULTIPLYING) for each in OPERATORS]
_EXTRA = np.array([_LAUNCHES[each] for each in OPERATORS], np.float64)


@frozen
class DeviceTime:
    """Seconds that a call is expected to take with all arrays on the GPU, in so many launches; `by_memory` is
    the share of loops that memory bounds, `arrays` the bytes of each argument and result."""

    seconds: float
    launches: int
    by_memory: float
    arrays: tuple[float, ...]

    @property
    def low(self) -> float:
        """Less in one case of ten."""
        return self.seconds / SPREAD

    @property
    def high(self) -> float:
        """More in one case of ten."""
        return self.seconds * SPREAD


def device_time(card: Card, work: DeviceWork, sizes: Sizes) -> DeviceTime:
    """What a call takes on a card."""
    found = amounts(work.counts, sizes)
    table = found.loops
    elements = table[:, ELEMENTS]
    busy = np.clip(elements / (card.multiprocessors * THREADS), LEAST, 1)
    memory = table @ _BYTES / (card.bandwidth * card.reached * busy)
    rates = np.where(work.doubles, card.f64, card.f32) * (RATE_REACHED / 2)
    arithmetic = table @ _OPERATIONS / (rates * busy) + _products(card, work, found)
    launches = len(table) + int(((table[:, WORK] > 0) @ _EXTRA).sum())
    seconds = np.maximum(memory, arithmetic)
    whole = float(seconds.sum())
    bound = float(seconds[memory >= arithmetic].sum()) / whole if whole else 1.0
    total = card.call + launches * card.order + work.numbers * card.read + whole
    return DeviceTime(total, launches, bound, tuple(found.arguments.tolist()))


def _products(card: Card, work: DeviceWork, found: Amounts) -> "NDArray[np.float64]":
    """Seconds of the products of matrices of each loop."""
    operations = found.loops @ _MULTIPLICATIONS
    if not operations.any():
        return operations
    rows, _, columns = found.product.tolist()
    tiles = math.ceil(rows / 128) * math.ceil(columns / 128)
    results = np.maximum(found.loops[:, ELEMENTS] / TILE, tiles)
    busy = np.clip(results / card.multiprocessors, LEAST, 1)
    rates = np.array([rate_of(card, dtype) for dtype in work.products])
    seconds: NDArray[np.float64] = operations / (rates * RATE_REACHED * busy)
    return seconds


def rate_of(card: Card, dtype: str) -> float:
    """Operations a second of products of matrices with factors of a type; never in tf32."""
    if dtype in ("f16", "bf16"):
        return card.f16
    if dtype in ("i8", "u8"):
        return card.i8
    return card.f64 if dtype == "f64" else card.f32


def transfer_time(card: Card, bytes_: float, arrays: int = 1, *, pinned: bool = False) -> float:
    """Seconds that arrays take over the bus, one way; they lie anywhere in host memory unless `pinned`."""
    if not arrays:
        return 0.0
    return arrays * TRANSFER + bytes_ / (card.bus if pinned else min(card.pageable, card.bus))
