"""Hand-written C: how fast the kernels can be on this machine, and what its memory and units give.

Compiled once with the system's C compiler for this processor; without one, or without AVX-512, there are
no floors.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

# The parts of -ffast-math that matter; as a whole it makes the process that loads the code flush subnormals.
MATHS = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno")
FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", *MATHS, "-fopenmp", "-shared", "-fPIC")
SOURCES = ("calibration.c", "rows.c", "scans.c", "products.c")


@cache
def library() -> ctypes.CDLL:
    """The compiled floors. Raises OSError where they cannot be had."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise OSError("there is no C compiler")
    paths = [Path(__file__).with_name(name) for name in SOURCES]
    header = Path(__file__).with_name("vectors.h")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [header, *paths]))
    digest.update(" ".join((*FLAGS, platform.node())).encode())
    target = Path(__file__).with_name("build") / f"{digest.hexdigest()[:16]}.so"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}")
        command = [compiler, *FLAGS, *map(str, paths), "-lm", "-o", str(partial)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"the floors do not compile: {done.stderr.strip().splitlines()[:1]}")
        partial.replace(target)
    return ctypes.CDLL(str(target))


def call(name: str, *arguments: Any, result: Any = None) -> Any:
    """Calls a C function with arrays as pointers, whole numbers as long and others as float."""
    getattr(library(), name)(*map(_converted, arguments))
    return result


def aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """A touched buffer that begins on a cache line, as non-temporal stores want it."""
    kind = np.dtype(dtype)
    count = int(np.prod(shape)) * kind.itemsize
    memory = np.zeros(count + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + count].view(kind).reshape(shape)


def _converted(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_float(value) if isinstance(value, float) else ctypes.c_long(value)
