"""Extents to decide by where a call does not say them: the sizes that arrays usually have."""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_extents import Expression
from flowc.runtime.kernel_calls import sizer

ELEMENTS = (1 << 12, 1 << 16, 1 << 20)
"""Elements of the largest array whose dimensions are all named: for each of the caches."""
MOST = 1 << 31
"""Of an extent: a kernel may say any number."""

Sizes = Callable[[Expression], int]


@frozen
class _Shaped:
    """What an extent asks of an argument: its shape, or its value if it is a number."""

    shape: tuple[int, ...]

    def __int__(self) -> int:
        return 1


def usual_sizes(kernel: KernelOp, elements: Sequence[int] = ELEMENTS) -> Sequence[Sizes]:
    """The extents of a kernel's values in calls whose largest array has so many elements; one call where no
    dimension is open."""
    shapes = [shape_of(argument.type) for argument in kernel.body.block.args]
    most = max((len({dim for dim in shape if not _said(dim)}) for shape in shapes), default=0)
    edges = [round(count ** (1 / most)) for count in elements] if most else [1]
    return [
        sizes_of([tuple(dim if isinstance(dim, int) else edge for dim in shape) for shape in shapes])
        for edge in edges
    ]


def sizes_of(shapes: Sequence[tuple[int, ...]]) -> Sizes:
    """The extents of values in a call whose arguments have these shapes; 1 where only the call knows."""
    arguments = [_Shaped(shape) for shape in shapes]
    known: dict[Expression, int] = {}
    nothing: Mapping[str, int] = {}

    def size(extent: Expression) -> int:
        if isinstance(extent, int):
            return extent
        if extent not in known:
            try:
                known[extent] = min(max(sizer(extent)(nothing, arguments), 1), MOST)
            except (KeyError, ValueError, IndexError):
                known[extent] = 1
        return known[extent]

    return size


def _said(dim: object) -> bool:
    return isinstance(dim, int)
