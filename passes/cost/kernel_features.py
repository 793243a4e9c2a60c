"""The features of one call of a kernel on a machine: what a learned model looks at."""

import math
from collections.abc import Mapping
from functools import lru_cache
from operator import attrgetter

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.dialects.array.kinds import BITWISE, COMPARISON, LOGICAL, ROUNDING, TEST
from flowc.passes.array_account import Sizes
from flowc.passes.cost.kernel_amounts import (
    COLUMNS,
    ELEMENTS,
    PICKED_FROM,
    READS,
    WORK,
    WRITTEN,
    KernelCounts,
    amounts,
)
from flowc.passes.cost.kernel_roofline import Machine, roofline
from flowc.passes.cost.kernel_work import ACCESS, OPERATORS

_classes: Mapping[str, str] = (
    dict.fromkeys(("add", "sub", "mul", "neg", "abs", "sign", "other"), "arithmetic")
    | dict.fromkeys(("div", "sqrt", "rsqrt", "hypot", "floordiv", "mod"), "division")
    | dict.fromkeys((*COMPARISON, *LOGICAL, *BITWISE, *ROUNDING, *TEST, "where"), "selection")
    | dict.fromkeys(("minimum", "maximum"), "extremes")
    | dict.fromkeys(("exp", "exp2", "sigmoid", "expm1", "sin", "cos", "tanh"), "exponential")
    | dict.fromkeys(("gather", "take_along", "true_positions", "pick"), "picking")
    | dict.fromkeys(("scatter", "segment", "histogram"), "scattering")
    | dict.fromkeys(("sort", "argsort", "order_statistics"), "sorting")
    | dict.fromkeys(("sort_rows", "argsort_rows", "order_statistics_rows"), "sorting rows")
    | dict.fromkeys(("product", "attention", "convolution"), "multiplication")
    | {name: name for name in ("cast", "pow", "argreduce", "scan", "softmax", "topk", "concat", "search")}
    | {name: name for name in ("reduce", "reduce_rows", "reduce_columns", "random")}
    | {name: name for name in ("scan_rows", "argreduce_rows")}
)
_CLASS = {name: _classes.get(name, "logarithm") for name in OPERATORS}
CLASSES = tuple(dict.fromkeys(_CLASS.values()))
"""Operators that take about equally long, or come from one generator of code."""
_IN_CLASS = np.array([[float(_CLASS[name] == each) for each in CLASSES] for name in OPERATORS])
_MOVED = range(WRITTEN, READS.stop)
_MOVED_TOTALS = 2
_CLASS_TOTALS = _MOVED_TOTALS + len(_MOVED)


def _totals() -> NDArray[np.float64]:
    """What gives of the amounts of a loop its elements, the bytes that it picks from, those that it writes
    and reads by kind of access, and its operators by class, in this order."""
    columns = np.zeros((len(COLUMNS), _CLASS_TOTALS + len(CLASSES)))
    for place, column in enumerate((ELEMENTS, PICKED_FROM, *_MOVED)):
        columns[column, place] = 1
    columns[WORK, _CLASS_TOTALS:] = _IN_CLASS
    return columns


_TOTALS = _totals()

_LOGARITHMS = (
    "roofline", "memory", "arithmetic", "by row", "elements", "bytes", "arguments", "largest argument",
    "largest loop", "picked from", "rows", "padding", "inner of the longest", "outer of the longest",
    "product rows", "product inner", "product columns",
)  # fmt: skip
_SHARES = (
    "by memory", "loops", "threads", "inner", "bytes an element", "integers", "reduced", "least",
)  # fmt: skip
FEATURES = (
    *_LOGARITHMS,
    *_SHARES,
    "written",
    *(f"{how} reads" for how in ACCESS),
    *(f"{each} an element" for each in CLASSES),
)
"""Names of the features, in order: seconds and amounts as logarithms to base 2, then shares and numbers of
things, then how many of each class of operators are applied to an element."""
_FIRST_MOVED = len(_LOGARITHMS) + len(_SHARES)
_FIRST_CLASS = len(FEATURES) - len(CLASSES)

ELEMENTWISE = frozenset(
    ("arithmetic", "division", "selection", "extremes", "exponential", "logarithm", "pow", "cast")
)
"""Classes of operators that differ in their price alone: loops of them are like each other."""
_SHAPING = tuple(each for each in CLASSES if each not in ELEMENTWISE)
_SHAPING_PLACES = np.array([FEATURES.index(f"{each} an element") for each in _SHAPING])
_SHAPING_CLASSES = np.array([CLASSES.index(each) for each in _SHAPING])
_ACCESS_PLACES = slice(FEATURES.index(f"{ACCESS[0]} reads"), FEATURES.index(f"{ACCESS[-1]} reads") + 1)
COMBINATIONS = tuple(
    f"{each} with {how} reads" for each in (*_SHAPING, "elementwise operators alone") for how in ACCESS
)
"""What makes one loop unlike another: what it does beside elementwise work, and how it reads."""

_SECONDS = attrgetter("seconds")
_LEAST = 1e-9
"""Seconds below which nothing differs."""
MOST_REUSE = 8.0
"""Bytes of arguments for a byte moved; more says that nearly nothing of them is looked at."""


@frozen(eq=False)
class Features:
    """The features of a call, and the seconds that the roofline gives it."""

    row: NDArray[np.float64]
    roofline: float


def features(counts: KernelCounts, machine: Machine, sizes: Sizes) -> Features:
    """The features of a call on a machine, in the order of FEATURES."""
    found = amounts(counts, sizes)
    loops = roofline(machine, found)
    if not loops:
        return Features(np.zeros(len(FEATURES)), machine.call)
    memory = arithmetic = by_row = by_memory = moved = rows = inner = integers = reduced = 0.0
    for loop in loops:  # one walk: sums of short lists one by one take twice as long
        memory += loop.memory
        arithmetic += loop.arithmetic
        by_row += loop.by_row
        by_memory += loop.memory if loop.memory >= loop.arithmetic else 0.0
        moved += loop.moved
        rows += loop.elements / loop.inner
        inner += math.log2(loop.inner) * loop.elements
        integers += loop.integers * loop.elements
        reduced += loop.reduced * loop.elements
    seconds = machine.call + sum([loop.seconds for loop in loops])
    longest = max(loops, key=_SECONDS) if len(loops) > 1 else loops[0]
    arguments = found.arguments.tolist()
    taken, moved = sum(arguments), moved or 1.0
    sums = (found.loops @ _TOTALS).sum(axis=0) if len(loops) > 1 else found.loops[0] @ _TOTALS
    total, picked_from = sums[:_MOVED_TOTALS].tolist()
    amount = (
        seconds, memory + _LEAST, arithmetic + _LEAST, by_row + _LEAST, total, moved, taken or 1.0,
        max(arguments, default=1.0), max([loop.moved for loop in loops]) or 1.0,
        1.0 + picked_from, rows, longest.padding, longest.inner,
        longest.elements / longest.inner, *found.product.tolist(),
    )  # fmt: skip
    row = np.empty(len(FEATURES))
    row[:_FIRST_MOVED] = (
        *map(math.log2, amount),
        by_memory / seconds, len(loops), machine.threads, inner / total,
        max([loop.element_bytes for loop in loops]), integers / total, reduced / total,
        min(taken / moved, MOST_REUSE),
    )  # fmt: skip
    np.divide(sums[_MOVED_TOTALS:_CLASS_TOTALS], moved, out=row[_FIRST_MOVED:_FIRST_CLASS])
    np.log2(sums[_CLASS_TOTALS:] / total + 1, out=row[_FIRST_CLASS:])
    return Features(row, seconds)


@lru_cache(256)
def combinations_of(counts: KernelCounts) -> NDArray[np.bool_]:
    """Which of COMBINATIONS the loops of a kernel have, whatever the extents."""
    sums = np.add.reduce(amounts(counts, lambda _: 1).loops, axis=0) @ _TOTALS
    return _combined(sums[_CLASS_TOTALS:][_SHAPING_CLASSES] > 0, sums[_MOVED_TOTALS + 1 : _CLASS_TOTALS] > 0)


def combinations(row: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of COMBINATIONS the loops of a call with these features have."""
    return _combined(row[_SHAPING_PLACES] > 0, row[_ACCESS_PLACES] > 0)


def _combined(kinds: NDArray[np.bool_], access: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found = np.zeros(len(COMBINATIONS), np.bool_)
    if np.count_nonzero(kinds):
        found[: -len(ACCESS)] = np.multiply.outer(kinds, access).ravel()
    else:
        found[-len(ACCESS) :] = access
    return found
