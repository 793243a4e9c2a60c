"""The features of one call of a kernel on a machine: what a learned model looks at."""

import math
from collections.abc import Mapping
from operator import attrgetter

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.dialects.array.kinds import BITWISE, COMPARISON, LOGICAL, ROUNDING, TEST
from flowc.passes.array_account import Sizes
from flowc.passes.cost.kernel_amounts import (
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
_FIRST_SHARE = len(_LOGARITHMS)
_FIRST_MOVED = _FIRST_SHARE + len(_SHARES)
_FIRST_CLASS = len(FEATURES) - len(CLASSES)

ELEMENTWISE = frozenset(
    ("arithmetic", "division", "selection", "extremes", "exponential", "logarithm", "pow", "cast")
)
"""Classes of operators that differ in their price alone: loops of them are like each other."""
_SHAPING = tuple(each for each in CLASSES if each not in ELEMENTWISE)
_SHAPING_PLACES = np.array([FEATURES.index(f"{each} an element") for each in _SHAPING])
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
    sums = np.add.reduce(found.loops, axis=0)
    total = float(sums[ELEMENTS])
    row = np.empty(len(FEATURES))
    row[:_FIRST_SHARE] = (
        seconds, memory + _LEAST, arithmetic + _LEAST, by_row + _LEAST, total, moved, taken or 1.0,
        max(arguments, default=1.0), max([loop.moved for loop in loops]) or 1.0,
        1.0 + float(sums[PICKED_FROM]), rows, longest.padding, longest.inner,
        longest.elements / longest.inner, *found.product.tolist(),
    )  # fmt: skip
    row[_FIRST_SHARE:_FIRST_MOVED] = (
        by_memory / seconds, len(loops), machine.threads, inner / total,
        max([loop.element_bytes for loop in loops]), integers / total, reduced / total,
        min(taken / moved, MOST_REUSE),
    )  # fmt: skip
    row[_FIRST_MOVED:_FIRST_CLASS] = sums[WRITTEN : READS.stop] / moved
    row[_FIRST_CLASS:] = sums[WORK] @ _IN_CLASS / total + 1
    np.log2(row[:_FIRST_SHARE], out=row[:_FIRST_SHARE])
    np.log2(row[_FIRST_CLASS:], out=row[_FIRST_CLASS:])
    return Features(row, seconds)


def combinations(row: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of COMBINATIONS the loops of a call have."""
    kinds, access = row[_SHAPING_PLACES] > 0, row[_ACCESS_PLACES] > 0
    found = np.zeros(len(COMBINATIONS), np.bool_)
    if np.count_nonzero(kinds):
        found[: -len(ACCESS)] = np.multiply.outer(kinds, access).ravel()
    else:
        found[-len(ACCESS) :] = access
    return found
