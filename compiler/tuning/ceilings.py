"""The roofs of this machine, measured: bandwidth for every working set, arithmetic, the price of a call."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.driver import Options as Compilation
from flowc.compiler.driver import check_text, kernels_module
from flowc.compiler.kernel_build import build, dense
from flowc.compiler.stopwatch import shortest
from flowc.passes.cost.kernel_roofline import Machine
from flowc.runtime.kernels import Kernel, load
from flowc.runtime.machine import this_machine
from flowc.runtime.native import set_threads
from flowc.runtime.native import threads as used_threads
from flowc.runtime.processor import host

LEAST_BITS, MOST_BITS = 16, 28
"""Bandwidth is measured for 2 to the power of each of these bytes, read and written together."""
EDGE = 384
"""Rows and columns of a product whose matrices stay in the caches."""
ELEMENTS = 1 << 18
ROW = 8
"""Elements of a short row."""
STEPS = 32

_CHAIN = "\n".join(f"    t{number + 1} = t{number} * 0.5 + x" for number in range(STEPS))
_TEXT = f"""
kernel scaled(x: f32[n]) -> f32[n]:
    return -x

kernel product(x: f32[n, n]) -> f32[n, n]:
    return x @ x

kernel rows(x: f32[n, m]) -> f32[n]:
    return sum(x, axis=1)

kernel chain(x: f32[n]) -> f32[n]:
    t0 = x
{_CHAIN}
    return t{STEPS}
"""


@cache
def ceilings(threads: int) -> Machine:
    """What this machine reaches with so many threads. Takes a second or two the first time."""
    before = used_threads()
    set_threads(threads)
    try:
        return _measured(threads)
    finally:
        set_threads(before)


def _measured(threads: int) -> Machine:
    found = _kernels()
    scaled, product, chain = found["scaled"], found["product"], found["chain"]
    sizes = range(LEAST_BITS, MOST_BITS + 1)
    store, into = np.ones(1 << (MOST_BITS - 3), np.float32), np.zeros(1 << (MOST_BITS - 3), np.float32)
    call = shortest(lambda: scaled(store[:1], out=into[:1]))

    def rate(bits: int) -> float:
        """Bytes a second, the price of the call taken off, which is counted for itself."""
        count = 1 << (bits - 3)
        source, target = store[:count], into[:count]
        return float((1 << bits) / max(shortest(lambda: scaled(source, out=target)) - call, 1e-9))

    square = np.ones((EDGE, EDGE), np.float32)
    line, line_into = store[:ELEMENTS], into[:ELEMENTS]
    multiplying = shortest(lambda: product(square))
    chained = shortest(lambda: chain(line, out=line_into))
    table, row_sums = line.reshape(-1, ROW), line_into[: ELEMENTS // ROW]
    rows = found["rows"]
    reduced = shortest(lambda: rows(table, out=row_sums)) - call
    return Machine(
        this_machine(),
        threads,
        np.array(sizes, np.float64),
        np.array([rate(bits) for bits in sizes]),
        2 * STEPS * ELEMENTS / chained,
        2 * EDGE**3 / multiplying,
        call,
        max(reduced, 1e-9) / len(row_sums),
        host().vector_bits // 8,
    )


@cache
def _kernels() -> Mapping[str, Kernel]:
    """As kernels have them: NumPy's would ask another pool of threads."""
    module = kernels_module(check_text(_TEXT, "ceilings.flow"), Compilation())
    compiled = [build(kernel, dense(kernel)).compiled for kernel in kernels_of(module)]
    loaded = (load(each.object_code, each.signatures) for each in compiled)
    return {name: kernel for kernels in loaded for name, kernel in kernels.items()}
