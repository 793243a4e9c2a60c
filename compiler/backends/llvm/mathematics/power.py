"""pow and cbrt: e**(y log |x|), with the logarithm as a sum of two numbers in f64, and through f64 in f32.

In f64 a power may be e**709, so its logarithm needs eleven bits more than a number has; log x = e ln 2 + 2 s
+ 2/3 s**3 + ... is summed in pairs of numbers, each with what its rounding left (T. J. Dekker, 1971).
"""

from math import log

from flowc.compiler.backends.llvm.mathematics.body import F32, Body, Function
from flowc.compiler.backends.llvm.mathematics.exponential import EXP
from flowc.compiler.backends.llvm.mathematics.logarithm import decomposed

_ATANH_TAIL = (
    0.3999999999999998, 0.28571428571445173, 0.22222222217520438, 0.18181818872370278, 0.15384556725460238,
    0.13336323198197947, 0.11674697936242245, 0.11990041707026888,
)  # fmt: skip
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_LN2_LOW = 1.90821492927058770002e-10
_SHORT_ATANH = (0.666666656445764, 0.40000335548438254, 0.2853727746812076, 0.23582878691306924)
_SHORT_EXP = (
    0.5000000067872706, 0.16666665868478955, 0.04166629428566862, 0.008333496871397767, 0.001394470834126842,
    0.0001979059158188496,
)  # fmt: skip


def _log_pair(b: Body, x: str) -> tuple[str, str]:
    """log x of a positive finite x as a sum of two numbers."""
    f, e = decomposed(b, x)
    two = b.number(2.0)
    denominator = b.op("fadd", f, two)
    missing = b.op("fsub", f, b.op("fsub", denominator, two))
    inverse = b.op("fdiv", b.number(1.0), denominator)
    s = b.op("fmul", f, inverse)
    rest = b.fused(b.negated(s), denominator, f)
    s_low = b.op("fmul", b.fma(b.negated(s), missing, rest), inverse)
    z, z_low = b.product(s, s)
    z_low = b.fma(b.op("fadd", s, s), s_low, z_low)
    tail = b.op("fmul", z, b.horner(z, _ATANH_TAIL))
    c, c_low = b.sum(b.number(_TWO_THIRDS[0]), tail)
    c_low = b.op("fadd", c_low, b.number(_TWO_THIRDS[1]))
    cube, cube_low = b.product(s, z)
    cube_low = b.fma(s, z_low, b.fma(s_low, z, cube_low))
    term, term_low = b.product(cube, c)
    term_low = b.fma(cube, c_low, b.fma(cube_low, c, term_low))
    high, low = b.sum(b.op("fmul", e, b.number(b.f.ln2_high)), b.op("fadd", s, s))
    total, rounded = b.sum(high, term)
    low = b.op("fadd", b.op("fadd", low, rounded), b.fma(s_low, two, term_low))
    return b.sum(total, b.fma(e, b.number(_LN2_LOW), low))


def _log_of_extremes(b: Body, x: str, high: str, low: str) -> tuple[str, str]:
    """The pair where x is positive and finite; minus infinity at 0, infinity at infinity."""
    zero, infinity = b.number(0.0), b.number(float("inf"))
    at_zero, at_infinity = b.compare("oeq", x, zero), b.compare("oeq", x, infinity)
    high = b.select(at_zero, b.number(float("-inf")), b.select(at_infinity, infinity, high))
    return high, b.select(at_zero, zero, b.select(at_infinity, zero, low))


def _magnitude(b: Body, x: str, y: str) -> str:
    """x**y for x at least 0."""
    high, low = _log_of_extremes(b, x, *_log_pair(b, x))
    power = b.op("fmul", y, high)
    rest = b.fma(y, low, b.fused(y, high, b.negated(power)))
    limit = b.f.exp_high * 1.06
    inside = b.compare("olt", b.size(power), b.number(limit))
    return _exp_of_pair(b, b.clamped(power, -limit, limit), b.select(inside, rest, b.number(0.0)))


def _exp_of_pair(b: Body, high: str, low: str) -> str:
    """e**(high + low), little more than half a unit from it: whole powers of small numbers come out exact."""
    whole, n = b.nearest(b.op("fmul", high, b.number(1 / log(2))))
    rest = b.fused(whole, b.number(-b.f.ln2_high), high)
    r, r_low = b.sum(rest, b.fma(whole, b.number(-b.f.ln2_low), low))
    tail = b.fma(b.op("fmul", r, r), b.horner(r, EXP[b.f.suffix]), r_low)
    one, lost = b.sum(b.number(1.0), r)
    return b.scaled(b.op("fadd", one, b.op("fadd", lost, tail)), n)


def _narrow_magnitude(b: Body, x: str, y: str) -> str:
    """x**y in f64, for x at least 0 out of f32, good to more than the 24 bits of f32."""
    f, e = decomposed(b, x, subnormal=False)
    s = b.op("fdiv", f, b.op("fadd", f, b.number(2.0)))
    z = b.op("fmul", s, s)
    high = b.fma(b.op("fmul", s, z), b.horner(z, _SHORT_ATANH), b.op("fadd", s, s))
    high, _ = _log_of_extremes(b, x, b.fma(e, b.number(0.6931471805599453), high), b.number(0.0))
    r, n = b.reduced(b.clamped(b.op("fmul", y, high), -200.0, 200.0))
    part = b.fma(b.op("fmul", r, r), b.horner(r, _SHORT_EXP), r)
    power = b.power_of_two(n)
    return b.fma(power, part, power)


def _wide(b: Body, x: str) -> str:
    return b.emit(f"fpext float {x} to double")


def _through_f64(b: Body, x: str, wide_y: str) -> str:
    b.calls.add("flowc.narrow_power.f64")
    power = b.emit(f"call double @flowc.narrow_power.f64(double {_wide(b, x)}, double {wide_y})")
    return b.emit(f"fptrunc double {power} to float")


def _pow(b: Body, x: str, y: str) -> str:
    """The magnitude with the sign and the exceptions of C's `pow` (ISO C, annex F)."""
    zero, one = b.number(0.0), b.number(1.0)
    size = b.size(x)
    value = _through_f64(b, size, _wide(b, y)) if b.f == F32 else _magnitude(b, size, y)
    value = b.select(b.both(b.compare("oeq", size, one), b.compare("ord", y, y)), one, value)
    half = b.op("fmul", y, b.number(0.5))
    whole = b.compare("oeq", b.intrinsic("floor", y), y)
    odd = b.both(whole, b.compare("une", b.intrinsic("floor", half), half))
    value = b.select(odd, b.with_sign(value, x), value)
    inside = b.both(b.compare("olt", x, zero), b.compare("ogt", x, b.number(float("-inf"))))
    broken = b.both(inside, b.compare("one", b.intrinsic("floor", y), y))
    value = b.select(broken, b.number(float("nan")), value)
    value = b.select(b.compare("uno", x, y), b.op("fadd", x, y), value)
    trivial = b.emit(f"or i1 {b.compare('oeq', x, one)}, {b.compare('oeq', y, zero)}")
    return b.select(trivial, one, value)


def _cbrt(b: Body, x: str) -> str:
    """|x|**(1/3), and in f64 a step of Newton's method with the residual rounded once."""
    size = b.size(x)
    itself = b.compare("ueq", b.op("fadd", x, x), x)
    if b.f == F32:
        root = _through_f64(b, size, "0x3FD5555555555555")
        return b.select(itself, x, b.with_sign(root, x))
    tiny = b.compare("olt", size, b.number(2.0**-900))
    size = b.select(tiny, b.op("fmul", size, b.number(2.0**300)), size)
    y = b.function("exp", b.op("fmul", b.function("log", size), b.number(1 / 3)))
    square, square_low = b.product(y, y)
    residual = b.fma(square_low, y, b.fused(square, y, b.negated(size)))
    root = b.op("fsub", y, b.op("fdiv", residual, b.op("fmul", b.number(3.0), square)))
    root = b.select(tiny, b.op("fmul", root, b.number(2.0**-100)), root)
    return b.select(itself, x, b.with_sign(root, x))


FUNCTIONS: dict[str, Function] = {"pow": _pow, "narrow_power": _narrow_magnitude, "cbrt": _cbrt}
