"""Sequences whose length only the run knows: how many items they have, and which one stands at a place."""

from collections.abc import Sequence

from flowc.compiler.python.numeric.arithmetic import apply
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions.sequences import Counting, Paired
from flowc.compiler.python.numeric.strides import steps
from flowc.compiler.python.numeric.subscripts import subscript
from flowc.compiler.python.numeric.values import Array


def span_of(c: Context, sequence: object) -> tuple[object, object, int]:
    """First counter, end and step of the loop that runs over a sequence."""
    if isinstance(sequence, range | Counting) and isinstance(sequence.step, int) and sequence.step > 0:
        return sequence.start, sequence.stop, sequence.step
    return 0, length_of(c, sequence), 1


def length_of(c: Context, sequence: object) -> object:
    """How many items a sequence has; of a range of the run, none where that is negative."""
    if isinstance(sequence, range):
        return len(sequence)
    if isinstance(sequence, Counting) and not isinstance(sequence.step, int):
        return steps(c, sequence.start, sequence.stop, sequence.step)
    if isinstance(sequence, Counting) and isinstance(sequence.step, int):
        ends = (sequence.start, sequence.stop) if sequence.step > 0 else (sequence.stop, sequence.start)
        span, width = apply(c, "sub", ends[1], ends[0]), abs(sequence.step)
        return span if width == 1 else apply(c, "floordiv", apply(c, "add", span, width - 1), width)
    if isinstance(sequence, Array):
        return c.extent(sequence, 0)
    if isinstance(sequence, Paired):
        return _least(c, [length_of(c, item) for item in sequence.items])
    raise Refused("a loop runs over a range, an array, or a tuple", help="write `for i in range(len(x))`")


def _least(c: Context, numbers: Sequence[object]) -> object:
    least = numbers[0]
    for number in numbers[1:]:
        if isinstance(number, int) and isinstance(least, int):
            least = min(number, least)
        else:
            least = apply(c, "minimum", least, number)
    return least


def item_at(c: Context, sequence: object, counter: object) -> object:
    """What a sequence gives where the loop over its span has counted so far."""
    if isinstance(sequence, range | Counting) and isinstance(sequence.step, int) and sequence.step > 0:
        return counter
    return nth(c, sequence, counter)


def nth(c: Context, sequence: object, position: object) -> object:
    """What a sequence gives at a position, counted from 0."""
    if isinstance(sequence, Array):
        return subscript(c, sequence, [position])
    if isinstance(sequence, Paired):
        items = [nth(c, item, position) for item in sequence.items]
        return (apply(c, "add", position, sequence.first), items[0]) if sequence.counted else tuple(items)
    assert isinstance(sequence, range | Counting)
    if isinstance(sequence.start, int) and sequence.start == 0 and sequence.step == 1:
        return position
    distance = position if sequence.step == 1 else apply(c, "mul", position, sequence.step)
    return apply(c, "add", sequence.start, distance)
