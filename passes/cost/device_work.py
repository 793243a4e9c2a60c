"""What a kernel does on a GPU: its loops as they are fused for one, by the types that they compute in."""

from collections.abc import Iterable, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from flowc.dialects.array import ops, products
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_account import account, traffic_of
from flowc.passes.array_memory import settle_reads
from flowc.passes.array_to_gpu import lower_kernel
from flowc.passes.array_to_gpu.prepare import prepare_for_device
from flowc.passes.cost.kernel_amounts import KernelCounts, kernel_counts
from flowc.passes.cost.kernel_work import kernel_work
from flowc.passes.fuse_array import fuse_kernels, prepare_to_fuse
from flowc.passes.round_halves import round_halves

_MULTIPLYING = ops.ContractOp | products.AttentionOp | products.ConvolveOp


@frozen(eq=False)
class DeviceWork:
    """The amounts of a kernel on a GPU. For each of its loops, `doubles` says whether it computes in f64, and
    `products` the type of the factors of its products of matrices, "" where it has none. `numbers` is how
    many results are numbers, for which the host waits."""

    counts: KernelCounts
    doubles: NDArray[np.bool_]
    products: tuple[str, ...]
    numbers: int = 0


def device_work(kernel: KernelOp, level: int = 2) -> DeviceWork | None:
    """The work of a kernel, fused as for GPUs at a level of the compiler; the kernel is left as it is. None
    where its control flow decides what it does.

    Raises Unsupported for a kernel that has no form for GPUs.
    """
    copy = kernel.clone()
    module = ModuleOp([copy])
    settle_reads(module)
    round_halves(module)
    if level > 0:
        prepare_to_fuse(module)
    prepare_for_device(module)
    if level > 0:
        fuse_kernels(module)
    _, checks = lower_kernel(copy, copy.sym_name.data, ("any",) * len(copy.function_type.inputs))
    if not account(copy, checks.groups, lambda extent: extent if isinstance(extent, int) else 1).complete:
        return None
    return work_of(copy, checks.groups)


def work_of(kernel: KernelOp, groups: Sequence[tuple[Operation, ...]]) -> DeviceWork:
    """The work of a fused kernel whose operators are computed in these groups."""
    loops = [each for each in traffic_of(kernel, groups) if each.read or each.written]
    return DeviceWork(
        kernel_counts(kernel_work(kernel, groups)),
        np.array([_doubles(each.members) for each in loops], np.bool_),
        tuple(_factors(each.members) for each in loops),
        sum(not shape_of(value.type) for value in kernel.returned),
    )


def _doubles(members: Iterable[Operation]) -> bool:
    return any(dtype_of(result.type) == "f64" for op in members for result in op.results)


def _factors(members: Iterable[Operation]) -> str:
    return next((dtype_of(op.operands[0].type) for op in members if isinstance(op, _MULTIPLYING)), "")
