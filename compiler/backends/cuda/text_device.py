"""What is CUDA's own: places of threads, barriers, warps, tensor cores and copies beside the arithmetic."""

from collections.abc import Callable
from typing import Any

from xdsl.dialects import gpu
from xdsl.dialects.builtin import BFloat16Type, Float16Type, IntegerType
from xdsl.ir import Operation

from flowc.compiler.backends.cuda.text_memory import pointer
from flowc.compiler.backends.cuda.text_state import KernelWriter, Writer, c_type, is_number
from flowc.dialects import device

ALL_LANES = "0xffffffffu"


def _coordinate(variable: str) -> Writer:
    def write(w: KernelWriter, op: Any) -> None:
        w.define(op.result, f"(idx){variable}.{op.dimension.data.value}")

    return write


def _global_id(w: KernelWriter, op: gpu.GlobalIdOp) -> None:
    axis = op.dimension.data.value
    w.define(op.result, f"(idx)blockIdx.{axis} * (idx)blockDim.{axis} + (idx)threadIdx.{axis}")


def _lane(w: KernelWriter, op: gpu.LaneIdOp) -> None:
    w.define(op.result, f"(idx){w.call('lane')}()")


def _statement(text: str) -> Writer:
    def write(w: KernelWriter, op: Operation) -> None:
        w.do(f"{text};")

    return write


def _meeting(write: Callable[[KernelWriter, Any], None]) -> Writer:
    """Notes that threads wait for one another in this kernel."""

    def noted(w: KernelWriter, op: Any) -> None:
        w.together = True
        write(w, op)

    return noted


def _shuffle(w: KernelWriter, op: device.ShuffleOp) -> None:
    """Types of less than four bytes go as an int."""
    type_, kind = op.value.type, c_type(op.value.type)
    small = isinstance(type_, Float16Type | BFloat16Type) or (
        isinstance(type_, IntegerType) and type_.width.data < 32
    )
    name = "__shfl_sync" if op.kind.data == "idx" else f"__shfl_{op.kind.data}_sync"
    value = w.operand(op.value)
    if small or is_number(
        value
    ):  # CUDA has no shuffle of less than four bytes, and an index may be written as an int
        value = f"({'int' if small else kind}){value}"
    text = f"{name}({ALL_LANES}, {value}, {w.operand(op.lane)}, {op.width.value.data})"
    w.declare(op.result, f"({kind}){text}" if small else text)


def _ballot(w: KernelWriter, op: device.BallotOp) -> None:
    w.declare(op.lanes, f"(int)__ballot_sync({ALL_LANES}, {w.operand(op.condition)})")


def _matrix_multiply(w: KernelWriter, op: device.MatrixMultiplyOp) -> None:
    w.helpers.add("vec")
    a, b, c = w.operands(op)
    w.declare(op.result, f"{w.call(f'multiply_{op.dtype.data}')}({a}, {b}, {c})")


def _load_matrix(w: KernelWriter, op: device.LoadMatrixOp) -> None:
    w.helpers.add("vec")
    turned = "_transposed" if op.transpose is not None else ""
    helper = w.call(f"load_matrix{op.words.type.element_count()}{turned}")
    w.declare(op.words, f"{helper}({pointer(w, op.memory, op.indices)})")


def _pack_halves(w: KernelWriter, op: device.PackHalvesOp) -> None:
    low, high = w.operands(op)
    w.define(op.word, f"{w.call(f'pack_{op.dtype.data}')}({low}, {high})")


def _dot_bytes(w: KernelWriter, op: device.DotBytesOp) -> None:
    one, other, total = w.operands(op)
    w.define(op.result, f"{w.call(f'dot_{op.dtype.data}')}({one}, {other}, {total})")


def _copy_async(w: KernelWriter, op: device.CopyAsyncOp) -> None:
    target = pointer(w, op.target, op.target_indices)
    source = pointer(w, op.source, op.source_indices)
    w.do(f"{w.call('copy_async')}({target}, {source}, {w.operand(op.condition)});")


def _commit(w: KernelWriter, op: device.CommitCopiesOp) -> None:
    w.do(f"{w.call('commit_copies')}();")


def _wait(w: KernelWriter, op: device.WaitCopiesOp) -> None:
    w.do(f"{w.call('wait_copies')}<{op.pending.value.data}>();")


writers: dict[type[Operation], Writer] = {
    gpu.BlockIdOp: _coordinate("blockIdx"),
    gpu.ThreadIdOp: _coordinate("threadIdx"),
    gpu.GridDimOp: _coordinate("gridDim"),
    gpu.BlockDimOp: _coordinate("blockDim"),
    gpu.GlobalIdOp: _global_id,
    gpu.LaneIdOp: _lane,
    gpu.BarrierOp: _meeting(_statement("__syncthreads()")),
    device.ShuffleOp: _meeting(_shuffle),
    device.BallotOp: _meeting(_ballot),
    device.SyncWarpOp: _meeting(_statement("__syncwarp()")),
    device.FenceOp: _statement("__threadfence()"),
    device.MatrixMultiplyOp: _meeting(_matrix_multiply),
    device.LoadMatrixOp: _meeting(_load_matrix),
    device.PackHalvesOp: _pack_halves,
    device.DotBytesOp: _dot_bytes,
    device.CopyAsyncOp: _copy_async,
    device.CommitCopiesOp: _commit,
    device.WaitCopiesOp: _wait,
}
