"""In which order of its axes an array lies in memory, where a program says so: `order=`."""

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.orders import orders_of
from flowc.compiler.python.numeric.values import Array
from flowc.dialects.array import build

AS_IT_LIES = ("A", "K", None)
"""The orders that follow another array; None is what NumPy has where nothing is said."""


def in_columns(c: Context, order: object, like: object = None) -> bool:
    """Whether `order=` asks for columns, or follows an array that lies in them.

    Raises Refused for what is no order, and for one that has nothing to follow.
    """
    known = c.static(order, "the order of axes")
    if known in ("C", "F") or (known is None and like is None):
        return known == "F"
    if known not in AS_IT_LIES or like is None:
        raise Refused(
            f"`order={known!r}` has no native form here", help="write 'C' for rows, 'F' for columns"
        )
    if not isinstance(like, Array):
        return False
    value, axes = c.value(like), range(len(like.shape))
    return orders_of(c.block, c.rows).get(value) == tuple(reversed(axes))


def arranged(c: Context, array: object, order: object) -> object:
    """A copy in an order; `A` and `K` take over that of the array."""
    columns = in_columns(c, order, array)
    if not isinstance(array, Array):
        return array
    value = c.value(array)
    if order in AS_IT_LIES:
        return c.array(value)
    return (
        turned(c, c.array(c.pinned(c.emit(build.transpose(value))))) if columns else c.array(c.pinned(value))
    )


def turned(c: Context, array: object) -> object:
    """The transpose; a view."""
    return c.view(array, build.transpose) if isinstance(array, Array) else array
