"""The GPU that is here: which of CUDA its driver suits, what it calls itself, what it can do at most.

`python -m benchmarks.gpu.card` prints the extra of flowc that fits the driver, and nothing where there is no
GPU.
"""

import ctypes
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.rounds import ROOT
from flowc.runtime.device.driver import driver

FIELDS = {
    "name": "name",
    "driver": "driver_version",
    "memory": "memory.total",
    "most clock": "clocks.max.sm",
    "most memory clock": "clocks.max.mem",
    "power limit": "power.limit",
}
"""What is told of a card, and what nvidia-smi calls it."""
CLOCKS = {"clock": "clocks.sm", "memory clock": "clocks.mem", "temperature": "temperature.gpu"}
"""What changes while it works."""
SIDE, COPIED = 8192, 1 << 30
SAMPLES = 20


def suitable_extra(library: Callable[[], Any] = driver) -> str:
    """The extra of flowc for this machine's driver, empty where there is no driver or no GPU."""
    version, count = ctypes.c_int(), ctypes.c_int()
    try:
        found = library()
    except OSError:
        return ""
    if found.cuInit(0) or found.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return ""
    found.cuDriverGetVersion(ctypes.byref(version))
    return "cuda13" if version.value >= 13000 else "cuda12"


def described(fields: Mapping[str, str] = FIELDS) -> dict[str, str]:
    """What nvidia-smi says of the first GPU; empty without it."""
    if shutil.which("nvidia-smi") is None:
        return {}
    asked = ["nvidia-smi", "--id=0", f"--query-gpu={','.join(fields.values())}", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return fields_in(done.stdout, fields) if done.returncode == 0 else {}


def fields_in(line: str, fields: Mapping[str, str] = FIELDS) -> dict[str, str]:
    """A line of nvidia-smi's by what its fields mean.

    >>> fields_in("1980 MHz, 3201 MHz, 51", CLOCKS)
    {'clock': '1980 MHz', 'memory clock': '3201 MHz', 'temperature': '51'}
    """
    return dict(zip(fields, (word.strip() for word in line.strip().split(",")), strict=False))


def memory() -> int:
    """The bytes of the first GPU; 0 where nobody says."""
    words = described().get("memory", "").split()
    return int(words[0]) << 20 if len(words) == 2 and words[1] == "MiB" else 0


def ceilings() -> Mapping[str, float]:
    """Bytes a second of a copy, read and written ones counted, and operations a second of cuBLAS's products
    by type, in a process of its own."""
    asked = [sys.executable, "-m", "benchmarks.gpu.ceilings", str(SIDE), str(COPIED), str(SAMPLES)]
    done = subprocess.run(asked, cwd=Path(ROOT), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    print(suitable_extra())
