"""Which compiler this is: what cached code must be forgotten with."""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from flowc.runtime import object_cache

_ROOMS = ("compiler/backends/llvm", "compiler/python", "dialects", "passes", "runtime")
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
    texts = sorted(text for room in _ROOMS for text in _texts(f"{root}/{room}"))
    key = hashlib.sha256(repr(texts).encode()).hexdigest()
    kept = object_cache.read(key)
    if kept is not None:
        return kept.decode()
    found = hashlib.sha256()
    for path, *_ in texts:
        found.update(f"\0{path[len(root) :]}\0".encode() + Path(path).read_bytes())
    object_cache.write(key, found.hexdigest().encode())
    return found.hexdigest()


def _texts(folder: str) -> Iterator[tuple[str, int, int, int]]:
    """The files in a folder and in those below it: path, size, and the times of the last change, of which
    nobody can set the second back."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".py", ".ll")):
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            elif "." not in entry.name and entry.name not in _APART:
                yield from _texts(entry.path)
