"""Lowering one kernel for a device: host code that launches grids of threads."""

from collections.abc import Mapping, Sequence

from xdsl.dialects import func
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_gpu.alone import lower_alone, lower_finished_product
from flowc.passes.array_to_gpu.contract import with_products_apart
from flowc.passes.array_to_gpu.device_checks import DeviceChecks
from flowc.passes.array_to_gpu.launch import sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_gpu.together import as_device, lower_group, stage_for
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.groups import Group
from flowc.passes.array_to_loops.kernel import function_block, lower_function
from flowc.passes.array_to_loops.ways import Body, Ways


def lower_kernel(
    kernel: KernelOp, name: str, layouts: Sequence[str], narrow: bool = False
) -> tuple[func.FuncOp, Checks]:
    """The kernel as a host function called `name`; with it, the positions its checks refer to.

    `layouts` is as for `array_to_loops.kernel.lower_kernel`; `narrow` says that no array that it is called
    with has more elements than positions of 32 bits count. Raises Unsupported.
    """
    s = DeviceLowering(kernel, function_block(kernel, layouts), DEVICE, narrow)
    checks = DeviceChecks(s, kernel)
    outputs = s.b.block.args[len(kernel.function_type.inputs) :]
    for value, output in zip(kernel.returned, outputs, strict=True):
        if not shape_of(value.type):
            s.returned.setdefault(value, Place(output))
    return lower_function(s, checks, kernel, name, layouts), checks


def _together(s: Lowering, _: Checks, group: Group, places: Mapping[SSAValue, Place]) -> None:
    lower_group(as_device(s), group, places)


def _alone(s: Lowering, checks: Checks, op: Operation, places: Sequence[SSAValue | None]) -> None:
    lower_alone(as_device(s), checks, op, places)


def _finished_product(s: Lowering, product: ops.ContractOp, op: Operation, place: Place) -> None:
    lower_finished_product(as_device(s), product, op, place)


def _sweep(s: Lowering, sizes: Sequence[Index], body: Body) -> None:
    sweep(as_device(s), sizes, body)


def _number(s: Lowering, value: SSAValue, place: Place) -> None:
    device = as_device(s)
    if device.buffers.get(value) is not place.buffer or not place.whole:
        sweep(device, [], lambda at: device.store(device.element(value, at), place, at), "number")


DEVICE = Ways(
    stage_for,
    with_products_apart,
    _together,
    _alone,
    _finished_product,
    _sweep,
    _number,
)
"""How code for a device is made."""
