"""Reference semantics of whole kernels: memory as NumPy arrays, control flow as Python's.

A read copies, so that values never change; the target of a write is found by looking at the memory itself
through the same views.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import define, field
from xdsl.dialects import scf
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import memory, ops
from flowc.dialects.array.faults import KernelFault, extent_of
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.require import RequireOp

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Evaluate = Callable[[Operation, Sequence[NumpyArray]], Sequence[NumpyArray]]
"""The results of one pure operator."""


@define
class Interpreter:
    """One run of a kernel. `empty` makes the memory of an `array.empty` from its type and extents."""

    evaluate: Evaluate
    empty: Callable[[SSAValue, Sequence[int]], NumpyArray]
    values: dict[SSAValue, NumpyArray] = field(factory=dict)
    refs: dict[SSAValue, NumpyArray] = field(factory=dict)

    def run(self, kernel: KernelOp) -> list[NumpyArray]:
        """The results of the kernel, whose arguments stand in `values` and `refs`."""
        return self._block(kernel.body.block)

    def _block(self, block: Block) -> list[NumpyArray]:
        for op in block.ops:
            if isinstance(op, ReturnOp | scf.YieldOp | scf.ConditionOp):
                return [self.values[value] for value in op.operands]
            self._operation(op)
        return []

    def _operation(self, op: Operation) -> None:
        match op:
            case memory.EmptyOp():
                extents = [extent_of(self.values[extent]) for extent in op.extents]
                self.refs[op.result] = self.empty(op.result, extents)
            case memory.VariableOp():
                self.refs[op.result] = self.empty(op.result, self.values[op.source].shape)
                self.refs[op.result][...] = self.values[op.source]
            case memory.ReadOp():
                self.values[op.result] = self.refs[op.ref].copy()
            case memory.WriteOp():
                self._write(op)
            case RequireOp():
                if not self.values[op.condition]:
                    raise KernelFault(op.reason.data)
            case scf.IfOp():
                region = op.true_region if self.values[op.cond] else op.false_region
                self._bind(op.results, self._block(region.block) if region.blocks else [])
            case scf.ForOp():
                self._for(op)
            case scf.WhileOp():
                self._while(op)
            case _:
                self._bind(op.results, self.evaluate(op, [self.values[operand] for operand in op.operands]))

    def _bind(self, names: Sequence[SSAValue], values: Sequence[NumpyArray]) -> None:
        self.values.update(zip(names, values, strict=True))

    def _for(self, op: scf.ForOp) -> None:
        carried = [self.values[value] for value in op.iter_args]
        bounds = [int(self.values[value]) for value in (op.lb, op.ub, op.step)]
        for counter in range(*bounds):
            self._bind(op.body.block.args, [np.asarray(counter, np.int64), *carried])
            carried = self._block(op.body.block)
        self._bind(op.results, carried)

    def _while(self, op: scf.WhileOp) -> None:
        carried = [self.values[value] for value in op.arguments]
        while True:
            self._bind(op.before_region.block.args, carried)
            condition, *passed = self._block(op.before_region.block)
            if not condition:
                self._bind(op.results, passed)
                return
            self._bind(op.after_region.block.args, passed)
            carried = self._block(op.after_region.block)

    def _write(self, op: memory.WriteOp) -> None:
        value, target = self.values[op.value], self._shown(op.target)
        offset = target.ndim - value.ndim
        if any(n not in (1, m) for n, m in zip(value.shape, target.shape[offset:], strict=True)):
            raise KernelFault(f"{value.shape} does not fit in {target.shape}")
        target[...] = value

    def _shown(self, target: SSAValue) -> NumpyArray:
        """The memory that a target shows, itself and no copy."""
        match target.owner:
            case memory.ReadOp() as read:
                return self.refs[read.ref]
            case ops.TransposeOp() as view:
                order = [int(axis) for axis in view.permutation.get_values()]
                return np.transpose(self._shown(view.source), order)
            case ops.ExpandOp() as view:
                return np.expand_dims(self._shown(view.source), view.axis.value.data)
            case ops.IndexOp() as view:
                return self._indexed(view)
            case ops.SliceOp() as view:
                return self._sliced(view)
        raise ValueError(f"{target.owner} shows no memory")

    def _indexed(self, view: ops.IndexOp) -> NumpyArray:
        source, axis, place = self._shown(view.source), view.axis.value.data, int(self.values[view.index])
        extent = source.shape[axis]
        if not -extent <= place < extent:
            raise KernelFault(f"position {place} in an axis of {extent}")
        place %= extent
        before = (slice(None),) * axis
        return np.squeeze(source[(*before, slice(place, place + 1))], axis)

    def _sliced(self, view: ops.SliceOp) -> NumpyArray:
        def bound(value: int | str | None) -> int | None:
            return int(self.values[view.bounds[int(value[1:])]]) if isinstance(value, str) else value

        axes = tuple(slice(bound(a.start), bound(a.stop), a.step) for a in view.slices.axes)
        return self._shown(view.source)[axes]
