"""The program of a child process that launches emulated kernels; `launching.py` starts it by its path.

Its argument is a folder with `launches.json` and a file of bytes for each array, which it changes.
"""

import ctypes
import json
import sys
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_longlong, c_uint, c_void_p
from pathlib import Path

FUNCTION, LAUNCH, ALLOCATE, RELEASE = 2, 3, 4, 5
"""Words of the device's table."""


def main(folder: Path) -> None:
    """Runs all launches, one after the other."""
    given = json.loads((folder / "launches.json").read_text())
    library = ctypes.CDLL(given["library"])
    make = library.flowc_emulated_device
    make.restype, make.argtypes = c_void_p, (c_char_p, c_uint, c_longlong)
    words = (c_void_p * 9).from_address(make(given["order"].encode(), given["seed"], 1 << 30))
    launch = CFUNCTYPE(c_int, c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), c_void_p)(
        words[LAUNCH] or 0
    )
    allocate = CFUNCTYPE(c_void_p, c_void_p, c_longlong)(words[ALLOCATE] or 0)
    release = CFUNCTYPE(None, c_void_p, c_void_p, c_longlong)(words[RELEASE] or 0)
    functions = (c_void_p * 4096).from_address(words[FUNCTION] or 0)
    arrays = {}
    for name in given["arrays"]:
        content = (folder / name).read_bytes()
        arrays[name] = allocate(None, len(content)), len(content)
        ctypes.memmove(arrays[name][0], content, len(content))
    for each in given["launches"]:
        rooms = []
        for kind, value in each["parameters"]:
            content = arrays[value][0].to_bytes(8, "little") if kind == "array" else bytes.fromhex(value)
            rooms.append(ctypes.create_string_buffer(content, len(content)))
        pointers = (c_void_p * max(len(rooms), 1))(*[ctypes.addressof(room) for room in rooms])
        sizes = [*each["grid"], *each["block"], each["shared"]]
        status = launch(functions[each["kernel"]], *sizes, None, pointers, None)
        if status:
            sys.exit(f"the launch is refused with {status}")
    for name, (address, size) in arrays.items():
        (folder / name).write_bytes(ctypes.string_at(address, size))
        release(None, address, size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
