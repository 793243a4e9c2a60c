"""Which compiler this is: what cached code must be forgotten with."""

import hashlib
import os
from functools import cache
from pathlib import Path

from flowc.runtime import object_cache

_ROOMS = (
    "compiler/backends/cuda",
    "compiler/backends/llvm",
    "compiler/python",
    "dialects",
    "passes",
    "runtime",
)
"""All that has a part in the code of kernels, from Python functions to calls."""
_APART = ("__pycache__", "providers", "scheduler", "trace")


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
    """The hash of what the files say that the compiler is made of.

    Every process of a checkout waits for it, so it is kept on disk for files of these sizes that were changed
    at these times. Python, too, runs what it compiled from a file until one of the two changes.
    """
    texts = _texts(root)
    key = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    kept = object_cache.read(key)
    if kept is not None:
        return kept.decode()
    found = hashlib.sha256()
    for text in texts:
        path = text.split("\0")[0]
        found.update(f"\0{path[len(root) :]}\0".encode() + Path(path).read_bytes())
    object_cache.write(key, found.hexdigest().encode())
    return found.hexdigest()


def _texts(root: str) -> list[str]:
    """The files of the rooms: path, size, and the time of the last change, which nobody can set back.

    One plain loop, since a process may spend more time here than on its kernel.
    """
    found, folders = [], [f"{root}/{room}" for room in _ROOMS]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                name = entry.name
                if name.endswith((".py", ".ll", ".json")):
                    status = entry.stat()
                    found.append(f"{entry.path}\0{status.st_size}\0{status.st_ctime_ns}")
                elif "." not in name and name not in _APART:
                    folders.append(entry.path)
    found.sort()
    return found
