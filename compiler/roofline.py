"""What this machine can do, measured when it is asked for.

The roofline of Williams, Waterman and Patterson, "Roofline: an insightful visual performance model" (CACM
2009), with the bandwidth of the caches for what fits them.
"""

import time
from collections.abc import Callable
from functools import cache

from attrs import frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import array_type
from flowc.runtime.kernels import Kernel, load

LEAST_BYTES, MOST_BYTES = 1 << 15, 1 << 27
"""Between these sizes, bandwidth is measured for each power of two."""

EDGE = 384
"""Rows and columns of a product whose matrices stay in the caches."""


@frozen
class Limit:
    """The least time of some work, whether memory takes it or arithmetic, and how much that does a second."""

    seconds: float
    by_memory: bool
    rate: float


def limit(moved: int, operations: int) -> Limit:
    """The time that the slower of the two takes: moving the bytes, or the operations."""
    bandwidth = _bandwidth(min(max(1 << (moved - 1).bit_length(), LEAST_BYTES), MOST_BYTES))
    memory, arithmetic = moved / bandwidth, operations / _peak()
    if memory >= arithmetic:
        return Limit(memory, True, bandwidth)
    return Limit(arithmetic, False, _peak())


def fastest(work: Callable[[], object], times: int = 5) -> float:
    """Seconds that a call takes, the fastest of some."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


@cache
def _bandwidth(moved: int) -> float:
    """Bytes a second of a kernel that reads and writes so many bytes in all and does next to nothing."""
    import numpy as np

    source = np.ones(moved // 8, np.float32)
    target, scaled = np.zeros_like(source), _kernels()["scaled"]
    return moved / fastest(lambda: scaled(source, out=target), 10)


@cache
def _peak() -> float:
    """Operations a second of a product of matrices."""
    import numpy as np

    square, product = np.ones((EDGE, EDGE), np.float32), _kernels()["product"]
    return 2 * EDGE**3 / fastest(lambda: product(square, square), 20)


@cache
def _kernels() -> dict[str, Kernel]:
    """The two as kernels have them: NumPy's would ask another thread pool."""
    vector, matrix = array_type("f32", ("n",)), array_type("f32", ("n", "n"))
    scaled, product = KernelOp("scaled", ([vector], [vector])), KernelOp("product", ([matrix] * 2, [matrix]))
    for kernel, make in ((scaled, lambda x: build.elementwise("neg", [x])), (product, build.contract)):
        made = make(*kernel.body.block.args)
        kernel.body.block.add_ops([made, ReturnOp(made.results[0])])
    found: dict[str, Kernel] = {}
    for kernel in (scaled, product):
        layouts = ("contiguous",) * len(kernel.function_type.inputs)
        compiled = compile_kernels(ModuleOp([kernel]), Options(layouts=layouts))
        found |= load(compiled.object_code, compiled.signatures)
    return found
