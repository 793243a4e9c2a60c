"""What a measured kernel is: its inputs, what must come out, and its forms in each library."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from benchmarks.worker import Call

Arrays = Mapping[str, Any]
Forms = Callable[[Arrays, int], Mapping[str, Call]]
"""From the inputs and the number of threads to calls by name; a name that ends in `out=` writes into a
buffer that exists."""


class Kernel(NamedTuple):
    """One row of the table.

    `bound` says what limits it: reading alone, reading and writing, or arithmetic (`operations` of it).
    `tolerance` is relative to the largest expected value; `indices` marks results that are positions, of
    which a few may differ where rounding makes two candidates equal.
    """

    name: str
    title: str
    inputs: Callable[[np.random.Generator, float], Arrays]
    reference: Callable[[Arrays], Any]
    forms: Mapping[str, Forms]
    bound: Literal["read", "write", "arithmetic"]
    operations: Callable[[Arrays], float] = lambda arrays: 0.0
    tolerance: float = 1e-4
    indices: bool = False


def size(count: int, scale: float, least: int = 64) -> int:
    """A long axis at this scale."""
    return max(int(count * scale), least)


def floats(generator: np.random.Generator, *shape: int) -> Any:
    """Standard normal numbers."""
    return generator.standard_normal(shape, dtype=np.float32)


class Compared(Protocol):
    """What says how close a kernel's results must be."""

    @property
    def tolerance(self) -> float:
        """Relative to the largest expected value."""

    @property
    def indices(self) -> bool:
        """Whether results are positions."""


def disagreement(kernel: Compared, expected: Any, found: Any) -> str:
    """Why a result is not the expected one; empty when it is."""
    want, have = np.asarray(expected), np.asarray(found)
    if want.shape != have.shape:
        return f"shape {have.shape} instead of {want.shape}"
    if kernel.indices:
        share = float(np.mean(want != have)) if want.size else 0.0
        return f"{share:.2%} of the positions differ" if share > 1e-3 else ""
    scale = float(np.max(np.abs(want.astype(np.float64)), initial=1e-30))
    error = float(np.max(np.abs(want.astype(np.float64) - have), initial=0.0)) / scale
    return "" if error <= kernel.tolerance else f"off by {error:.2g} of the largest value"


def in_jax(arrays: Arrays) -> dict[str, Any]:
    """The arrays on JAX's side."""
    import jax

    return {name: jax.block_until_ready(jax.numpy.asarray(value)) for name, value in arrays.items()}


def in_torch(arrays: Arrays) -> dict[str, Any]:
    """The arrays as tensors over the same memory."""
    import torch

    torch.set_grad_enabled(False)
    return {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}
