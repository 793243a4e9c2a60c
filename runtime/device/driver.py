"""NVIDIA's driver, the only library that a machine with a GPU has for certain."""

import ctypes
import sys
from functools import cache


@cache
def driver() -> ctypes.CDLL:
    """The library of the driver; raises OSError where there is none."""
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
