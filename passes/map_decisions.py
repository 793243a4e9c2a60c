"""What is decided of maps, as records: how many elements at once, and whether as one operation."""

from flowc.dialects.flow.control import ElementwiseOp
from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.learned import step_of
from flowc.passes.cost.model import CostModel
from flowc.passes.cost.spreads import ENOUGH
from flowc.passes.framework import line_of

ELEMENT_MS = 0.04
"""What the engine needs more for an element of its own: 65 us where a batch needs 27, measured with a model
that answers at once."""


def width_decision(op: ElementwiseOp, costs: CostModel, subject: str) -> Decision:
    """Of a map that may run in any order: `width` elements at once, or one after the other."""
    width, rounds = op.width.value.data, costs.rounds(op)
    each = costs.path(op.regions[0])
    single = Alternative("one by one", rounds * each)
    wide = Alternative(f"{width} at once", each * max(min(1.0, rounds), rounds / width))
    gain = single.ms - wide.ms
    return Decision("width", line_of(op), wide.name, (single, wide), gain, *_known(op, costs, subject))


def batch_decision(op: ElementwiseOp, costs: CostModel, subject: str) -> Decision:
    """Of a map that does nothing but ask models: one operation, or one for each element."""
    saved = costs.rounds(op) * ELEMENT_MS
    whole = costs.cost(op)
    apart, batch = Alternative("an element each", whole + saved), Alternative("one operation", whole)
    return Decision("batch", line_of(op), batch.name, (apart, batch), saved, *_known(op, costs, subject))


def _known(op: ElementwiseOp, costs: CostModel, subject: str) -> tuple[bool, str, str]:
    """Whether the number of elements is known from enough runs, what it is about, and how many it is."""
    shown = step_of(op, costs.expected)
    samples = 0 if shown is None or shown.count is None else shown.samples
    seen = f"by {samples} runs" if samples else "assumed"
    return samples >= ENOUGH, subject, f"{costs.rounds(op):.3g} elements {seen}"
