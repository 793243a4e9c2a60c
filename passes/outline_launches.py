"""outline-launches: the body of each gpu.launch becomes a gpu.func of a gpu.module, the launch a call of it.

Numbers and memrefs that a body takes from around it become parameters, constants stand in it again. Bodies
that do the same, wherever they come from, are one function.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attrs import frozen
from xdsl.context import Context
from xdsl.dialects import arith, func, gpu, memref
from xdsl.dialects.builtin import (
    IndexType,
    IntegerAttr,
    MemRefType,
    ModuleOp,
    StringAttr,
    SymbolRefAttr,
    UnitAttr,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from flowc.dialects.device import NAME, OVERLAP
from flowc.passes.captures import captured

MODULE = "kernels"
"""The name of the gpu.module that has the functions of launches."""

_IDENTITIES: Sequence[type[gpu.BlockIdOp | gpu.ThreadIdOp | gpu.GridDimOp | gpu.BlockDimOp]] = (
    gpu.BlockIdOp,
    gpu.ThreadIdOp,
    gpu.GridDimOp,
    gpu.BlockDimOp,
)
"""What the arguments of a launch's body are, three by three."""
_AXES = tuple(gpu.DimensionEnum)


@frozen
class _Outlined:
    """A function that is not yet in its module, and what its launch passes to it."""

    function: gpu.FuncOp
    passed: Sequence[SSAValue]


def outline_launches(function: func.FuncOp, kernels: gpu.ModuleOp) -> int:
    """Moves the bodies of a function's launches into `kernels`; gives how many launches there were.

    New functions are called after the function, by numbers and the words that the launches have as their
    `device.name`: `softmax_0_rows`.
    """
    launches = [op for op in function.walk() if isinstance(op, gpu.LaunchOp)]
    for launch in launches:
        outlined = _outlined(launch)
        known = next((each for each in functions_of(kernels) if _equal(each, outlined.function)), None)
        if known is None:
            known = outlined.function
            known.sym_name = StringAttr(_name(function.sym_name.data, launch, kernels))
            kernels.body.block.add_op(known)
        Rewriter.replace_op(launch, _call(launch, kernels, known, outlined.passed))
    return len(launches)


def empty_module() -> gpu.ModuleOp:
    """A gpu.module for the functions of launches."""
    return gpu.ModuleOp.create(properties={"sym_name": StringAttr(MODULE)}, regions=[Region(Block())])


def functions_of(kernels: gpu.ModuleOp) -> list[gpu.FuncOp]:
    """The functions of a gpu.module in order."""
    return [op for op in kernels.body.block.ops if isinstance(op, gpu.FuncOp)]


def constant_of(value: SSAValue) -> int | None:
    """The integer that a value is known to be, None where it is not known."""
    if isinstance(value.owner, arith.ConstantOp) and isinstance(value.owner.value, IntegerAttr):
        number: int = value.owner.value.value.data
        return number
    return None


def _outlined(launch: gpu.LaunchOp) -> _Outlined:
    given = captured(launch.body)
    constants = [value for value in given if isinstance(value.owner, arith.ConstantOp)]
    passed = [value for value in given if value not in constants]
    block = Block(arg_types=[value.type for value in passed])
    values: dict[SSAValue, SSAValue] = dict(zip(passed, block.args, strict=True))
    for value, argument in zip(passed, block.args, strict=True):
        argument.name_hint = value.name_hint
    for constant in constants:
        assert isinstance(constant.owner, Operation)
        block.add_op(constant.owner.clone(values))
    _add_identities(launch, block, values)
    for op in launch.body.block.ops:
        last = isinstance(op, gpu.TerminatorOp)
        block.add_op(gpu.ReturnOp([]) if last else op.clone(values))
    sizes = [constant_of(size) for size in (launch.blockSizeX, launch.blockSizeY, launch.blockSizeZ)]
    known = [size for size in sizes if size is not None]
    function = gpu.FuncOp(
        MODULE,
        (list(block.arg_types), []),
        Region(block),
        kernel=True,
        known_block_size=known if len(known) == len(sizes) else None,
    )
    function.location = launch.location
    marks = {name: mark for name, mark in launch.attributes.items() if name != NAME}
    function.attributes |= marks
    if _overlap(passed):
        function.attributes[OVERLAP] = UnitAttr()
    return _Outlined(function, passed)


def _overlap(passed: Sequence[SSAValue]) -> bool:
    """Whether two of these memrefs may show the same memory. Arguments of the function around do not: where a
    kernel writes to one of its arrays, no other shares memory with it."""
    seen: set[SSAValue] = set()
    for value in passed:
        if isinstance(value.type, MemRefType):
            shown = _memory(value)
            if not seen.isdisjoint(shown):
                return True
            seen |= shown
    return False


def _memory(value: SSAValue) -> set[SSAValue]:
    """The memrefs whose memory a memref may show."""
    made = value.owner
    if not isinstance(made, memref.ReinterpretCastOp | arith.SelectOp):
        return {value}
    sources = [each for each in made.operands if isinstance(each.type, MemRefType)]
    return set[SSAValue]().union(*map(_memory, sources))


def _add_identities(launch: gpu.LaunchOp, block: Block, values: dict[SSAValue, SSAValue]) -> None:
    """What a thread asks of itself and its launch: sizes that are known are constants."""
    sizes = [launch.gridSizeX, launch.gridSizeY, launch.gridSizeZ]
    sizes += [launch.blockSizeX, launch.blockSizeY, launch.blockSizeZ]
    for place, argument in enumerate(launch.body.block.args):
        if argument.first_use is None:
            continue
        known = constant_of(sizes[place - 6]) if place >= 6 else None
        kind, axis = _IDENTITIES[place // 3], _AXES[place % 3]
        op: Operation = kind(gpu.DimensionAttr(axis))
        if known is not None:
            op = arith.ConstantOp(IntegerAttr(known, IndexType()))
        op.location = launch.location
        op.results[0].name_hint = argument.name_hint
        block.add_op(op)
        values[argument] = op.results[0]


def _equal(one: gpu.FuncOp, other: gpu.FuncOp) -> bool:
    """Whether two functions do the same, whatever they are called and wherever they come from."""
    return (
        one.function_type == other.function_type
        and _marks(one) == _marks(other)
        and one.body.is_structurally_equivalent(other.body)
    )


def _marks(function: gpu.FuncOp) -> dict[str, Attribute]:
    return {name: mark for name, mark in function.attributes.items() if name != "sym_name"}


def _name(stem: str, launch: gpu.LaunchOp, kernels: gpu.ModuleOp) -> str:
    """A name in C for a new function: ASCII letters, digits and underscores."""
    spoken = launch.attributes.get(NAME)
    ending = f"_{spoken.data}" if isinstance(spoken, StringAttr) else ""
    start = re.sub(r"\W", "_", stem, flags=re.ASCII)
    start = f"_{start}" if start[:1].isdigit() else start
    taken = {each.sym_name.data for each in functions_of(kernels)}
    number = sum(name.startswith(f"{start}_") for name in taken)
    while (name := f"{start}_{number}{re.sub(r'[^0-9A-Za-z_]', '_', ending)}") in taken:
        number += 1
    return name


def _call(
    launch: gpu.LaunchOp, kernels: gpu.ModuleOp, function: gpu.FuncOp, passed: Sequence[SSAValue]
) -> gpu.LaunchFuncOp:
    call = gpu.LaunchFuncOp(
        SymbolRefAttr(kernels.sym_name, [function.sym_name]),
        [launch.gridSizeX, launch.gridSizeY, launch.gridSizeZ],
        [launch.blockSizeX, launch.blockSizeY, launch.blockSizeZ],
        kernelOperands=passed,
        dynamicSharedMemorySize=launch.dynamicSharedMemorySize,
    )
    call.location = launch.location
    return call


@dataclass(frozen=True)
class OutlineLaunchesPass(ModulePass):
    """Moves the launches of all functions of a module into a gpu.module."""

    name = "outline-launches"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `outline_launches` on each function."""
        kernels = empty_module()
        for function in [each for each in op.ops if isinstance(each, func.FuncOp)]:
            outline_launches(function, kernels)
        if functions_of(kernels):
            op.attributes["gpu.container_module"] = UnitAttr()
            op.body.block.add_op(kernels)
