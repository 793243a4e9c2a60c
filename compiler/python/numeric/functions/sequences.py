"""`range`, `enumerate`, `zip` and `len`: what loops run over."""

import builtins
import operator
from typing import Any

from attrs import frozen

from flowc.compiler.python.numeric.arithmetic import settled
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.functions.registry import implements
from flowc.compiler.python.numeric.picking import number_picked
from flowc.compiler.python.numeric.values import Array, Masked, Number, is_run_time


@frozen
class Counting:
    """A range of which only the run knows a bound or the step."""

    start: object
    stop: object
    step: object


@frozen
class Paired:
    """`zip` or, where `counted`, `enumerate`, over arrays and ranges; counts from `first`."""

    items: tuple[object, ...]
    counted: bool = False
    first: object = 0


@implements(builtins.range)
def range_(c: Context, *bounds: Any) -> object:
    """`range(stop)`, `range(start, stop, step)`."""
    if not 1 <= len(bounds) <= 3:
        raise Refused("`range` takes one to three numbers")
    if not any(map(is_run_time, bounds)):
        try:
            return range(*map(operator.index, bounds))
        except (TypeError, ValueError) as error:
            raise Refused(str(error), code=SHAPES) from error
    step = bounds[2] if len(bounds) == 3 else 1
    if isinstance(step, Number) and step.parameter:
        step = c.static(step, "the step of a range")
    if not isinstance(step, int | Number) or (isinstance(step, int) and step == 0):
        raise Refused("the step of a range is a whole number other than 0", code=SHAPES)
    start, stop = (0, bounds[0]) if len(bounds) == 1 else bounds[:2]
    return Counting(start, stop, step)


@implements(builtins.len)
def len_(c: Context, x: object) -> object:
    """The extent of the first axis, or the length of a tuple."""
    if isinstance(x, tuple | list | str | range):
        return len(x)
    if isinstance(x, Array):
        return c.extent(x, 0)
    if isinstance(x, Masked):
        return number_picked(c, x)
    raise Refused("a number has no length")


@implements(builtins.enumerate)
def enumerate_(c: Context, iterable: object, start: object = 0) -> object:
    """Over a tuple known now its pairs; over an array or range, counted as the loop runs."""
    if isinstance(iterable, tuple | list) and isinstance(start, int):
        return tuple(enumerate(iterable, start))
    return Paired((settled(c, iterable),), counted=True, first=start)


@implements(builtins.zip)
def zip_(c: Context, *iterables: object, strict: object = False) -> object:
    """Over tuples known now their pairs; over arrays, as the loop runs."""
    known = [item for item in iterables if isinstance(item, tuple | list)]
    if len(known) == len(iterables):
        return tuple(zip(*known, strict=False))
    if known:
        raise Refused("`zip` runs over tuples or over arrays, not over both")
    return Paired(tuple(settled(c, iterable) for iterable in iterables))


@implements(builtins.tuple)
def tuple_(c: Context, iterable: object = ()) -> object:
    """A tuple of a sequence that is known now."""
    if isinstance(iterable, tuple | list | range):
        return tuple(iterable)
    raise Refused("only sequences known when the code is made become tuples")


@implements(builtins.list)
def list_(c: Context, iterable: object = ()) -> object:
    """A list of a sequence that is known now."""
    if isinstance(iterable, tuple | list | range):
        return list(iterable)
    raise Refused("only sequences known when the code is made become lists")


@implements(builtins.reversed)
def reversed_(c: Context, sequence: object) -> object:
    """A known sequence, or a range, from its end."""
    if isinstance(sequence, tuple | list):
        return tuple(reversed(sequence))
    if isinstance(sequence, range):
        return sequence[::-1]
    raise Refused(
        "only sequences known when the code is made are reversed", help="write a range with step -1"
    )
