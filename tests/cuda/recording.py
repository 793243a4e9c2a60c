"""A device that does nothing but write down what host code asks of it, in host memory."""

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import CFUNCTYPE, c_int, c_int64, c_uint, c_void_p
from typing import Any

from attrs import define, field, frozen

from flowc.compiler.backends.cuda.module import DeviceModule, emit_module
from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.backends.llvm.target import assemble
from flowc.runtime import processor
from flowc.runtime.device.product import WORDS, Product, product_of
from flowc.runtime.kernel_arguments import fitting
from flowc.runtime.kernel_calls import frame, prepare
from flowc.runtime.kernels import symbol
from flowc.runtime.native.linking import link
from tests.cuda.written import lowering, module_of

_LAUNCH = CFUNCTYPE(c_int, c_void_p, *[c_uint] * 7, c_void_p, ctypes.POINTER(c_void_p), c_void_p)
_ALLOCATE = CFUNCTYPE(c_void_p, c_void_p, c_int64)
_RELEASE = CFUNCTYPE(None, c_void_p, c_void_p, c_int64)
_MOVE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int64)
_PRODUCT = CFUNCTYPE(c_int, c_void_p, ctypes.POINTER(c_int64))
CONTEXT, STREAM = 0x1000, 0x2000
FUNCTIONS = 16


class Table(ctypes.Structure):
    _fields_ = (
        ("context", c_void_p),
        ("stream", c_void_p),
        ("functions", ctypes.POINTER(c_void_p)),
        ("launch", _LAUNCH),
        ("allocate", _ALLOCATE),
        ("release", _RELEASE),
        ("read", _MOVE),
        ("copy", _MOVE),
        ("product", _PRODUCT),
    )


@frozen
class Launch:
    """What a launch was given; parameters are read as `kinds` of the recorder say, as letters of struct."""

    function: int
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared: int
    parameters: tuple[Any, ...]


@define
class Recorder:
    """Notes launches, copies and products. `fails` names functions that shall fail, with the number of the
    call that does, from 0."""

    kinds: Sequence[str] = ()
    fails: dict[str, int] = field(factory=dict)
    launches: list[Launch] = field(factory=list)
    copies: list[tuple[int, int, int]] = field(factory=list)
    products: list[Product] = field(factory=list)
    events: list[str] = field(factory=list)
    live: dict[int, tuple[int, Any]] = field(factory=dict)
    sizes: list[int] = field(factory=list)

    def table(self) -> Table:
        """The table; it must be kept while it is used."""
        handles = (c_void_p * FUNCTIONS)(*range(100, 100 + FUNCTIONS))
        return Table(
            CONTEXT,
            STREAM,
            handles,
            _LAUNCH(self._launch),
            _ALLOCATE(self._allocate),
            _RELEASE(self._release),
            _MOVE(self._read),
            _MOVE(self._copy),
            _PRODUCT(self._product),
        )

    def _failing(self, name: str) -> bool:
        self.events.append(name)
        return self.fails.get(name) == self.events.count(name) - 1

    def _launch(self, function: int, *rest: Any) -> int:
        *sizes, stream, parameters, extra = rest
        assert stream == STREAM
        assert not extra
        place = function - 100
        kinds = self.kinds[place] if place < len(self.kinds) else ""
        values = tuple(
            struct.unpack(kind, ctypes.string_at(parameters[number], struct.calcsize(kind)))[0]
            for number, kind in enumerate(kinds)
        )
        self.launches.append(Launch(place, tuple(sizes[:3]), tuple(sizes[3:6]), sizes[6], values))
        return int(self._failing("launch"))

    def _allocate(self, context: int, size: int) -> int | None:
        assert context == CONTEXT
        if self._failing("allocate"):
            return None
        block = (ctypes.c_char * size)()
        self.live[ctypes.addressof(block)] = (size, block)
        self.sizes.append(size)
        return ctypes.addressof(block)

    def _release(self, context: int, pointer: int, size: int) -> None:
        assert context == CONTEXT
        self.events.append("release")
        known, _ = self.live.pop(pointer)
        assert known == size

    def _read(self, context: int, to: int, source: int, size: int) -> int:
        assert context == CONTEXT
        ctypes.memmove(to, source, size)
        return int(self._failing("read"))

    def _copy(self, context: int, to: int, source: int, size: int) -> int:
        assert context == CONTEXT
        ctypes.memmove(to, source, size)
        self.copies.append((to, source, size))
        return int(self._failing("copy"))

    def _product(self, context: int, description: Any) -> int:
        assert context == CONTEXT
        self.products.append(product_of(description[:WORDS]))
        return int(self._failing("product"))


def host_code(kernel: str, text: str, layouts: tuple[str, ...]) -> DeviceModule:
    """Hand-written code of a kernel, whose head is .flow text with any body, as LLVM text and functions."""
    return emit_module(kernels_of(module_of(kernel)), processor.host(), layouts, lowering(text))


@contextmanager
def loaded(made: DeviceModule, recorder: Recorder) -> Iterator[Callable[[bytes], int]]:
    """The C function of the only kernel of a module, with the address of the table put behind its words."""
    (signature,) = made.signatures
    code = assemble(made.host, processor.host()).object_code
    linked = link(code, [symbol(signature.name)], {})
    table = recorder.table()
    last = ctypes.addressof(table).to_bytes(8, "little")
    function: Callable[[bytes], int] = CFUNCTYPE(c_int64, ctypes.c_char_p)(
        linked.addresses[symbol(signature.name)]
    )
    yield lambda words: function(words + last)


def run(
    made: DeviceModule, recorder: Recorder, arguments: Sequence[Any], out: tuple[Any, ...] | None = None
) -> Any:
    """Calls the only kernel of a module with a recording device; gives what the call gives."""
    (signature,) = made.signatures
    with loaded(made, recorder) as native:
        ready = fitting(signature, arguments)
        return prepare(frame(signature, native), ready)(ready, out)
