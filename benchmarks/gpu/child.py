"""One library on one kernel of the GPU: `python -m benchmarks.gpu.child LIBRARY KERNEL FOLDER`.

FOLDER has the inputs, and what is expected of the part of the result that is compared.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks import worker
from benchmarks.gpu import clocks
from benchmarks.gpu.catalogue import KERNELS
from benchmarks.gpu.kernel import Arrays, GpuKernel
from benchmarks.gpu.libraries import LIBRARIES, Library
from benchmarks.kernels.child import load
from benchmarks.kernels.kernel import disagreement


def main() -> None:
    """Prepares the library's forms, checks their results, and serves."""
    name, kernel, folder = LIBRARIES[sys.argv[1]], KERNELS[sys.argv[2]], Path(sys.argv[3])
    channel = worker.claim_output()
    if importlib.util.find_spec(name.module) is None:
        worker.serve(channel, {}, {sys.argv[1]: "not installed"}, {})
        return
    arrays = load(folder)
    variants: dict[str, worker.Prepare] = {}
    problems: dict[str, str] = {}
    try:
        clock = name.clock(kernel.moved(arrays))
        calls: Mapping[str, worker.Call] = name.calls(kernel, arrays)
    except Exception as error:
        worker.serve(channel, {}, {sys.argv[1]: worker.describe(error)}, {})
        return
    facts: dict[str, object] = {}
    with contextlib.suppress(Exception):  # what goes wrong here does so again below, where it is told
        facts |= {"extra bytes": extra(calls["flowc"])}
    expected = np.load(folder / "expected.npy")
    for variant, call in calls.items():
        problem = checked(name, kernel, expected, call)
        if problem:
            problems[variant] = problem
        else:
            variants[variant] = worker.repeated(call)
    sample = clock.wall if kernel.bound == "orders" else clock.busy
    worker.serve(channel, variants, problems, facts, clocks.block(sample))


def checked(library: Library, kernel: GpuKernel, expected: object, call: worker.Call) -> str:
    """What is wrong with a call, empty where nothing is; it is called often enough to be warm."""
    try:
        problem = disagreement(kernel, expected, kernel.part(library.back(call())))
        for _ in range(4):
            call()
    except Exception as error:
        return worker.describe(error)
    return problem


def extra(call: worker.Call) -> int:
    """Bytes of the GPU's memory that a kernel's first call takes beside its result; later ones may find what
    a graph keeps."""
    import cupy

    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.total_bytes()
    found = call()
    cupy.cuda.get_current_stream().synchronize()
    results = found if isinstance(found, tuple) else (found,)
    return int(pool.total_bytes() - before - sum(each.nbytes for each in results))


def save(folder: Path, kernel: GpuKernel, arrays: Arrays) -> None:
    """Writes inputs and what is expected, for children."""
    for index, (name, value) in enumerate(arrays.items()):
        np.save(folder / f"{index}_{name}.npy", value)
    np.save(folder / "expected.npy", np.asarray(kernel.reference(arrays)))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
