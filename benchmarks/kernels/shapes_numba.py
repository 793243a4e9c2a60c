"""The other shapes in Numba: as written where it fuses that, as loops where loops are what it is good at."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.kernels.kernel import Arrays, Forms
from benchmarks.worker import Call


def as_written(function: Callable[..., Any]) -> Forms:
    """Numba on the NumPy form."""

    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import numba

        compiled = numba.njit(fastmath=True, parallel=True)(function)
        values = list(arrays.values())
        return {"numba": lambda: compiled(*values)}

    return forms


def _columns(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(x, parts):
        sums = np.zeros((parts, x.shape[1]), np.float32)
        for part in numba.prange(parts):
            for i in range(x.shape[0] * part // parts, x.shape[0] * (part + 1) // parts):
                for j in range(x.shape[1]):
                    sums[part, j] += x[i, j] * x[i, j]
        return sums.sum(0) / np.float32(x.shape[0])

    return {"numba": lambda: compiled(arrays["x"], 16)}


def _turned(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(a, b, block):
        out = np.empty_like(a)
        rows, width = a.shape
        for part in numba.prange((rows + block - 1) // block):
            for low in range(0, width, block):
                for i in range(part * block, min((part + 1) * block, rows)):
                    for j in range(low, min(low + block, width)):
                        out[i, j] = a[i, j] + b[j, i]
        return out

    return {"numba": lambda: compiled(*arrays.values(), 32)}


def _logsumexp(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(x):
        out = np.empty(x.shape[0], np.float32)
        for i in numba.prange(x.shape[0]):
            largest = x[i, 0]
            for j in range(x.shape[1]):
                largest = max(largest, x[i, j])
            total = np.float32(0)
            for j in range(x.shape[1]):
                total += np.exp(x[i, j] - largest)
            out[i] = largest + np.log(total)
        return out

    return {"numba": lambda: compiled(arrays["x"])}


def _distances(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(a, b):
        out = np.empty((a.shape[0], b.shape[0]), np.float32)
        for i in numba.prange(a.shape[0]):
            for j in range(b.shape[0]):
                total = np.float32(0)
                for k in range(a.shape[1]):
                    total += (a[i, k] - b[j, k]) ** 2
                out[i, j] = np.sqrt(total)
        return out

    return {"numba": lambda: compiled(*arrays.values())}


FORMS: Mapping[str, Forms] = {
    "columns": _columns,
    "turned": _turned,
    "logsumexp": _logsumexp,
    "distances": _distances,
}
