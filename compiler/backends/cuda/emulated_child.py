"""The program of a child process in which kernels for GPUs run on the processor; `emulated.py` starts it.

It is run by its path, so that it needs the runtime alone. Its argument is a folder: it reads `calls.json`,
`host.o` and the arrays there, and writes for the call of number N a file `N.json` with its outcome, last of
all, and the arrays that it names.
"""

import ctypes
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from ctypes import CFUNCTYPE, c_char, c_char_p, c_int64, c_uint, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from attrs import asdict, frozen

from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_arguments import fitting
from flowc.runtime.kernel_calls import Frame, frame, prepare, shapes
from flowc.runtime.kernel_signature import signature_from_json
from flowc.runtime.kernels import symbol, unsealed
from flowc.runtime.native.linking import link

ALIGNMENT = 16
"""Up to so many bytes arrays keep the alignment that they have in the parent."""


@frozen
class Machine:
    """The emulated device: its table's address, and memory on it."""

    table: int
    allocate: Callable[[int], int]
    release: Callable[[int, int], None]


class Memory:
    """Memory of the device for one call."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._held: list[tuple[int, int]] = []

    def bytes(self, size: int, skipped: int = 0) -> Any:
        """So many bytes behind `skipped` ones, as an array."""
        whole = max(size + skipped, 1)
        address = self._machine.allocate(whole)
        if not address:
            raise MemoryError(f"{whole} bytes on the emulated device")
        self._held.append((address, whole))
        room = memoryview((c_char * size).from_address(address + skipped))
        return np.ndarray((size,), np.uint8, room)

    def free(self) -> None:
        """Gives all of it back."""
        for address, size in self._held:
            self._machine.release(address, size)
        self._held.clear()


def main(folder: Path) -> None:
    """Runs all calls."""
    given = json.loads((folder / "calls.json").read_text())
    machine = _machine(given)
    signatures = {each["name"]: signature_from_json(each) for each in given["signatures"]}
    linked = link(unsealed((folder / "host.o").read_bytes()), [symbol(name) for name in signatures], {})
    last = machine.table.to_bytes(8, "little")

    def native(name: str) -> Callable[[bytes], int]:
        function = CFUNCTYPE(c_int64, c_char_p)(linked.addresses[symbol(name)])
        return lambda words: int(function(words + last))

    frames = {name: frame(signature, native(name)) for name, signature in signatures.items()}
    for call in given["calls"]:
        number, memory = call["number"], Memory(machine)
        try:
            outcome = _call(folder, number, frames[call["kernel"]], call["arguments"], memory)
        except FlowError as error:
            outcome = {"problem": asdict(error.problem)}
        memory.free()
        (folder / f"{number}.json").write_text(json.dumps(outcome))


def _machine(given: Mapping[str, Any]) -> Machine:
    library = ctypes.CDLL(given["library"])
    make = library.flowc_emulated_device
    make.restype, make.argtypes = c_void_p, (c_char_p, c_uint, c_int64)
    table = make(given["order"].encode(), given["seed"], given["memory"])
    words = (c_void_p * 6).from_address(table)
    allocate = CFUNCTYPE(c_void_p, c_void_p, c_int64)(words[4] or 0)
    release = CFUNCTYPE(None, c_void_p, c_void_p, c_int64)(words[5] or 0)
    context = words[0]
    return Machine(
        table,
        lambda size: allocate(context, size) or 0,
        lambda address, size: release(context, address, size),
    )


def _call(
    folder: Path, number: int, called: Frame, given: Sequence[Mapping[str, Any]], memory: Memory
) -> dict[str, Any]:
    signature = called.signature
    arguments = [_argument(folder, each, memory) for each in given]
    ready = fitting(signature, arguments)
    results = []
    for each, shape in zip(signature.results, shapes(called, ready), strict=True):
        dtype = numpy_dtype(each.dtype)
        room = memory.bytes(int(np.prod(shape)) * dtype.itemsize)
        results.append(room.view(dtype).reshape(shape))
    prepare(called, ready)(ready, tuple(results))
    for place, (parameter, argument) in enumerate(zip(signature.params, arguments, strict=True)):
        if parameter.written:
            _file(folder, number, f"argument{place}").write_bytes(argument.tobytes())
    for place, array in enumerate(results):
        _file(folder, number, f"result{place}").write_bytes(array.tobytes())
    return {"shapes": [array.shape for array in results]}


def _file(folder: Path, number: int, what: str) -> Path:
    return folder / f"{number}.{what}"


def _argument(folder: Path, given: Mapping[str, Any], memory: Memory) -> Any:
    """A number, or an array that lies as that of the parent does."""
    if "number" in given:
        return given["number"]
    content = np.frombuffer((folder / given["file"]).read_bytes(), np.uint8)
    room = memory.bytes(content.size, given["low"] % ALIGNMENT)
    room[...] = content
    array: Any = np.ndarray(
        given["shape"], numpy_dtype(given["dtype"]), room, given["offset"], given["strides"]
    )
    return array


if __name__ == "__main__":
    main(Path(sys.argv[1]))
