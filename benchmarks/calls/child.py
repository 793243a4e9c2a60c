"""One library: `python -m benchmarks.calls.child first|alone|warm|rested LIBRARY KERNEL FOLDER`.

`first` says how long the first call of a kernel takes, after another kernel has made the library load what
it loads lazily; `alone`, how long it takes as the first of the process. `warm` serves a thousand calls on
little data at a time; `rested` calls on a million elements, each after a while in which nothing happened, as
in a program that waits for its inputs.
"""

import contextlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.kernels.child import fresh, kernels, load
from benchmarks.kernels.elementwise import gelu
from benchmarks.kernels.kernel import in_jax, in_torch

CALLS = 1000
REST = 0.05
"""Seconds: longer than any pool keeps its threads awake."""


def main() -> None:
    """Measures what it is asked for."""
    what, library, name, folder = sys.argv[1:5]
    channel = worker.claim_output()
    if what in ("first", "alone"):
        worker.serve(channel, {}, {}, {"seconds": first_call(library, name, Path(folder), what == "alone")})
        return
    calls = warm(library, 1000) if what == "warm" else {"gelu": warm(library, 1_000_000)["gelu"]}
    for call in calls.values():
        call()
    prepared = _rested if what == "rested" else lambda call: worker.repeated(_many(call))
    worker.serve(channel, {key: prepared(call) for key, call in calls.items()}, {}, {})


def first_call(library: str, name: str, folder: Path, alone: bool) -> float:
    """Seconds of the first call in this process."""
    known = kernels()
    if not alone:
        fresh(known["total"].forms[library]({"x": np.ones(1000, np.float32)}, 1))()
    call = fresh(known[name].forms[library](load(folder), 1))
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _rested(call: worker.Call) -> worker.Prepare:
    def prepare() -> worker.Call:
        time.sleep(REST)
        return call

    return prepare


def _many(call: worker.Call) -> worker.Call:
    def repeat() -> None:
        for _ in range(CALLS):
            call()

    return repeat


def warm(library: str, size: int) -> Mapping[str, worker.Call]:
    """Calls on so many elements: one addition, and an activation of three arrays."""
    a, b, c = (np.linspace(-2, 2, size, dtype=np.float32) for _ in range(3))
    plus: Any = _plus
    activation: Any = gelu
    if library == "flowc":
        import flowc

        plus, activation = flowc.jit(_plus), flowc.jit(gelu)
        out = np.empty_like(a)
        return {
            "a + 1": lambda: plus(a),
            "a + 1 out=": lambda: plus(a, out=out),
            "gelu": lambda: activation(a, b, c),
        }
    if library == "numba":
        import numba

        plus, activation = (numba.njit(fastmath=True, parallel=size > 1000)(each) for each in (_plus, gelu))
    elif library == "jax":
        import jax

        a, b, c = in_jax({"a": a, "b": b, "c": c}).values()
        added = jax.jit(lambda x: x + 1)
        activated = jax.jit(lambda a, b, c: jax.nn.gelu(a * b + c, approximate=True))
        return {
            "a + 1": lambda: added(a).block_until_ready(),
            "gelu": lambda: activated(a, b, c).block_until_ready(),
        }
    elif library == "torch_compile":
        import torch

        a, b, c = in_torch({"a": a, "b": b, "c": c}).values()
        plus = torch.compile(_plus, dynamic=False)
        activation = torch.compile(
            lambda a, b, c: torch.nn.functional.gelu(a * b + c, approximate="tanh"), dynamic=False
        )
    return {"a + 1": lambda: plus(a), "gelu": lambda: activation(a, b, c)}


def _plus(x: Any) -> Any:
    return x + 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
