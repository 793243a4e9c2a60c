"""`loops.pair_dot` as LLVM text: VDPBF16PS where it may take subnormal numbers for zero, else two fused
operations on halves of the words, which are shifted or masked to be numbers of f32.

VDPBF16PS adds the product of the upper halves first, then that of the lower ones, each as a fused operation
that rounds to nearest even, takes subnormal operands for zero and gives zero for subnormal results (Intel 64
and IA-32 Architectures Software Developer's Manual, volume 2).
"""

from xdsl.dialects.builtin import VectorType

from flowc.compiler.backends.llvm.byte_dots import has
from flowc.compiler.backends.llvm.function import FunctionEmitter, joined, shuffled
from flowc.dialects import loops
from flowc.runtime.processor import BF16_DOTS

LANES = 16
"""Numbers of f32 of the widest vector that it takes."""

UPPER = -(1 << 16)
"""The upper half of a word."""


def emit_pair_dot(e: FunctionEmitter, op: loops.PairDotOp) -> None:
    """Writes the products of two pairs a sum."""
    assert isinstance(op.sums.type, VectorType)
    lanes = op.sums.type.element_count()
    left, right, sums = e.operand(op.left), e.operand(op.right), e.operand(op.sums)
    if op.flushes is not None and has(e, BF16_DOTS) and lanes % LANES == 0:
        e.values[op.result] = _by_instruction(e, lanes, left, right, sums)
    else:
        e.values[op.result] = _by_halves(e, lanes, left, right, sums)


def _by_instruction(e: FunctionEmitter, lanes: int, left: str, right: str, sums: str) -> str:
    """Vector by vector, which are then put together."""
    floats, pairs = f"<{LANES} x float>", f"<{2 * LANES} x bfloat>"
    parts = []
    for first in range(0, lanes, LANES):
        places = range(first, first + LANES)
        arguments = [f"{floats} {shuffled(e, f'<{lanes} x float>', sums, sums, places)}"]
        for words in (left, right):
            chosen = shuffled(e, f"<{lanes} x i32>", words, words, places)
            arguments.append(f"{pairs} {e.emit(f'bitcast <{LANES} x i32> {chosen} to {pairs}')}")
        parts.append(e.call(f"llvm.x86.avx512bf16.dpbf16ps.{32 * LANES}", floats, arguments))
    return joined(e, "float", LANES, parts)


def _by_halves(e: FunctionEmitter, lanes: int, left: str, right: str, sums: str) -> str:
    words, floats = f"<{lanes} x i32>", f"<{lanes} x float>"
    total = sums
    for instruction, by in (("and", UPPER), ("shl", 16)):
        factors = [e.emit(f"{instruction} {words} {value}, splat (i32 {by})") for value in (left, right)]
        numbers = [e.emit(f"bitcast {words} {factor} to {floats}") for factor in factors]
        arguments = [f"{floats} {value}" for value in (*numbers, total)]
        total = e.call(f"llvm.fma.v{lanes}f32", floats, arguments)
    return total
