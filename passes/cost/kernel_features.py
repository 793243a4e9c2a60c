"""The features of one call of a kernel on a machine: what a learned model looks at."""

from collections.abc import Mapping

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from flowc.dialects.array.kinds import BITWISE, COMPARISON, LOGICAL, ROUNDING, TEST
from flowc.passes.array_account import Sizes
from flowc.passes.cost.kernel_amounts import (
    ELEMENTS,
    INNER,
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

FEATURES = (
    "roofline", "memory", "arithmetic", "elements", "bytes", "arguments", "largest argument", "largest loop",
    "inner of the longest", "outer of the longest", "product rows", "product inner", "product columns",
    "by memory", "loops", "threads", "inner", "bytes an element", "integers", "reduced", "least", "written",
    *(f"{how} reads" for how in ACCESS),
    *(f"{each} an element" for each in CLASSES),
)  # fmt: skip
"""Names of the features, in order: seconds and amounts as logarithms to base 2, then shares and numbers of
things, then how many of each class of operators are applied to an element."""

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
    roof = roofline(machine, found)
    loops = found.loops
    elements, inner = loops[:, ELEMENTS], loops[:, INNER]
    moved = loops[:, WRITTEN] + loops[:, READS].sum(axis=1)
    total, bytes_ = elements.sum() or 1.0, moved.sum() or 1.0
    longest = int(np.maximum(roof.memory, roof.arithmetic).argmax()) if len(loops) else None
    element_bytes, integers, reduced = found.fixed
    arguments = found.arguments
    logarithms = np.log2([
        roof.seconds, roof.memory.sum() + _LEAST, roof.arithmetic.sum() + _LEAST, total, bytes_,
        arguments.sum() or 1.0, arguments.max(initial=1.0), moved.max(initial=1.0),
        1.0 if longest is None else inner[longest],
        1.0 if longest is None else elements[longest] / inner[longest], *found.product,
    ])  # fmt: skip
    shares = (
        roof.memory[roof.memory >= roof.arithmetic].sum() / roof.seconds,
        len(loops),
        machine.threads,
        np.log2(inner) @ elements / total,
        element_bytes.max(initial=0.0),
        integers @ elements / total,
        reduced @ elements / total,
        min(arguments.sum() / bytes_, MOST_REUSE),
        loops[:, WRITTEN].sum() / bytes_,
    )
    reads = loops[:, READS].sum(axis=0) / bytes_
    work = np.log2(1 + loops[:, WORK].sum(axis=0) @ _IN_CLASS / total)
    row = np.concatenate([logarithms, shares, reads, work])
    return Features(row, roof.seconds)
