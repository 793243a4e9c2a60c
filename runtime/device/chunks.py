"""Calls by pieces: rows go to the device, through the kernel and back while others are on their way.

A kernel whose signature says so (`chunked`) gives for some rows what it gives for all, so a call may be cut
into calls of its parts. That is done where its arrays do not fit on the device at once, and where they come
from host memory and are so large that copies and work should overlap. Two lanes take turns; a piece waits in
pinned memory, which the device reaches while the processor goes on.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import prod
from typing import Any

from attrs import define, field, frozen

from flowc.runtime.buffers import empty
from flowc.runtime.device.arguments import Given
from flowc.runtime.device.calls import Native, OutOfMemory, perform
from flowc.runtime.device.outputs import Destination
from flowc.runtime.device.site import Site
from flowc.runtime.device.table import Lane
from flowc.runtime.device.transfers import Shape, needed, placed
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.kernel_calls import shapes
from flowc.runtime.kernel_signature import KernelSignature

OVERLAPPED = 32 << 20
"""Bytes on their way from or to host memory from which on a call goes by pieces, whether or not it fits."""
PIECE = 8 << 20
"""Bytes of a piece: enough that copying them takes many times as long as giving the orders."""
LOOKED_UP = 64 << 20
"""Bytes from which on it is looked up how much memory there is: to ask takes longer than a small call."""
IN_FLIGHT = 2
"""Pieces under way at once."""


@frozen
class Cut:
    """How a call is cut: so many rows a piece, of `extent` rows in all."""

    rows: int
    extent: int

    def pieces(self) -> list[tuple[int, int]]:
        """The first row of each piece, and the one behind its last."""
        return [(low, min(low + self.rows, self.extent)) for low in range(0, self.extent, self.rows)]


def may_cut(signature: KernelSignature) -> bool:
    """Whether calls can be cut: results by their first axis. A kernel that changes its arguments is not: a
    call that runs out of memory on its way could not be made again."""
    axes = signature.chunked
    parameters, results = axes[: len(signature.params)], axes[len(signature.params) :]
    return (
        any(axis is not None for axis in parameters)
        and all(axis == 0 for axis in results)
        and not any(each.written for each in signature.params)
    )


def cut(
    signature: KernelSignature,
    given: Sequence[Given],
    extents: Sequence[Shape],
    targets: Sequence[Destination],
    free_bytes: Callable[[], int],
    limit: int | None = None,
) -> Cut | None:
    """How to cut a call, None where it goes as a whole. It may take what the device has free, and no more
    than the limit."""
    if not may_cut(signature):
        return None
    whole, moving = needed(signature, given, extents, targets), _moving(signature, given, extents, targets)
    extent = _extent(signature, given)
    if not moving or not extent:
        return None
    most = whole if limit is None else limit
    if whole >= LOOKED_UP:
        most = min(most, free_bytes())
    if whole > most:
        row = -(-moving // extent)
        return Cut(max(min((most - (whole - moving)) // (IN_FLIGHT * row), extent), 1), extent)
    rows = max(PIECE * extent // moving, 1)
    return Cut(rows, extent) if moving >= OVERLAPPED and rows < extent else None


def smaller(signature: KernelSignature, given: Sequence[Given], before: Cut | None) -> Cut | None:
    """Pieces of a quarter of the rows of those that were too large; None where there are none."""
    if not may_cut(signature):
        return None
    extent = _extent(signature, given)
    rows = extent if before is None else before.rows
    return Cut(max(rows // 4, 1), extent) if rows > 1 else None


def _extent(signature: KernelSignature, given: Sequence[Given]) -> int:
    """The rows of a call."""
    return next(
        int(each.value.shape[axis])
        for each, axis in zip(given, signature.chunked, strict=False)
        if axis is not None
    )


def _moving(
    signature: KernelSignature,
    given: Sequence[Given],
    extents: Sequence[Shape],
    targets: Sequence[Destination],
) -> int:
    """Bytes that are cut and go from or to host memory."""
    size = sum(
        int(each.value.nbytes)
        for each, axis in zip(given, signature.chunked, strict=False)
        if axis is not None and each.uploaded
    )
    for result, shape, target in zip(signature.results, extents, targets, strict=True):
        if not target.on_device:
            size += prod(shape) * numpy_dtype(result.dtype).itemsize
    return size


def run_pieces(
    native: Native,
    site: Site,
    given: Sequence[Given],
    extents: Sequence[Shape],
    targets: Sequence[Destination],
    how: Cut,
) -> list[Any]:
    """Does a call by pieces; gives its results. Raises as `perform` does, and leaves arguments as they were
    until all pieces are done."""
    device = site.device
    stream = device.current_stream()
    with ExitStack() as stack:
        lanes = [stack.enter_context(site.lane()) for _ in range(IN_FLIGHT)]
        try:
            with device.on(stream):  # results are the caller's: their memory goes back in its order
                arrays = _homes(native, site, extents, targets)
            stream.wait()  # for these, and arrays that lie on the device already
            with device.on(lanes[0].own):
                whole = [_whole(each, axis, lanes[0]) for each, axis in _paired(native, given)]
            lanes[0].own.wait()
            pipes = [_Pipe(native, lane, given, targets, whole, arrays) for lane in lanes]
            for number, (low, high) in enumerate(how.pieces()):
                pipes[number % IN_FLIGHT].send(low, high)
            for pipe in pipes:
                pipe.collect()
        except MemoryError as error:
            raise OutOfMemory(str(error)) from error
        finally:
            for lane in lanes:
                lane.own.wait()
    with device.on(stream):
        return [_settled(each, array) for each, array in zip(targets, arrays, strict=True)]


def _homes(native: Native, site: Site, extents: Sequence[Shape], targets: Sequence[Destination]) -> list[Any]:
    """The arrays that results of pieces go to: new ones where a destination is shared with an argument, whose
    rows are still to be read."""
    homes = []
    for each, shape, result in zip(targets, extents, native.frame.signature.results, strict=True):
        make = site.device.empty if each.on_device else empty
        made = each.shared or each.array is None
        homes.append(make(shape, numpy_dtype(result.dtype)) if made else each.array)
    return homes


def _settled(target: Destination, array: Any) -> Any:
    """A result where it belongs, after all pieces."""
    if target.array is None or target.array is array:
        return array
    target.array[...] = array
    return target.array


def _paired(native: Native, given: Sequence[Given]) -> list[tuple[Given, int | None]]:
    return list(zip(given, native.frame.signature.chunked, strict=False))


def _whole(each: Given, axis: int | None, lane: Lane) -> Any:
    """What every piece gets as a whole: a number, or an array that is copied once."""
    return placed(lane.device, each, lane.own) if axis is None else None


def _rows(array: Any, axis: int, low: int, high: int) -> Any:
    return array[(slice(None),) * axis + (slice(low, high),)]


@define(eq=False)
class _Pipe:
    """A lane that pieces go through, one after the other; `landing` is where the last one's results belong,
    and the pinned bytes that they come to."""

    native: Native
    lane: Lane
    given: Sequence[Given]
    targets: Sequence[Destination]
    whole: Sequence[Any]
    arrays: Sequence[Any]
    landing: list[tuple[Any, Any]] = field(factory=list)
    kept: list[Any] = field(factory=list)

    def send(self, low: int, high: int) -> None:
        """Puts a piece on its way, after the one before has arrived."""
        self.collect()
        lane, device = self.lane, self.lane.device
        with device.on(lane.own):
            pairs = enumerate(_paired(self.native, self.given))
            values = [
                self.whole[place] if axis is None else self._sent(place, each, axis, low, high)
                for place, (each, axis) in pairs
            ]
            signature = self.native.frame.signature
            made = []
            for shape, result, target, array in zip(
                shapes(self.native.frame, values), signature.results, self.targets, self.arrays, strict=True
            ):
                part = array[low:high]
                straight = target.on_device and (target.direct or target.shared)
                made.append(part if straight else device.empty(shape, numpy_dtype(result.dtype)))
            perform(self.native, lane, lane.own, values, made)
            self._fetch(made, low, high)
            self.kept = [*values, *made]

    def _sent(self, place: int, each: Given, axis: int, low: int, high: int) -> Any:
        """The rows of an argument on the device."""
        rows = _rows(each.value, axis, low, high)
        if each.on_device:
            return rows if axis == 0 else rows.copy(order="C")
        array = self.lane.device.empty(rows.shape, rows.dtype)
        stage = self._stage(place, rows)
        stage[...] = rows
        self.lane.device.put(stage, array, self.lane.own)
        return array

    def _stage(self, place: int, like: Any) -> Any:
        size = max(like.size, 1) * like.dtype.itemsize
        return self.lane.stage(place, size)[: like.nbytes].view(like.dtype).reshape(like.shape)

    def _fetch(self, made: Sequence[Any], low: int, high: int) -> None:
        """Has what is for host memory come to pinned bytes, and copies what stays on the device in place."""
        results = zip(self.targets, self.arrays, made, strict=True)
        for place, (target, array, part) in enumerate(results, len(self.given)):
            if not target.on_device:
                self._land(place, array[low:high], part)
            elif not (target.direct or target.shared):
                array[low:high][...] = part

    def _land(self, place: int, home: Any, array: Any) -> None:
        stage = self._stage(place, home)
        self.lane.device.get(array, stage, self.lane.own)
        self.landing.append((home, stage))

    def collect(self) -> None:
        """Waits for the last piece, and puts its results where they belong."""
        self.lane.own.wait()
        for home, stage in self.landing:
            home[...] = stage
        self.landing.clear()
        self.lane.arena.empty()
        self.kept.clear()
