"""How long calls of a program's kernels take on this machine, as the cost model has it; none is run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.kernel_build import dense
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_account import Sizes, account
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.cost.kernel_amounts import KernelCounts, kernel_counts
from flowc.passes.cost.kernel_correction import Correction, called_with, corrected, correction
from flowc.passes.cost.kernel_model import Prediction
from flowc.passes.cost.kernel_work import kernel_work
from flowc.passes.cost.stored import chosen
from flowc.passes.decide_kernels import decide_ready
from flowc.passes.fuse_array import fuse_kernels, prepare_to_fuse
from flowc.passes.round_halves import round_halves
from flowc.runtime import processor
from flowc.runtime.expectations import NOTHING
from flowc.runtime.kernel_calls import sizer

if TYPE_CHECKING:
    from flowc.runtime.plan import Plan

EXTENT = 256
"""The extent of an axis of which nothing is known."""


@frozen
class PredictedTime:
    """The time of one kernel; `counts` is None where the cost model knows nothing of it. What calls of it
    took in earlier runs is its `correction`, where there were any on this machine.
    """

    counts: KernelCounts | None
    correction: Correction | None = None

    def __call__(self, arguments: Sequence[Any] | None) -> float:
        """Seconds of a call, as `prediction` has them."""
        return self.prediction(arguments).seconds

    def prediction(self, arguments: Sequence[Any] | None) -> Prediction:
        """What a call is expected to take with such arguments, or, of None, with arrays that are `EXTENT`
        long each way.

        Raises LookupError, TypeError, ValueError or AttributeError where the arguments do not say sizes.
        """

        def size(extent: object) -> int:
            if arguments is None:
                return extent if isinstance(extent, int) else EXTENT
            return max(int(sizer(extent)({}, arguments)), 0)

        return self._of(size)

    def with_sizes(self, sizes: str) -> Prediction:
        """The same of a call with sizes as the history has them."""
        return self._of(called_with(sizes))

    def _of(self, sizes: Sizes) -> Prediction:
        if self.counts is None:
            raise LookupError("the cost model knows nothing of this kernel")
        from flowc.runtime.native import threads

        return corrected(chosen().model, self.counts, threads(), sizes, self.correction)


def kernel_times(plan: "Plan", text: str, path: str, folder: Any) -> Mapping[str, PredictedTime]:
    """The times of the kernels that a plan calls, by name; `text` is the program that it was compiled from.

    Empty where there are none, or where the text does not compile as it did.
    """
    if not _calls_kernels(plan):
        return {}
    from flowc.compiler.diagnostics.model import CompileError
    from flowc.compiler.driver import Options, check_text, kernels_module, room
    from flowc.runtime.errors import FlowError

    try:
        checked = check_text(text, path, folder=folder)
        with room():
            module = kernels_module(checked, Options(level=plan.optimisation, native=False))
            return {op.sym_name.data: _time(op, plan) for op in kernels_of(module)}
    except (CompileError, FlowError):
        return {}


def _time(kernel: KernelOp, plan: "Plan") -> PredictedTime:
    counts = processor_counts(kernel, plan.optimisation)
    seen = (plan.expectations or NOTHING).kernels.get(kernel.sym_name.data)
    if counts is None or seen is None:
        return PredictedTime(counts)
    return PredictedTime(counts, correction(chosen().model, counts, seen))


def processor_counts(kernel: KernelOp, level: int) -> KernelCounts | None:
    """What a kernel's calls do, fused as at a level; None where its control flow decides that."""
    copy = kernel.clone()
    module = ModuleOp([copy])
    round_halves(module)
    prepare_to_fuse(module)
    if level > 1:
        decide_ready(module)
    fuse_kernels(module)
    host = processor.host()
    layouts = dense(copy)
    _, checks = lower_kernel(
        copy, copy.sym_name.data, host.vector_bits, layouts, host.has(processor.BF16_DOTS)
    )
    if not account(copy, checks.groups, lambda extent: extent if isinstance(extent, int) else 1).complete:
        return None
    return kernel_counts(kernel_work(copy, checks.groups))


def _calls_kernels(plan: "Plan") -> bool:
    left = [function.body for function in plan.functions.values()]
    while left:
        for node in left.pop().nodes:
            if node.op == "kernel":
                return True
            left.extend(node.regions)
    return False
