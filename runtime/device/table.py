"""The functions of a device that host code of kernels calls, as a table in C's terms;
`compiler/backends/cuda/host.py` has them in C.

Its address is the last of a kernel's words. `launch` is the driver's own function: between two launches of a
kernel no Python runs, unless it allocates, reads or asks for a product of a library.
"""

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int, c_longlong, c_void_p
from typing import TYPE_CHECKING, Any

from attrs import define, field

from flowc.runtime.device.arena import Arena
from flowc.runtime.device.protocol import Block, Device, Stream

if TYPE_CHECKING:
    import numpy as np

_ALLOCATE = CFUNCTYPE(c_void_p, c_void_p, c_longlong)
_RELEASE = CFUNCTYPE(None, c_void_p, c_void_p, c_longlong)
_MOVE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_longlong)
_PRODUCT = CFUNCTYPE(c_int, c_void_p, c_void_p)


class Table(ctypes.Structure):
    """The table as host code reads it."""

    _fields_ = (
        ("context", c_void_p),
        ("stream", c_void_p),
        ("functions", c_void_p),
        ("launch", c_void_p),
        ("allocate", _ALLOCATE),
        ("release", _RELEASE),
        ("read", _MOVE),
        ("copy", _MOVE),
        ("product", _PRODUCT),
    )


class Refused(Exception):
    """Something that must not happen while launches are recorded."""


@define(eq=False)
class Lane:
    """What one call at a time needs on a device: a table, the arena of its temporaries, the stream that it is
    in, which may be the caller's, and one of its `own`. `stages` are pinned bytes by place, for arrays on
    their way.

    `problem` is what went wrong in a function of the table: C has no exceptions. While it is `recording`,
    host code may launch and copy, and allocate what there is already.
    """

    device: Device
    own: Stream
    stream: Stream
    table: Table = field(init=False)
    stages: "dict[int, np.ndarray[Any, Any]]" = field(factory=dict)
    arena: Arena = field(factory=Arena)
    recording: bool = False
    problem: BaseException | None = None
    cells: "ctypes.Array[c_longlong]" = field(factory=lambda: (c_longlong * 16)())

    def __attrs_post_init__(self) -> None:
        self.table = Table(
            allocate=_ALLOCATE(self._allocate),
            release=_RELEASE(self._release),
            read=_MOVE(self._read),
            copy=_MOVE(self._copy),
            product=_PRODUCT(self._product),
        )

    def enter(self, stream: Stream, functions: int, launcher: int) -> int:
        """Makes ready for a call in a stream, with the handles of functions at an address; gives the
        table's."""
        self.stream = stream
        self.problem = None
        self.table.stream = stream.address
        self.table.functions = functions
        self.table.launch = launcher
        return ctypes.addressof(self.table)

    def hold(self, addresses: list[int]) -> int:
        """Puts addresses of elements into cells, as words refer to them; gives the first cell's address."""
        if len(addresses) > len(self.cells):
            self.cells = (c_longlong * (2 * len(addresses)))()
        self.cells[: len(addresses)] = [*addresses]
        return ctypes.addressof(self.cells)

    def stage(self, place: int, size: int) -> "np.ndarray[Any, Any]":
        """Pinned bytes for the array at a place, the same for all pieces that fit."""
        found = self.stages.get(place)
        if found is None or found.size < size:
            found = self.stages[place] = self.device.pinned(size)
        return found[:size]

    def _allocate(self, context: int, size: int) -> int | None:
        try:
            return self.arena.take(size, self._make)
        except BaseException as error:
            self.problem = error
            return None

    def _make(self, size: int) -> Block:
        if self.recording:
            raise Refused("memory that was not there before")
        return self.device.block(size)

    def _release(self, context: int, pointer: int, size: int) -> None:
        self._tried(lambda: self.arena.give(pointer))

    def _read(self, context: int, to: int, source: int, size: int) -> int:
        return self._tried(lambda: self.device.read(to, source, size, self.stream), waits=True)

    def _copy(self, context: int, to: int, source: int, size: int) -> int:
        return self._tried(lambda: self.device.copy(to, source, size, self.stream))

    def _product(self, context: int, description: int) -> int:
        return self._tried(lambda: self.device.product(description, self.stream), waits=True)

    def _tried(self, action: Callable[[], None], *, waits: bool = False) -> int:
        try:
            if waits and self.recording:
                raise Refused("what waits for the device, or a library's own launches")
            action()
        except BaseException as error:
            self.problem = error
            return 1
        return 0
