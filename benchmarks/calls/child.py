"""One library: `python -m benchmarks.calls.child first|alone|warm LIBRARY KERNEL FOLDER`.

`first` says how long the first call of a kernel takes, after another kernel has made the library load what
it loads lazily; `alone`, how long it takes as the first of the process. `warm` serves a thousand calls at a
time.
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


def main() -> None:
    """Measures one of both."""
    what, library, name, folder = sys.argv[1:5]
    channel = worker.claim_output()
    if what != "warm":
        worker.serve(channel, {}, {}, {"seconds": first_call(library, name, Path(folder), what == "alone")})
    else:
        calls = warm(library)
        for call in calls.values():
            call()
        worker.serve(channel, {key: worker.repeated(_many(call)) for key, call in calls.items()}, {}, {})


def first_call(library: str, name: str, folder: Path, alone: bool) -> float:
    """Seconds of the first call in this process."""
    known = kernels()
    if not alone:
        fresh(known["total"].forms[library]({"x": np.ones(1000, np.float32)}, 1))()
    call = fresh(known[name].forms[library](load(folder), 1))
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _many(call: worker.Call) -> worker.Call:
    def repeat() -> None:
        for _ in range(CALLS):
            call()

    return repeat


def warm(library: str) -> Mapping[str, worker.Call]:
    """Calls on 1,000 elements: one addition, and an activation of three arrays."""
    a, b, c = (np.linspace(-2, 2, 1000, dtype=np.float32) for _ in range(3))
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

        plus, activation = (numba.njit(fastmath=True)(each) for each in (_plus, gelu))
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
