"""A kernel compiled for this machine, beside what fusion and lowering made of it."""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from flowc.compiler.backends.llvm import KernelObject, Options, compile_kernels
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.array_to_loops.width import AS_IT_IS
from flowc.passes.cost.kernel_amounts import KernelCounts, kernel_counts
from flowc.passes.cost.kernel_work import kernel_work
from flowc.passes.decide_kernels import decide_ready
from flowc.passes.decide_width import decided_work
from flowc.passes.fuse_array import fuse_kernels, prepare_to_fuse
from flowc.passes.round_halves import round_halves
from flowc.runtime import processor


@frozen
class Built:
    """A kernel after fusion, its loops, and its machine code; `ready` is the kernel before fusion, `work` the
    percent of their work that its loops say.
    """

    kernel: KernelOp
    layouts: tuple[str, ...]
    checks: Checks
    compiled: KernelObject
    ready: KernelOp
    function: FuncOp
    work: int

    def counts(self) -> KernelCounts:
        """What its calls do, for the cost model."""
        return kernel_counts(kernel_work(self.kernel, self.checks.groups))


def dense(kernel: KernelOp) -> tuple[str, ...]:
    """The layouts of arrays without gaps."""
    return ("contiguous",) * len(kernel.function_type.inputs)


def build(
    kernel: KernelOp, layouts: Sequence[str], level: int = 2, listing: bool = False, decided: bool = True
) -> Built:
    """A kernel compiled for arrays that lie so; the kernel itself is left as it is."""
    copy, words = kernel.clone(), tuple(layouts)
    module = ModuleOp([copy])
    options = Options(level=level, listing=listing, layouts=words, decided=decided)
    compiled = compile_kernels(module, options)
    round_halves(module)
    if level > 0:
        prepare_to_fuse(module)
    ready = copy.clone()
    if options.decides:
        decide_ready(module)
    if level > 0:
        fuse_kernels(module)
    host = processor.host()
    function, checks = lower_kernel(
        copy, copy.sym_name.data, host.vector_bits, words, host.has(processor.BF16_DOTS)
    )
    work = decided_work(copy, function, checks.groups) if options.decides else AS_IT_IS
    return Built(copy, words, checks, compiled, ready, function, work)
