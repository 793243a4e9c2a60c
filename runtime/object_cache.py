"""A cache of object code on disk: content under a checksum, written atomically, bounded, silently absent
where it cannot be."""

import contextlib
import hashlib
import os
from pathlib import Path

from flowc.runtime.whole_files import write_whole

LIMIT = 256 << 20
"""Bytes that entries may take before those unused for longest go."""

_CHECKSUM = 32


def folder() -> Path:
    """Where entries lie; FLOWC_CACHE_DIR moves it."""
    chosen = os.environ.get("FLOWC_CACHE_DIR")
    if not chosen:
        from platformdirs import user_cache_dir

        chosen = user_cache_dir("flowc")
    return Path(chosen) / "kernels"


def read(key: str) -> bytes | None:
    """An entry, or None where there is none or it has been damaged or exchanged."""
    path = folder() / key
    try:
        if not path.is_file():  # what is no file may never end, as a pipe does
            return None
        data = path.read_bytes()
    except OSError:
        return None
    checksum, content = data[:_CHECKSUM], data[_CHECKSUM:]
    if _checksum(key, content) != checksum:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # so that `trim` knows what was used last
    return content


def write(key: str, content: bytes) -> None:
    """Stores an entry for later runs, if the folder can be written."""
    with contextlib.suppress(OSError):
        write_whole(folder() / key, _checksum(key, content) + content)
    if key.startswith("0"):  # one write in sixteen: looking at every entry takes milliseconds
        trim()


def _checksum(key: str, content: bytes) -> bytes:
    """Of the key too: an entry under another's name is damaged, as code of another function is."""
    return hashlib.sha256(key.encode() + content).digest()


def trim(limit: int | None = None) -> None:
    """Removes the entries unused for longest until the others take at most the limit.

    Other processes may read and write meanwhile: an entry that vanishes is one that was never there.
    """
    found: list[tuple[float, int, str]] = []
    try:
        with os.scandir(folder()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, entry.path))
    except OSError:
        return
    left = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if left <= (LIMIT if limit is None else limit):
            return
        with contextlib.suppress(OSError):
            Path(path).unlink()
        left -= size
