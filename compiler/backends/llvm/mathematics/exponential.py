"""Exponentials and hyperbolic functions: x = n ln 2 + r, a polynomial of r, and 2**n by its bits.

The polynomials are minimax on |r| <= ln 2 / 2 with leading coefficients rounded one at a time.
"""

from math import log

from flowc.compiler.backends.llvm.mathematics.body import F32, Body, Function

EXP = {
    "f32": (0.500000009569, 0.166665183039, 0.0416662041661, 0.0083689537087, 0.00139506002985),
    "f64": (
        0.5000000000000011, 0.1666666666666641, 0.041666666666529954, 0.008333333333495879,
        0.001388888894371749, 0.00019841269504339428, 2.4801492980028075e-05, 2.7557587700545253e-06,
        2.7630299184970905e-07, 2.499983364853552e-08,
    ),
}  # fmt: skip
"""(e**r - 1 - r) / r**2 on the reduced interval."""
_SINH = {
    "f32": (0.166666672, 0.00833331048, 0.000198428956, 2.78221205e-06),
    "f64": (
        0.16666666666666669, 0.008333333333333148, 0.00019841269841431864, 2.755731915707384e-06,
        2.5052123136481328e-08, 1.605725978276376e-10, 7.758748498792263e-13,
    ),
}  # fmt: skip


def exp_minus_one(b: Body, r: str) -> str:
    """e**r - 1 on the reduced interval."""
    return b.fma(b.op("fmul", r, r), b.horner(r, EXP[b.f.suffix]), r)


def _exp(b: Body, x: str) -> str:
    r, n = b.reduced(b.clamped(x, b.f.exp_low, b.f.exp_high))
    return b.scaled(b.op("fadd", exp_minus_one(b, r), b.number(1.0)), n)


def _exp2(b: Body, x: str) -> str:
    inside = b.clamped(x, b.f.exp_low / log(2) - 1, b.f.exp_high / log(2) + 1)
    whole, n = b.nearest(inside)
    r = b.op("fmul", b.op("fsub", inside, whole), b.number(log(2)))
    return b.scaled(b.op("fadd", exp_minus_one(b, r), b.number(1.0)), n)


def _expm1(b: Body, x: str) -> str:
    """2 (2**(n-1) (e**r - 1) + (2**(n-1) - 1/2)): no cancellation near 0, overflow only where it is due."""
    r, n = b.reduced(b.clamped(x, -(b.f.mantissa + 10.0), b.f.exp_high))
    half = b.power_of_two(b.intop("sub", n, 1))
    value = b.fma(half, exp_minus_one(b, r), b.op("fsub", half, b.number(0.5)))
    return b.with_sign(b.op("fadd", value, value), x)


def _tanh(b: Body, x: str) -> str:
    """(e**2|x| - 1) / (e**2|x| + 1): both by one fused operation from e**r - 1, which is accurate near 0."""
    size = b.at_most(b.size(x), 10.0 if b.f == F32 else 22.0)
    r, n = b.reduced(b.op("fadd", size, size))
    power, one, part = b.power_of_two(n), b.number(1.0), exp_minus_one(b, r)
    above, below = (b.fma(power, part, b.op(sign, power, one)) for sign in ("fsub", "fadd"))
    return b.with_sign(b.op("fdiv", above, below), x)


def _half_exp(b: Body, size: str) -> str:
    """e**|x| / 2, finite wherever sinh and cosh are."""
    r, n = b.reduced(b.at_most(size, b.f.exp_high + 1.0))
    return b.scaled(b.op("fadd", exp_minus_one(b, r), b.number(1.0)), b.intop("sub", n, 1))


def _cosh(b: Body, x: str) -> str:
    half = _half_exp(b, b.size(x))
    return b.op("fadd", half, b.op("fdiv", b.number(0.25), half))


def _sinh(b: Body, x: str) -> str:
    size = b.size(x)
    half = _half_exp(b, size)
    far = b.op("fsub", half, b.op("fdiv", b.number(0.25), half))
    square = b.op("fmul", size, size)
    near = b.fma(b.op("fmul", size, square), b.horner(square, _SINH[b.f.suffix]), size)
    return b.with_sign(b.select(b.compare("olt", size, b.number(1.0)), near, far), x)


FUNCTIONS: dict[str, Function] = {
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
}
