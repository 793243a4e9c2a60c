"""`loops.dot` as LLVM text: the instruction that a processor has for products of bytes.

VPDPBUSD multiplies unsigned bytes by signed ones. A signed byte plus 128 is the same byte with its highest
bit turned, taken as unsigned, so what it adds is too large by 128 times the sum of the signed bytes, which a
second VPDPBUSD gives. Without it, bytes are widened, for VPMADDWD.
"""

from xdsl.dialects.builtin import VectorType

from flowc.compiler.backends.llvm.function import FunctionEmitter, shuffled
from flowc.dialects import loops

OFFSET = 128
"""What turns a signed byte into an unsigned one."""


def emit_dot(e: FunctionEmitter, op: loops.DotOp) -> None:
    """Writes the products of four bytes a sum."""
    assert isinstance(op.left.type, VectorType)
    number = op.left.type.element_count()
    left, right, sums = e.operand(op.left), e.operand(op.right), e.operand(op.sums)
    if has_byte_products(e, 8 * number):
        e.values[op.result] = by_bytes(e, number, left, right, sums)
    else:
        e.values[op.result] = _by_words(e, number, left, right, sums)


def has(e: FunctionEmitter, *features: str) -> bool:
    """Whether the target has all of these abilities."""
    return all(f"+{feature}," in f"{e.attributes},".replace('"', ",") for feature in features)


def has_byte_products(e: FunctionEmitter, width: int) -> bool:
    """Whether the target multiplies bytes of vectors of so many bits."""
    if has(e, "avx512vnni"):
        return width == 512 or has(e, "avx512vl")
    return width < 512 and has(e, "avxvnni")


def by_bytes(e: FunctionEmitter, number: int, left: str, right: str, sums: str) -> str:
    """The products of vectors of so many signed bytes, added to sums of four neighbours each."""
    lanes = number // 4
    bytes_, words = f"<{number} x i8>", f"<{lanes} x i32>"
    name = f"llvm.x86.avx512.vpdpbusd.{8 * number}"
    offset = e.emit(f"bitcast {bytes_} splat (i8 -{OFFSET}) to {bytes_}")

    def product(start: str, unsigned: str, signed: str) -> str:
        return e.call(name, words, [f"{words} {start}", f"{bytes_} {unsigned}", f"{bytes_} {signed}"])

    zero = e.emit(f"bitcast {words} zeroinitializer to {words}")
    above = product(sums, e.emit(f"xor {bytes_} {left}, {offset}"), right)
    return e.emit(f"sub {words} {above}, {product(zero, offset, right)}")


def _by_words(e: FunctionEmitter, number: int, left: str, right: str, sums: str) -> str:
    """Halves of each vector are widened, multiplied and added pair by pair, as LLVM knows VPMADDWD."""
    words, half = f"<{number // 4} x i32>", number // 2
    total = sums
    for start in (0, half):
        wide = [_widened(e, number, vector, start) for vector in (left, right)]
        for odd in (0, 1):
            factors = [_every_second(e, half, vector, odd) for vector in wide]
            total = e.emit(f"add {words} {total}, {e.emit(f'mul {words} {factors[0]}, {factors[1]}')}")
    return total


def _widened(e: FunctionEmitter, number: int, vector: str, start: int) -> str:
    """Half of the bytes, from `start` on, as integers of 16 bits."""
    half = number // 2
    part = shuffled(e, f"<{number} x i8>", vector, vector, range(start, start + half))
    return e.emit(f"sext <{half} x i8> {part} to <{half} x i16>")


def _every_second(e: FunctionEmitter, number: int, vector: str, odd: int) -> str:
    """Every second of a number of integers of 16 bits, widened."""
    part = shuffled(e, f"<{number} x i16>", vector, vector, range(odd, number, 2))
    return e.emit(f"sext <{number // 2} x i16> {part} to <{number // 2} x i32>")
