"""Native kernels at run time: object code in, Python callables out.

A kernel is one C function, `int64 name(const int64 *words)`. The words are, first, one for each argument: for
a number its value, floats as the bits of a double; for an array the address of what holds it. Then the same
for each result. Then the offset at which a holder has the address of the elements; then for each array
argument its extents and its strides in elements; then for each result its extents. It returns 0 or a status,
and neither allocates Python objects nor calls back.
"""

import hashlib
from collections.abc import Sequence
from ctypes import CFUNCTYPE, c_char_p, c_int64
from typing import Any

from flowc.runtime.errors import fail
from flowc.runtime.kernel_arguments import fitting
from flowc.runtime.kernel_calls import Prepared, frame, prepare
from flowc.runtime.kernel_signature import (
    Extent,
    KernelSignature,
    Parameter,
    Result,
    signature_from_json,
    signature_to_json,
)

__all__ = [
    "Extent",
    "Kernel",
    "KernelSignature",
    "Parameter",
    "Result",
    "load",
    "sealed",
    "signature_from_json",
    "signature_to_json",
    "symbol",
]

REMEMBERED = 4096
"""How many combinations of shapes a kernel remembers before it forgets all."""


class Kernel:
    """A callable on NumPy arrays and numbers, safe to use from several threads at once; releases the GIL."""

    def __init__(self, signature: KernelSignature, address: int, memory: object) -> None:
        import numpy as np

        self.signature = signature
        self._memory = memory  # the code lives in it
        self._array: Any = np.ndarray
        self._frame = frame(signature, CFUNCTYPE(c_int64, c_char_p)(address))
        self._prepared: dict[tuple[object, ...], Prepared] = {}

    def __call__(self, *arguments: object, out: object = None) -> Any:
        """The result, or a tuple of several; with `out`, written there, one array or a tuple of them.

        Raises FlowError where arguments, values or buffers do not fit. A buffer may be any array of the
        result's shape and dtype: one that overlaps an argument, or has gaps, is filled at the end.
        """
        call = self._prepared.get(self._key(arguments))
        if call is None:
            arguments, call = self.prepare(arguments)
        return call(arguments, out)

    def prepare(self, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], Prepared]:
        """The arguments in a form that native code takes, and the call for such; raises FlowError."""
        ready = fitting(self.signature, arguments)
        key = self._key(ready)
        call = self._prepared.get(key)
        if call is None:
            if len(self._prepared) >= REMEMBERED:
                self._prepared.clear()
            call = self._prepared[key] = prepare(self._frame, ready)
        return ready, call

    def _key(self, arguments: tuple[Any, ...]) -> tuple[object, ...]:
        array = self._array
        return tuple([(x.dtype, x.shape, x.strides) if type(x) is array else type(x) for x in arguments])


_SEAL = b"flowc-sha256:"


def sealed(object_code: bytes) -> bytes:
    """Object code with its checksum behind it, where tools for object files do not look."""
    return object_code + _SEAL + hashlib.sha256(object_code).digest()


def unsealed(data: bytes) -> bytes:
    """The object code in what `sealed` gave; raises FlowError where a byte has changed.

    LLVM crashes on damaged object code, so it must never see any.
    """
    size = len(data) - len(_SEAL) - hashlib.sha256().digest_size
    code = data[: max(size, 0)]
    if data != sealed(code):
        raise fail(
            "E0695",
            "the object code of the kernels is damaged",
            why="its checksum does not fit its content",
            help="compile the program again",
        )
    return code


def load(object_code: bytes, signatures: Sequence[KernelSignature]) -> dict[str, Kernel]:
    """Maps sealed object code into the process and gives its kernels by name."""
    code = unsealed(object_code)
    from flowc.runtime.native.library import library
    from flowc.runtime.native.linking import link

    found = link(code, [symbol(s.name) for s in signatures], library().addresses)
    return {s.name: Kernel(s, found.addresses[symbol(s.name)], found.memory) for s in signatures}


def symbol(name: str) -> str:
    """The name of a kernel's function in object code."""
    return f"flowc_{name}"
