"""How many threads a kernel's loops ask for, decided by what its calls are expected to take.

Loops say how much work they are by fixed prices, and the pool gives a thread for so much of it. Where calls
are expected to take twice as long as that, or half, they say so instead: solved once from the model, for
the sizes about which it matters, and kept in the code as one number.
"""

from collections.abc import Callable, Sequence
from math import log2
from statistics import median

from attrs import frozen
from xdsl.ir import Operation

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_loops.width import AS_IT_IS
from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.kernel_amounts import kernel_counts
from flowc.passes.cost.kernel_model import ModelError, predict
from flowc.passes.cost.kernel_work import kernel_work
from flowc.passes.cost.stored import chosen
from flowc.passes.framework import line_of
from flowc.passes.kernel_choices import choices_of
from flowc.passes.launches import launches
from flowc.passes.usual_sizes import Sizes, usual_sizes
from flowc.runtime.native.source import PAYS_AWAKE

STEPS = tuple(1 << bits for bits in range(10, 23, 2))
"""Elements of the largest array in the calls that are looked at."""
SHORTEST, LONGEST = 5e-6, 1e-3
"""Seconds of the calls for which the number of threads is a question."""
DIFFERENT = 1.0
"""By which binary logarithm the work must differ: prices are right to about that."""
UNSURE = 2.0
"""Of an interval, as a binary logarithm: such a prediction decides nothing."""
LEAST, MOST = 25, 800
"""Percent."""
GUESSED = (
    ops.ContractOp
    | ops.GatherOp
    | ops.TopKOp
    | irregular.SortOp
    | irregular.ArgsortOp
    | irregular.OrderStatisticsOp
    | irregular.ScanOp
    | irregular.SegmentOp
    | irregular.HistogramOp
    | irregular.ScatterOp
    | irregular.SearchSortedOp
)
"""Operators of which an element has no price of its own: it depends on all the others. To load the model for
the rest would take longer than it gains."""


@frozen
class Expected:
    """A call for which a number of threads is a question: seconds with one thread, and the share of the work
    that its loops say as a binary logarithm."""

    seconds: float
    ratio: float


def decided_work(kernel: KernelOp, function: Operation, groups: Sequence[tuple[Operation, ...]]) -> int:
    """Percent of the work that the loops of a kernel lowered so say which they should say instead."""
    if choices_of(kernel).work != AS_IT_IS:
        return AS_IT_IS
    found = expected(kernel, function, groups)
    ratio = median(each.ratio for each in found) if found else 0.0
    if abs(ratio) < DIFFERENT:
        return AS_IT_IS
    return round(min(max(AS_IT_IS * 2**ratio, LEAST), MOST))


def expected(
    kernel: KernelOp, function: Operation, groups: Sequence[tuple[Operation, ...]]
) -> Sequence[Expected]:
    """Calls of usual sizes that have loops for several threads; none where prices are known well
    enough, or the model knows no better."""
    if not any(isinstance(op, GUESSED) for op in kernel.walk()):
        return []
    calls = [(sizes, launches(function, sizes)) for sizes in usual_sizes(kernel, STEPS)]
    shared: list[tuple[Sizes, int]] = [
        (sizes, sum(each.work for each in found))
        for sizes, found in calls
        if any(each.chunks > 1 for each in found)
    ]
    if not any(work > 0 for _, work in shared):
        return []
    try:
        model = chosen()
    except ModelError:
        return []
    if not model.tuned:
        return []
    counts = kernel_counts(kernel_work(kernel, groups))
    result = []
    for sizes, work in shared:
        said = predict(model.model, counts, 1, sizes)
        unsure = said.why or log2(said.high / said.low) > UNSURE
        if not unsure and work > 0 and SHORTEST <= said.seconds <= LONGEST:
            result.append(Expected(said.seconds, log2(said.seconds * 1e9 / work)))
    return result


def width(function: Operation, sizes: Sizes, percent: int, threads: int) -> int:
    """How many threads the loops of a lowered kernel get at most in a call, were its work so many percent of
    what they say, and the pool awake."""
    found = [
        min(each.work // max(each.times, 1) * percent // AS_IT_IS // PAYS_AWAKE, each.chunks, threads)
        for each in launches(function, sizes)
    ]
    return max(1, *found) if found else 1


def width_decision(
    kernel: KernelOp,
    function: Operation,
    seconds: Callable[[int], float],
    sizes: Sizes,
    percent: int,
    most: int,
) -> Decision | None:
    """The record of how many of `most` threads a call of these sizes gets, `seconds` being what it is
    expected to take with a number of them; None where its loops are for one."""
    if most < 2 or not any(each.chunks > 1 for each in launches(function, sizes)):
        return None
    usual, chosen_width = (width(function, sizes, share, most) for share in (AS_IT_IS, percent))
    ways = dict.fromkeys((usual, *(count for count in (1, most, chosen_width) if count != usual)))
    times = {count: seconds(count) * 1e3 for count in ways}
    return Decision(
        "width",
        line_of(kernel),
        _threads(chosen_width),
        tuple(Alternative(_threads(count), taken) for count, taken in times.items()),
        times[usual] - times[chosen_width],
        percent != AS_IT_IS,
        f"in {kernel.sym_name.data}",
        "fixed prices" if percent == AS_IT_IS else f"its work is {percent} % of the fixed prices",
    )


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
