"""What a name can stand for while a numeric function is translated.

A `Number` or an `Array` is known at run time only. Anything else is a Python object that is known now:
numbers, texts, dtypes, functions, modules, None, and tuples or lists of values.
"""

from collections.abc import Callable

from attrs import define, frozen
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.dialects.array.types import Shape, dtype_of, shape_of

View = Callable[[SSAValue], Operation]
"""A view operator, given what it views."""


Origin = tuple[object, ...]
"""Where an array is made: the statements that led there, and its number among those made there."""


@frozen(eq=False)
class Number:
    """A number of the run. A weak one is Python's own: it takes the dtype of the arrays that it meets."""

    value: SSAValue
    weak: bool = False
    parameter: str = ""

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return dtype_of(self.value.type)


NUMBERS = (Number, bool, int, float)
"""What is a number, of the run or known now."""


@define(eq=False)
class Storage:
    """What one array object holds: a value that never changes, or memory.

    `origin` says where the array is made; `depth` in how many loops; `parameter` is the name of the
    argument it is. `copied` are the storages of which NumPy would show one again where this is a copy of it;
    `given` says that the caller sees it, through the views `shown`.
    """

    origin: Origin
    depth: int
    type: Attribute
    value: SSAValue | None = None
    ref: SSAValue | None = None
    parameter: str = ""
    writes: int = 0
    copied: tuple["Storage", ...] = ()
    given: bool = False
    shown: tuple[View, ...] = ()

    @property
    def roots(self) -> frozenset["Storage"]:
        """What NumPy may have shown in the place of this storage, had it not been copied."""
        found, pending = {self}, [self]
        while pending:  # names that swap in a loop are copies of each other
            more = set(pending.pop().copied) - found
            found |= more
            pending += more
        return frozenset(found)


@frozen(eq=False)
class Array:
    """An array object: a storage, seen through views. Two names may share one, as in NumPy."""

    storage: Storage
    type: Attribute
    views: tuple[View, ...] = ()

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return dtype_of(self.type)

    @property
    def shape(self) -> Shape:
        """What is known of the extents."""
        return shape_of(self.type)


@frozen(eq=False)
class Masked:
    """`values[mask]`: as many elements as the mask has true ones, kept in place until they are reduced."""

    values: SSAValue
    mask: SSAValue


@frozen(eq=False)
class Listed:
    """A list as long as only the run knows: what it holds, along the first axis."""

    array: Array


def is_run_time(value: object) -> bool:
    """Whether a value is known at run time only."""
    return isinstance(value, Number | Array | Masked | Listed)
