"""Irregular sums: totals by group, histograms."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.kernels.kernel import Arrays, Forms, Kernel, floats, in_jax, in_torch, size
from benchmarks.worker import Call

GROUPS, BINS = 1000, 256


def totals(keys: Any, values: Any) -> Any:
    """The sum of the values of each key."""
    return np.bincount(keys, values, 1000)


def counts(values: Any) -> Any:
    """How many values fall in each of 256 equal bins of [-4, 4]."""
    return np.histogram(values, 256, (-4.0, 4.0))[0]


def _flowc_totals(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import flowc

    kernel = flowc.jit(totals)
    keys, values = arrays.values()
    return {"flowc": lambda: kernel(keys, values)}


def _flowc_counts(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import flowc

    @flowc.jit
    def histogram(values):
        return np.histogram(values, 256, (-4.0, 4.0))

    values = arrays["values"]
    return {"flowc": lambda: histogram(values)}


def _numpy(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    return {"numpy": lambda: totals(*arrays.values())}


def _numpy_counts(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    return {"numpy": lambda: counts(*arrays.values())}


def _numba(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(keys, values, groups, workers):
        tables = np.zeros((workers, groups + 16), np.float32)
        each = (values.size + workers - 1) // workers
        for worker in numba.prange(workers):
            for i in range(worker * each, min((worker + 1) * each, values.size)):
                tables[worker, keys[i]] += values[i]
        return tables[:, :groups].sum(0)

    keys, values = arrays.values()
    return {"numba": lambda: compiled(keys, values, GROUPS, threads)}


def _numba_counts(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(values, least, most, bins, workers):
        tables = np.zeros((workers, bins + 16), np.int32)
        each = (values.size + workers - 1) // workers
        factor = np.float32(bins) / (most - least)
        for worker in numba.prange(workers):
            for i in range(worker * each, min((worker + 1) * each, values.size)):
                x = values[i]
                if x >= least and x <= most:
                    tables[worker, min(int((x - least) * factor), bins - 1)] += 1
        return tables[:, :bins].sum(0)

    values = arrays["values"]
    return {"numba": lambda: compiled(values, np.float32(-4), np.float32(4), BINS, threads)}


def _jax(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import jax

    compiled = jax.jit(lambda keys, values: jax.ops.segment_sum(values, keys, GROUPS))
    moved = in_jax(arrays).values()
    return {"jax": lambda: compiled(*moved).block_until_ready()}


def _jax_counts(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import jax
    from jax import numpy as jnp

    def scatter(values: Any) -> Any:
        inside = (values >= -4) & (values <= 4)
        places = jnp.minimum(((values + 4) * (BINS / 8)).astype(jnp.int32), BINS - 1)
        return jnp.zeros(BINS + 1, jnp.int32).at[jnp.where(inside, places, BINS)].add(1)[:BINS]

    compiled, library = jax.jit(scatter), jax.jit(lambda values: jnp.histogram(values, BINS, (-4.0, 4.0))[0])
    values = in_jax(arrays)["values"]
    return {
        "jax": lambda: compiled(values).block_until_ready(),
        "jax.numpy.histogram": lambda: library(values).block_until_ready(),
    }


def _torch(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    keys, values = in_torch(arrays).values()
    wide = keys.long()
    return {
        "torch": lambda: torch.zeros(GROUPS).index_add_(0, keys, values),
        "torch.bincount": lambda: torch.bincount(wide, values, GROUPS),
    }


def _torch_counts(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import torch

    values = in_torch(arrays)["values"]
    return {"torch": lambda: torch.histc(values, BINS, -4.0, 4.0)}


def _pandas(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import pandas

    frame = pandas.DataFrame(dict(arrays))
    return {"pandas": lambda: frame.groupby("keys", sort=True)["values"].sum().to_numpy()}


def _c_totals(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    from benchmarks import floors

    keys, values = arrays.values()
    out = floors.aligned((GROUPS,), np.float32)
    arguments = (keys, values, out, values.size, GROUPS, threads)
    return {"c out=": lambda: floors.call("group_sum", *arguments, result=out)}


def _c_counts(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    from benchmarks import floors

    values, out = arrays["values"], floors.aligned((BINS,), np.int64)
    arguments = (values, out, values.size, BINS, -4.0, 4.0, threads)
    return {"c out=": lambda: floors.call("histogram", *arguments, result=out)}


def _totals_inputs(rng: np.random.Generator, scale: float) -> Arrays:
    count = size(10_000_000, scale, least=50_000)
    return {"keys": rng.integers(0, GROUPS, count, dtype=np.int32), "values": floats(rng, count)}


TOTALS: Mapping[str, Forms] = {
    "flowc": _flowc_totals,
    "c": _c_totals,
    "numpy": _numpy,
    "numba": _numba,
    "jax": _jax,
    "torch": _torch,
    "pandas": _pandas,
}
COUNTS: Mapping[str, Forms] = {
    "flowc": _flowc_counts,
    "c": _c_counts,
    "numpy": _numpy_counts,
    "numba": _numba_counts,
    "jax": _jax_counts,
    "torch": _torch_counts,
}

KERNELS = (
    Kernel(
        name="groups",
        title="group-by sum, 1e7 in 1,000 groups",
        inputs=_totals_inputs,
        reference=lambda arrays: totals(*arrays.values()),
        forms=TOTALS,
        bound="read",
        tolerance=1e-3,
    ),
    Kernel(
        name="histogram",
        title="histogram, 1e7 in 256 bins",
        inputs=lambda rng, scale: {"values": floats(rng, size(10_000_000, scale))},
        reference=lambda arrays: counts(*arrays.values()),
        forms=COUNTS,
        bound="read",
        tolerance=1e-3,
    ),
)
