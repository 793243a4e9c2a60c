"""`loops.quad_dot` as LLVM text: VPDPBUSD, with what `byte_dots` says of signs, else VPMADDWD.

For the latter the even and the odd bytes of words are shifted to be numbers of 16 bits. Processors of other
kinds multiply numbers of 32 bits.
"""

from collections.abc import Callable

from xdsl.dialects.builtin import VectorType

from flowc.compiler.backends.llvm.byte_dots import by_bytes, has, has_byte_products
from flowc.compiler.backends.llvm.function import FunctionEmitter, joined, shuffled
from flowc.dialects import loops

WIDTHS = (512, 256, 128)
"""Bits of the vectors that instructions take."""

MULTIPLIERS = {
    512: ("llvm.x86.avx512.pmaddw.d.512", "avx512bw", ("v4",)),
    256: ("llvm.x86.avx2.pmadd.wd", "avx2", ("v4", "v3")),
    128: ("llvm.x86.sse2.pmadd.wd", "sse2", ("v4", "v3", "v2")),
}
"""LLVM's names for VPMADDWD by width, the ability that it needs, and the levels of x86-64 that have it."""

Part = Callable[[str, str, str], str]
"""Takes words of two operands and sums, all of one width, and gives the new sums."""


def emit_quad_dot(e: FunctionEmitter, op: loops.QuadDotOp) -> None:
    """Writes the products of four bytes a sum, which stand in words."""
    assert isinstance(op.sums.type, VectorType)
    lanes = op.sums.type.element_count()
    operands = (e.operand(op.left), e.operand(op.right), e.operand(op.sums))
    width, part = _widest(e, lanes)
    e.values[op.result] = _by_parts(e, lanes, width, operands, part)


def _widest(e: FunctionEmitter, lanes: int) -> tuple[int, Part]:
    """How many lanes the best instruction takes, and what writes it."""
    longest = next(width for width in WIDTHS if f'"prefer-vector-width"="{width}"' in e.attributes)
    widths = [width for width in WIDTHS if width <= longest and 32 * lanes % width == 0]
    for width in widths:
        if has_byte_products(e, width):
            return width // 32, lambda one, other, sums, n=width // 32: _by_bytes(e, n, one, other, sums)
    for width in widths:
        name, ability, levels = MULTIPLIERS[width]
        if has(e, ability) or any(f'"target-cpu"="x86-64-{level}"' in e.attributes for level in levels):
            return width // 32, lambda *parts, n=width // 32, by=name: _by_halves(e, n, by, *parts)
    return lanes, lambda *parts: _one_by_one(e, lanes, *parts)


def _by_parts(e: FunctionEmitter, lanes: int, width: int, operands: tuple[str, str, str], part: Part) -> str:
    """Vector by vector, which are then put together."""
    parts = []
    for first in range(0, lanes, width):
        places = range(first, first + width)
        parts.append(part(*(shuffled(e, f"<{lanes} x i32>", value, value, places) for value in operands)))
    return joined(e, "i32", width, parts)


def _by_bytes(e: FunctionEmitter, lanes: int, left: str, right: str, sums: str) -> str:
    words, bytes_ = f"<{lanes} x i32>", f"<{4 * lanes} x i8>"
    one, other = (e.emit(f"bitcast {words} {value} to {bytes_}") for value in (left, right))
    return by_bytes(e, 4 * lanes, one, other, sums)


def _by_halves(e: FunctionEmitter, lanes: int, name: str, left: str, right: str, sums: str) -> str:
    words, halves = f"<{lanes} x i32>", f"<{2 * lanes} x i16>"
    upper = [e.emit(f"bitcast {words} {value} to {halves}") for value in (left, right)]
    lower = [e.emit(f"shl {halves} {value}, splat (i16 8)") for value in upper]
    total = sums
    for pair in (lower, upper):
        wide = [f"{halves} {e.emit(f'ashr {halves} {value}, splat (i16 8)')}" for value in pair]
        total = e.emit(f"add {words} {total}, {e.call(name, words, wide)}")
    return total


def _one_by_one(e: FunctionEmitter, lanes: int, left: str, right: str, sums: str) -> str:
    words, total = f"<{lanes} x i32>", sums
    for shift in (24, 16, 8, 0):
        pair = []
        for value in (left, right):
            above = e.emit(f"shl {words} {value}, splat (i32 {shift})")
            pair.append(e.emit(f"ashr {words} {above}, splat (i32 24)"))
        total = e.emit(f"add {words} {total}, {e.emit(f'mul {words} {pair[0]}, {pair[1]}')}")
    return total
