"""Checks of what a device finds: a launch writes down what went wrong, and the host looks once at the end.

Whatever position was computed, no launch accesses memory outside (`DeviceLowering.checked`), so the kernel
can run to its end first. Where it changes its arguments, the host looks before anything is changed.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith, memref
from xdsl.dialects.builtin import IntegerAttr, MemRefType, i64
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import RefType
from flowc.passes.array_to_gpu.launch import only_if, sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.lifetimes import Result


class DeviceChecks(Checks):
    """The open checks of one kernel on a device."""

    def __init__(self, lowering: DeviceLowering, kernel: KernelOp) -> None:
        super().__init__(lowering)
        self._device = lowering
        self._entry = lowering.b.block
        self._finding: SSAValue | None = None
        self._at_once = any(isinstance(type_, RefType) for type_ in kernel.function_type.inputs)

    def require_room(self, extent: Index, asked: Sequence[Index], code: int, op: Operation) -> None:
        """Goes on only where an axis has some position, or none is asked for: a launch that goes on with
        wrong positions needs one to read."""
        s = self._device
        count = s.top.product(asked)
        if isinstance(extent, int) and extent > 0:
            return
        some = s.b.compare("sgt", s.b.index(extent), s.b.index(0))
        none = s.b.compare("eq", s.b.index(count), s.b.index(0))
        self.require(s.b.insert(arith.OrIOp(some, none)), code, op)

    def require_everywhere(
        self,
        extents: Sequence[Index],
        holds: Callable[[tuple[SSAValue, ...]], SSAValue],
        code: int,
        op: Operation,
    ) -> None:
        """Goes on, and ends with the status of a condition that has not held at some position."""
        s, status, finding = self._device, self.status_of(code, op), self.finding()

        def note() -> None:
            first = s.b.compare("eq", s.b.load(finding, []), s.b.constant(0, i64))
            only_if(s, first, lambda: s.b.store(s.b.constant(status, i64), finding, []))

        def look(at: tuple[Index, ...]) -> None:
            good = holds(tuple(map(s.b.index, at)))
            bad = s.b.insert(arith.XOrIOp(good, s.b.constant(1, good.type)))
            only_if(s, bad, note)

        sweep(s, extents, look, "check")
        if self._at_once or s.nested:
            found = s.b.load(finding, [])
            self.require(s.b.compare("ne", found, s.b.constant(status, i64)), code, op)

    def finding(self) -> SSAValue:
        """Memory for a status, set to 0 when the kernel begins; of several findings the first
        in the program stays."""
        if self._finding is None:
            s = self._device
            outer = s.b.block
            s.b.block = Block()
            made = memref.AllocOp((), (), MemRefType(i64, []), IntegerAttr(64, i64))
            s.b.append(made)
            sweep(s, [], lambda _: s.b.store(s.b.constant(0, i64), made.memref, []), "begin")
            for op in reversed(list(s.b.block.ops)):
                s.b.block.detach_op(op)
                if self._entry.first_op is None:
                    self._entry.add_op(op)
                else:
                    self._entry.insert_op_before(op, self._entry.first_op)
            s.b.block = outer
            self._finding = made.memref
        return self._finding

    def outcome(self) -> SSAValue:
        """The status where no check on the way has failed: what the launches have found."""
        if self._finding is None:
            return super().outcome()
        return self._device.b.load(self._finding, [])

    def finish(self, results: Sequence[Result]) -> SSAValue:
        """Frees what was allocated and closes every check; gives the status of the kernel."""
        if self._finding is not None:
            self._device.allocated.append(self._finding)
        return super().finish(results)
