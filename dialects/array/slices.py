"""Slices as data: `"1:$0:2, ::-1"`, where `$0` stands for the first dynamic bound.

An absent bound, a number and a dynamic bound mean what they do in Python: negative ones count from the end,
and all are clipped to the axis. The step is a number.
"""

import re

from attrs import frozen

from flowc.dialects.array.types import Extent

Bound = int | str | None
"""A number, the dynamic bound `"$0"`, or None where it is left out."""


@frozen
class AxisSlice:
    """`start:stop:step` of one axis."""

    start: Bound = None
    stop: Bound = None
    step: int = 1

    @property
    def is_full(self) -> bool:
        """Whether the axis is taken whole and forwards."""
        return self.start in (None, 0) and self.stop is None and self.step == 1


@frozen
class SliceSpec:
    """The slices of the leading axes; axes beyond them are taken whole."""

    axes: tuple[AxisSlice, ...]

    def __str__(self) -> str:
        return ", ".join(_axis_text(axis) for axis in self.axes)


_AXIS = re.compile(r"\s*(-?\d+|\$\d+)?\s*:\s*(-?\d+|\$\d+)?\s*(?::\s*(-?\d+)?)?\s*")


def parse_slice(text: str) -> SliceSpec:
    """Reads what `str(SliceSpec)` writes; raises ValueError on anything else.

    >>> str(parse_slice("1:$0, ::-1"))
    '1:$0, ::-1'
    """
    axes = []
    for part in text.split(",") if text.strip() else ():
        found = _AXIS.fullmatch(part)
        if found is None:
            raise ValueError(f"not a slice: {part.strip()!r}")
        start, stop, step = found.groups()
        axes.append(AxisSlice(_bound(start), _bound(stop), int(step) if step else 1))
    return SliceSpec(tuple(axes))


def dynamic_bounds(spec: SliceSpec) -> int:
    """How many dynamic bounds the slice refers to."""
    named = {bound for axis in spec.axes for bound in (axis.start, axis.stop) if isinstance(bound, str)}
    return len(named)


def sliced_extent(extent: Extent, axis: AxisSlice) -> Extent:
    """The extent that a slice leaves, "" where only the run knows it."""
    if axis.is_full:
        return extent
    if axis.start is None and axis.stop is None and axis.step == -1:
        return extent
    if isinstance(extent, int) and not isinstance(axis.start, str) and not isinstance(axis.stop, str):
        return len(range(*slice(axis.start, axis.stop, axis.step).indices(extent)))
    return ""


def _bound(text: str | None) -> Bound:
    if not text:
        return None
    return text if text.startswith("$") else int(text)


def _axis_text(axis: AxisSlice) -> str:
    start = "" if axis.start is None else str(axis.start)
    stop = "" if axis.stop is None else str(axis.stop)
    return f"{start}:{stop}" if axis.step == 1 else f"{start}:{stop}:{axis.step}"
