"""array-to-gpu: each array.kernel becomes a func.func of host code with launches of grids of threads.

The function takes the kernel's arguments, arrays as memrefs of device memory and numbers as they are, then
a memref per result. It returns 0, or the code of what went wrong with the number of the source line it
concerns.
"""

from flowc.passes.array_to_gpu.kernel import lower_kernel
from flowc.passes.array_to_gpu.limits import TOO_WIDE
from flowc.passes.array_to_gpu.unsupported import Unsupported

__all__ = ["TOO_WIDE", "Unsupported", "lower_kernel"]
