"""Logarithms: x = 2**e (1 + f) with 1 + f between the roots of 1/2 and 2, and a polynomial of f.

In f32 of f itself, in f64 of s = f / (2 + f), as log(1 + f) = 2 atanh(s).
"""

from flowc.compiler.backends.llvm.mathematics.body import F32, Body, Function

_LOG_F32 = (
    0.333333104399, -0.249999865998, 0.20002226614, -0.166692508156, 0.14218658089, -0.123843484794,
    0.118729763108, -0.117898076468, 0.0691536797223,
)  # fmt: skip
_ATANH_F64 = (
    0.6666666666666735, 0.39999999999412733, 0.28571428742901794, 0.22222198512522118, 0.18183567869235448,
    0.15313950349134864, 0.14797044072454826,
)  # fmt: skip
_BASE_2 = {
    "f32": (1.4426950216293335, 1.925963033500011e-08),
    "f64": (1.4426950408889634, 2.0355273740931033e-17),
}
_BASE_10 = {
    "f32": (0.4342944920063019, -1.0103049952192578e-08),
    "f64": (0.4342944819032518, 1.098319650216765e-17),
}
_LOG10_OF_2 = {
    "f32": (0.301025390625, 4.605039066518657e-06),
    "f64": (0.30102999560767785, 5.630334806675098e-11),
}


def decomposed(b: Body, x: str, subnormal: bool = True) -> tuple[str, str]:
    """x = 2**e (1 + f) for positive finite x: gives f and e, both as numbers."""
    tiny = b.compare("olt", x, b.number(2.0 ** (2 - b.f.bias)))
    lift = float(b.f.mantissa + 2)
    if subnormal:
        x = b.select(tiny, b.op("fmul", x, b.number(2.0**lift)), x)
    f, e = _split(b, x)
    exponent = b.as_number(e)
    if subnormal:
        exponent = b.select(tiny, b.op("fsub", exponent, b.number(lift)), exponent)
    return f, exponent


def _split(b: Body, x: str) -> tuple[str, str]:
    """The same for a normal x, with e as an integer."""
    pattern = b.bits(x)
    e = b.intop("ashr", b.intop("sub", pattern, b.bits(b.number(0.5**0.5))), b.f.mantissa)
    one = b.from_bits(b.intop("sub", pattern, b.intop("shl", e, b.f.mantissa)))
    return b.op("fsub", one, b.number(1.0)), e


def _series(b: Body, f: str) -> str:
    """log(1 + f) - f."""
    if b.f == F32:
        return b.op("fmul", b.op("fmul", f, f), b.horner(f, (-0.5, *_LOG_F32)))
    half_square = b.op("fmul", b.op("fmul", f, f), b.number(0.5))
    s = b.op("fdiv", f, b.op("fadd", f, b.number(2.0)))
    square = b.op("fmul", s, s)
    tail = b.op("fmul", square, b.horner(square, _ATANH_F64))
    # 2 atanh(s) = f - f*f/2 + s (f*f/2 + tail): the leading terms are exact.
    return b.op("fsub", b.op("fmul", s, b.op("fadd", half_square, tail)), half_square)


def _natural(b: Body, e: str, f: str) -> str:
    """e ln 2 + log(1 + f)."""
    low = b.fma(e, b.number(b.f.ln2_low), _series(b, f))
    return b.fma(e, b.number(b.f.ln2_high), b.op("fadd", f, low))


def _special(b: Body, x: str, value: str) -> str:
    """The value where x is positive and finite; minus infinity at 0, NaN below, else x itself."""
    value = b.select(b.compare("olt", x, b.number(float("inf"))), value, x)
    broken = b.select(b.compare("oeq", x, b.number(0.0)), b.number(float("-inf")), b.number(float("nan")))
    return b.select(b.compare("ugt", x, b.number(0.0)), value, broken)


def _log(b: Body, x: str) -> str:
    f, e = decomposed(b, x)
    return _special(b, x, _natural(b, e, f))


def _scaled(b: Body, f: str, base: tuple[float, float]) -> str:
    """log(1 + f) times a constant that is given as a sum of two."""
    low = b.fma(_series(b, f), b.number(base[0]), b.op("fmul", f, b.number(base[1])))
    return b.fma(f, b.number(base[0]), low)


def _log2(b: Body, x: str) -> str:
    f, e = decomposed(b, x)
    value = b.op("fadd", e, _scaled(b, f, _BASE_2[b.f.suffix]))
    return _special(b, x, value)


def _log10(b: Body, x: str) -> str:
    f, e = decomposed(b, x)
    high, low = _LOG10_OF_2[b.f.suffix]
    value = b.fma(e, b.number(low), _scaled(b, f, _BASE_10[b.f.suffix]))
    return _special(b, x, b.fma(e, b.number(high), value))


def _log1p(b: Body, x: str) -> str:
    """log(u) with u = 1 + x, where f takes up what the rounding of u lost (after W. Kahan)."""
    one = b.number(1.0)
    u = b.op("fadd", x, one)
    lost_above = b.op("fsub", one, b.op("fsub", u, x))
    lost_below = b.op("fsub", x, b.op("fsub", u, one))
    lost = b.select(b.compare("ogt", x, one), lost_above, lost_below)
    f, e = _split(b, u)
    # Twice the scale and half of what was lost: the scale itself is no number for the largest x.
    scale = b.from_bits(b.intop("sub", b.bits(b.number(2.0)), b.intop("shl", e, b.f.mantissa)))
    f = b.fma(b.op("fmul", lost, b.number(0.5)), scale, f)
    value = _special(b, u, _natural(b, b.as_number(e), f))
    return b.select(b.compare("oeq", x, b.number(0.0)), x, value)


FUNCTIONS: dict[str, Function] = {"log": _log, "log2": _log2, "log10": _log10, "log1p": _log1p}
