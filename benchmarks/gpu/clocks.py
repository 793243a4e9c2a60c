"""How long a call keeps a GPU busy, by the library that makes it.

Before each sample a sweep writes more than the L2 holds: nothing of the call's arrays is left there, and the
GPU is busy while the host gives the call's orders, so that events show what the GPU does and not how fast
Python is. Chains of short kernels are about orders: for those the wall clock counts, from an idle GPU to its
end.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.worker import LONGEST, Call, Prepare

SWEPT = 1 << 29
"""Bytes of a sweep: several times the L2 of every card so far."""
LARGE = 1 << 29
"""Bytes moved from which on a kernel leaves nothing in the L2 that its next call could use."""
TOGETHER = 5

Sample = Callable[[Call], float]


class Clock(NamedTuple):
    """Seconds of one call by the GPU's clock, and by the wall's."""

    busy: Sample
    wall: Sample


def by_cupy() -> Clock:
    """Events of CuPy's in its current stream."""
    import cupy

    swept = cupy.zeros(SWEPT, cupy.uint8)

    def busy(call: Call) -> float:
        first, last = cupy.cuda.Event(), cupy.cuda.Event()
        swept.fill(0)
        first.record()
        kept = call()
        last.record()
        last.synchronize()
        del kept
        return float(cupy.cuda.get_elapsed_time(first, last)) / 1e3

    return Clock(busy, lambda call: _wall(call, cupy.cuda.get_current_stream().synchronize))


def by_torch() -> Clock:
    """Events of torch's in its current stream."""
    import torch

    swept = torch.zeros(SWEPT, dtype=torch.uint8, device="cuda")

    def busy(call: Call) -> float:
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        swept.zero_()
        first.record()
        kept = call()
        last.record()
        last.synchronize()
        del kept
        return float(first.elapsed_time(last)) / 1e3

    return Clock(busy, lambda call: _wall(call, torch.cuda.synchronize))


def by_jax(moved: float) -> Clock:
    """The wall's clock, as JAX has streams of its own that no event can be put into. Where nothing of a call
    can stay in the L2, several in a row share what the orders cost. Raises RuntimeError where JAX has no
    GPU, since it goes on without."""
    import jax

    if jax.default_backend() != "gpu":
        raise RuntimeError("JAX has no GPU here")
    sweep = jax.jit(lambda x: x + 1)
    swept = jax.block_until_ready(sweep(jax.numpy.zeros(SWEPT, jax.numpy.uint8)))
    times = TOGETHER if moved >= LARGE else 1

    def busy(call: Call) -> float:
        jax.block_until_ready(sweep(swept))
        start = time.perf_counter()
        for _ in range(times):
            kept = call()
        jax.block_until_ready(kept)
        return (time.perf_counter() - start) / times

    def wall(call: Call) -> float:
        start = time.perf_counter()
        jax.block_until_ready(call())
        return time.perf_counter() - start

    return Clock(busy, wall)


def _wall(call: Call, wait: Callable[[], Any]) -> float:
    wait()
    start = time.perf_counter()
    kept = call()
    wait()
    took = time.perf_counter() - start
    del kept
    return took


def block(sample: Sample) -> Callable[[Prepare, float], list[float]]:
    """Samples for about so many seconds of wall time, three at least."""

    def timed(prepare: Prepare, seconds: float) -> list[float]:
        end = time.perf_counter() + seconds
        samples: list[float] = []
        while len(samples) < 3 or (time.perf_counter() < end and len(samples) < LONGEST):
            samples.append(sample(prepare()))
        return samples

    return timed
