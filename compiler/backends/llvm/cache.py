"""A cache of compiled kernels on disk: content under a checksum, written atomically, silently absent where it
cannot be."""

import hashlib
import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_dir

_CHECKSUM = 32


def folder() -> Path:
    """Where entries lie; FLOWC_CACHE_DIR moves it."""
    chosen = os.environ.get("FLOWC_CACHE_DIR")
    return Path(chosen or user_cache_dir("flowc")) / "kernels"


def read(key: str) -> bytes | None:
    """An entry, or None where there is none or it has been damaged."""
    try:
        data = (folder() / key).read_bytes()
    except OSError:
        return None
    checksum, content = data[:_CHECKSUM], data[_CHECKSUM:]
    return content if hashlib.sha256(content).digest() == checksum else None


def write(key: str, content: bytes) -> None:
    """Stores an entry for later runs, if the folder can be written."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder(), prefix=".new-")
    except OSError:
        return
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        path.replace(folder() / key)
    except OSError:
        path.unlink(missing_ok=True)
