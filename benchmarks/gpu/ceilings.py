"""What a GPU can do at most, measured: `python -m benchmarks.gpu.ceilings SIDE BYTES SAMPLES` prints JSON.

Copies are those of the driver and of a kernel of CuPy's, the faster counts. Products are cuBLAS's of random
matrices, by the call that flowc makes of them: zeros would take less power and go faster.
"""

import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import cupy
import numpy as np
from attrs import evolve

from benchmarks.gpu.clocks import by_cupy
from flowc.runtime.device.cupy_product import multiply
from flowc.runtime.device.product import Matrices, Product
from flowc.runtime.dtypes import numpy_dtype

RESULTS = {"bf16": "bf16", "f16": "f16", "f32": "f32", "i8": "i32"}


def main() -> None:
    """Measures, and prints one object."""
    side, size, samples = map(int, sys.argv[1:])
    sample = by_cupy().busy

    def seconds(call: Callable[[], object]) -> float:
        for _ in range(3):
            call()
        return statistics.median(sample(call) for _ in range(samples))

    found = {"copy": 2 * size / min(map(seconds, copies(size)))}
    for dtype, result in RESULTS.items():
        found[dtype] = 2.0 * side**3 / seconds(product(dtype, result, side))
    print(json.dumps(found))


def copies(size: int) -> list[Callable[[], object]]:
    """Ways to copy so many bytes."""
    source, target = (cupy.zeros(size // 4, cupy.float32) for _ in range(2))
    return [
        lambda: target.data.copy_from_device_async(source.data, size, cupy.cuda.get_current_stream()),
        partial(cupy.add, source, cupy.float32(1), target),
    ]


def product(dtype: str, result: str, side: int) -> Callable[[], object]:
    """A product of square matrices."""
    left, right = (matrix(dtype, side) for _ in range(2))
    made = cupy.empty((side, side), numpy_dtype(result))
    described = [Matrices(int(each.data.ptr), side * side, side, 1) for each in (left, right, made)]
    if dtype == "i8":  # the tensor cores take bytes of the right factor in columns
        described[1] = evolve(described[1], row_stride=1, column_stride=side)
    asked = Product(dtype, result, 1, side, side, side, *described)
    kept = (left, right, made)
    return lambda: (multiply(asked), kept)


def matrix(dtype: str, side: int) -> Any:
    """Random numbers of a type, made by NumPy: CuPy's own would need one more of CUDA's libraries."""
    random = np.random.default_rng(side)
    if dtype == "i8":
        return cupy.asarray(random.integers(-127, 128, (side, side), np.int8))
    return cupy.asarray(random.standard_normal((side, side), np.float32)).astype(numpy_dtype(dtype))


if __name__ == "__main__":
    main()
