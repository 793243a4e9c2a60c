"""One library on one kernel: `python -m benchmarks.kernels.child LIBRARY KERNEL THREADS FOLDER`.

FOLDER holds the inputs, and the expected result once the first child has computed it.
"""

import contextlib
import importlib
import importlib.util
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.kernels.kernel import Kernel, disagreement

FAMILIES = ("elementwise", "rows", "products", "retrieval", "aggregation", "shapes")
MODULES = {
    "numba": "numba",
    "jax": "jax",
    "torch": "torch",
    "torch_compile": "torch",
    "numexpr": "numexpr",
    "faiss": "faiss",
    "simsimd": "simsimd",
    "sklearn": "sklearn",
    "pandas": "pandas",
}
"""What a library is imported as."""


def kernels() -> dict[str, Kernel]:
    """All kernels by name."""
    modules = (importlib.import_module(f"benchmarks.kernels.{family}") for family in FAMILIES)
    return {kernel.name: kernel for module in modules for kernel in module.KERNELS}


def main() -> None:
    """Prepares the library's forms, checks their results, and serves."""
    library, name, count, folder = sys.argv[1:5]
    channel = worker.claim_output()
    worker.keep_to(int(count))
    kernel = kernels()[name]
    if importlib.util.find_spec(MODULES.get(library, "numpy")) is None:
        worker.serve(channel, {}, {library: "not installed"}, {})
        return
    arrays = load(Path(folder))
    expected = np.load(Path(folder, "expected.npy"))
    variants: dict[str, worker.Prepare] = {}
    problems: dict[str, str] = {}
    facts: dict[str, object] = {}
    try:
        calls: Mapping[str, worker.Call] = kernel.forms[library](arrays, int(count))
    except Exception as error:
        calls, problems[library] = {}, worker.describe(error)
    for variant, call in calls.items():
        start = time.perf_counter()
        try:
            found = call()
            facts[f"{variant} first call"] = time.perf_counter() - start
            problem = disagreement(kernel, expected, result(found))
            call()
        except Exception as error:
            problem = worker.describe(error)
        if problem:
            problems[variant] = problem
        else:
            variants[variant] = worker.repeated(call)
    worker.serve(channel, variants, problems, facts)


def load(folder: Path) -> dict[str, Any]:
    """The inputs in the order in which they were saved."""
    paths = sorted(folder.glob("[0-9]*_*.npy"))
    return {path.stem.split("_", 1)[1]: np.load(path) for path in paths}


def save(folder: Path, kernel: Kernel, scale: float) -> tuple[int, int, float]:
    """Writes inputs and expected result; gives bytes read, bytes written and operations at the least."""
    arrays = kernel.inputs(np.random.default_rng(0), scale)
    expected = np.asarray(kernel.reference(arrays))
    for index, (name, value) in enumerate(arrays.items()):
        np.save(folder / f"{index}_{name}.npy", value)
    np.save(folder / "expected.npy", expected)
    read = sum(np.asarray(value).nbytes for value in arrays.values())
    return read, expected.nbytes, kernel.operations(arrays)


def fresh(calls: Mapping[str, worker.Call]) -> worker.Call:
    """The first form that makes its own output."""
    return next(call for name, call in calls.items() if not name.endswith("out="))


def result(found: Any) -> Any:
    """The values of a result that also has positions, or the result itself."""
    return found[0] if isinstance(found, tuple | list) else found


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
