"""What lowering makes of kernels, counted: most of it consists of operations that no kernel holds."""

from collections.abc import Sequence

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import ShapeError
from flowc.passes.array_memory import settle_reads
from flowc.passes.array_to_gpu import lower_kernel as lower_for_device
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.fuse_array import fuse_kernels, prepare_to_fuse
from flowc.passes.round_halves import round_halves
from flowc.runtime import processor
from flowc.testing.oracles import reached
from tests.assurance.campaign import Tally


def count_loops(module: ModuleOp, level: int, word: str, tally: Tally) -> None:
    """Counts what the kernels of a module become for this processor; the module is changed."""
    settle_reads(module)
    round_halves(module)
    if level > 0:
        prepare_to_fuse(module)
        fuse_kernels(module)
    host = processor.host()
    for kernel in [op for op in module.ops if isinstance(op, KernelOp)]:
        words = [word] * len(kernel.function_type.inputs)
        try:
            function, _ = lower_kernel(kernel, "k", host.vector_bits, words, host.has(processor.BF16_DOTS))
        except ShapeError:
            continue
        _count(function, tally)


class CountedLowering:
    """The lowering for devices, which counts what it makes."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def __call__(
        self, kernel: KernelOp, name: str, layouts: Sequence[str], narrow: bool = True
    ) -> tuple[FuncOp, Checks]:
        """The launches of a kernel."""
        function, checks = lower_for_device(kernel, name, layouts, narrow)
        _count(function, self.tally)
        return function, checks


def _count(function: FuncOp, tally: Tally) -> None:
    tally.operations += reached.operations(holder := ModuleOp([function.clone()]))
    tally.pairs += reached.pairs(holder)
