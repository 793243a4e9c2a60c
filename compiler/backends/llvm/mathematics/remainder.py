"""fmod: what is left of a number when another is taken from it as often as it fits; exact."""

from flowc.compiler.backends.llvm.mathematics.body import Body, Function


def _fmod(b: Body, x: str, y: str) -> str:
    """|x| - q |y| is exact for the whole q of the quotient, which its rounding can make too great by one."""
    size, other = b.size(x), b.size(y)
    quotient = b.op("fdiv", size, other)
    rest = b.fused(b.negated(b.intrinsic("trunc", quotient)), other, size)
    rest = b.select(b.compare("olt", rest, b.number(0.0)), b.op("fadd", rest, other), rest)
    # Less than once: the number itself, also where the other is infinite.
    near = b.with_sign(b.select(b.compare("olt", size, other), size, rest), x)
    return b.function("fmod_far", x, y, near, quotient)


FUNCTIONS: dict[str, Function] = {"fmod": _fmod}
