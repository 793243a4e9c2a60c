"""Steps on integers in memory that no other thread sees half of, whose order does not matter."""

from collections.abc import Sequence

from xdsl.dialects import memref
from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import SSAValue

from flowc.passes.array_to_gpu.launch import only_if
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops.builder import Index

_KINDS = {"sum": 1, "max": 4, "umax": 5, "min": 7, "umin": 8, "prod": 10, "or": 11}
"""The kinds of `memref.atomic_rmw`, as MLIR numbers them; "umax" and "umin" are of numbers without sign."""
_BETTER = {"max": "sgt", "umax": "ugt", "min": "slt", "umin": "ult"}


def change(s: DeviceLowering, kind: str, value: SSAValue, memory: SSAValue, at: Sequence[Index]) -> None:
    """Combines an element of memory, of 32 or 64 bits, with a value.

    Where an extreme stands there already, no step is needed: what was read may be old, but only ever gets
    better.
    """
    indices = [s.b.index(i) for i in at]

    def step() -> None:
        s.b.append(
            memref.AtomicRMWOp.create(
                operands=[value, memory, *indices],
                result_types=[value.type],
                properties={"kind": IntegerAttr(_KINDS[kind], i64)},
            )
        )

    if kind in _BETTER:
        only_if(s, s.b.compare(_BETTER[kind], value, s.b.load(memory, at)), step)
    else:
        step()
