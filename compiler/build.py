"""Which compiler this is: what cached code must be forgotten with."""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_ROOMS = ("compiler/backends/llvm", "compiler/python", "dialects", "passes", "runtime")
"""All that has a part in the code of kernels, from Python functions to calls."""
_APART = ("__pycache__", "providers", "scheduler", "trace")
_BLOCK = 1 << 20


@cache
def build_id() -> str:
    """The versions of flowc and of what makes its code; in a checkout also a hash of the compiler's text."""
    import llvmlite
    import numpy as np

    from flowc import __version__

    versions = [f"flowc {__version__}", f"llvmlite {llvmlite.__version__}", f"numpy {np.__version__}"]
    root = Path(__file__).resolve().parent.parent
    if (root / "pyproject.toml").is_file():
        versions.append(_hash_of_text(str(root)))
    return ", ".join(versions)


def _hash_of_text(root: str) -> str:
    """Every process of a checkout waits for it, so files are read by the system's own calls: `pathlib` takes
    three times as long."""
    found = hashlib.sha256()
    for room in _ROOMS:
        for path in _texts(f"{root}/{room}"):
            file = os.open(path, os.O_RDONLY)
            try:
                found.update(f"\0{path[len(root) :]}\0".encode())
                while block := os.read(file, _BLOCK):
                    found.update(block)
            finally:
                os.close(file)
    return found.hexdigest()


def _texts(folder: str) -> Iterator[str]:
    """The files of a folder and of those in it that the compiler is made of, in one order."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        if name.endswith((".py", ".ll")):
            yield f"{folder}/{name}"
        elif "." not in name and name not in _APART:
            yield from _texts(f"{folder}/{name}")
