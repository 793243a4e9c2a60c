"""Which model decides, as a few letters: what code of kernels must be made anew for when it changes."""

import hashlib
from pathlib import Path

from flowc.passes.cost.place import folder
from flowc.runtime.machine import this_machine

MODELS = ("kernels.json", "choices.json")
"""The files that `flowc tune` leaves."""


def fingerprint() -> str:
    """The fingerprint of this machine and its models; nothing of them is read but size and time of change."""
    found = [this_machine(), *(_of(folder() / name) for name in MODELS)]
    return hashlib.sha256("\0".join(found).encode()).hexdigest()


def _of(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
