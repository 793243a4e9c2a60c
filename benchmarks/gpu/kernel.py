"""What a kernel measured on a GPU is; its forms in each library are in modules of their own."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np

Arrays = Mapping[str, Any]
Bound = Literal["bytes", "bf16", "f16", "f32", "i8", "orders"]
"""What limits a kernel: moving bytes, products of a type, or that its launches are many and short."""


def everything(result: Any) -> Any:
    """All of a result."""
    return result


class GpuKernel(NamedTuple):
    """A kernel at one or more sizes.

    `inputs` gives arrays of the host at a size, of which those of f32 become `dtype` on the device, where
    they are the same numbers. `moved` are the bytes that must be read and written at the least, `operations`
    those of its products, both from the inputs. The reference may compute a `part` of the result alone.
    `tolerance` is relative to the greatest expected value; `indices` marks results that are positions.
    """

    name: str
    title: str
    inputs: Callable[[np.random.Generator, float], Arrays]
    reference: Callable[[Arrays], Any]
    bound: Bound
    moved: Callable[[Arrays], float] = lambda arrays: 0.0
    operations: Callable[[Arrays], float] = lambda arrays: 0.0
    dtype: Literal["f32", "bf16", "f16"] = "f32"
    part: Callable[[Any], Any] = everything
    sizes: Mapping[str, float] = {"": 1.0}
    small: float = 1e-5
    tolerance: float = 1e-4
    indices: bool = False


TWO_SIZES: Mapping[str, float] = {"1 GB": 1.0, "64 MB": 1 / 16}
"""Bytes moved in all: far beyond every cache, and about as much as the largest of them holds."""


def extent(count: int, scale: float, least: int = 3) -> int:
    """A long axis at this scale."""
    return max(int(count * scale), least)


def floats(generator: np.random.Generator, *shape: int) -> Any:
    """Standard normal numbers."""
    return generator.standard_normal(shape, dtype=np.float32)


def halves(generator: np.random.Generator, *shape: int) -> Any:
    """Normal numbers of f32 that bf16 has too, and f16 but for the smallest."""
    numbers = floats(generator, *shape)
    words = numbers.view(np.uint32)
    words &= np.uint32(0xFFFF0000)
    return numbers


def streamed(*, results: int = 0) -> Callable[[Arrays], float]:
    """Bytes of kernels that read each input once, and write so many arrays like the first one."""

    def moved(arrays: Arrays) -> float:
        values = list(arrays.values())
        return float(sum(each.nbytes for each in values) + results * values[0].nbytes)

    return moved


def product_operations(arrays: Arrays) -> float:
    """Operations of the product of the first two inputs."""
    left, right, *_ = arrays.values()
    return 2.0 * prod(left.shape) * right.shape[-1]
