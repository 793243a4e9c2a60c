"""All kernels of the benchmark by name."""

from collections.abc import Mapping

from benchmarks.gpu import products, streams
from benchmarks.gpu.kernel import GpuKernel

KERNELS: Mapping[str, GpuKernel] = {each.name: each for each in (*streams.KERNELS, *products.KERNELS)}
