"""sin, cos and tan: the argument less a multiple of pi, held in three parts, and a polynomial of the rest.

The reduction holds up to the limits of `far`, which sees to what lies beyond.
"""

from math import pi

from flowc.compiler.backends.llvm.mathematics.body import Body, Function

_PI = {
    "f32": (3.1415927410125732, -8.742277657347586e-08, -3.4302490200117637e-15),
    "f64": (3.141592653589793, 1.2246467991473532e-16, -2.9947698097183383e-33),
}
_SIN_TO_HALF_PI = {
    "f32": (-0.166666672, 0.00833335053, -0.000198430935, 2.76270498e-06, -2.55025956e-08),
    "f64": (
        -0.16666666666666666, 0.008333333333333186, -0.00019841269841206196, 2.7557319210606647e-06,
        -2.5052106823158396e-08, 1.605893716050007e-10, -7.642924026169021e-13, 2.7204524953935053e-15,
    ),
}  # fmt: skip
_SIN_TO_QUARTER_PI = {
    "f32": (-0.166666538, 0.00833210628, -0.000195079658),
    "f64": (
        -0.1666666666666663, 0.008333333333322007, -0.0001984126982949661, 2.7557313587989234e-06,
        -2.5050742363458848e-08, 1.5895907825462094e-10,
    ),
}  # fmt: skip
_COS_TO_QUARTER_PI = {
    "f32": (0.0416666456, -0.00138872978, 2.44300845e-05),
    "f64": (
        0.041666666666666595, -0.0013888888888872897, 2.4801587288748888e-05, -2.755731414880318e-07,
        2.087569659489002e-09, -1.1358311561043394e-11,
    ),
}  # fmt: skip


def _rest(b: Body, x: str, multiple: str, share: float) -> tuple[str, str]:
    """x less a multiple of `share` times pi, as a number and what its last rounding left."""
    first, second, third = (b.number(-part * share) for part in _PI[b.f.suffix])
    r = b.fused(multiple, second, b.fused(multiple, first, x))
    whole = b.fused(multiple, third, r)
    return whole, b.fused(multiple, third, b.op("fsub", r, whole))


def _sine(b: Body, r: str, odd: str) -> str:
    """sin r for |r| up to pi / 2, negated where the integer `odd` is; never beyond 1."""
    square = b.op("fmul", r, r)
    value = b.fma(b.op("fmul", r, square), b.horner(square, _SIN_TO_HALF_PI[b.f.suffix]), r)
    return b.sign_if_odd(b.clamped(value, -1.0, 1.0), odd)


def _sin(b: Body, x: str) -> str:
    whole, n = b.nearest(b.op("fmul", x, b.number(1 / pi)))
    value = _sine(b, _rest(b, x, whole, 1.0)[0], n)
    value = b.select(b.compare("oeq", x, b.number(0.0)), x, value)
    return b.function("sin_far", x, value, b.size(x))


def _cos(b: Body, x: str) -> str:
    """With x = (n + 1/2) pi + r, cos x = -(-1)**n sin r."""
    whole, n = b.nearest(b.fma(x, b.number(1 / pi), b.number(-0.5)))
    halves = b.fma(whole, b.number(2.0), b.number(1.0))
    value = _sine(b, _rest(b, x, halves, 0.5)[0], b.intop("add", n, 1))
    return b.function("cos_far", x, value, b.size(x))


def _tan(b: Body, x: str) -> str:
    """sin / cos of the rest in even quarters, - cos / sin in odd ones."""
    whole, n = b.nearest(b.op("fmul", x, b.number(2 / pi)))
    r, low = _rest(b, x, whole, 0.5)
    square = b.op("fmul", r, r)
    half = b.op("fmul", square, b.number(0.5))
    one = b.number(1.0)
    near_one = b.op("fsub", one, half)
    lost = b.op("fsub", b.op("fsub", one, near_one), half)
    lost = b.fma(b.op("fmul", square, square), b.horner(square, _COS_TO_QUARTER_PI[b.f.suffix]), lost)
    cosine = b.op("fadd", near_one, b.fma(b.negated(r), low, lost))
    tail = b.fma(b.op("fmul", r, square), b.horner(square, _SIN_TO_QUARTER_PI[b.f.suffix]), low)
    sine = b.op("fadd", r, tail)
    odd = b.emit(f"trunc {b.f.integer} {n} to i1")
    above, below = b.select(odd, cosine, sine), b.select(odd, sine, cosine)
    value = b.sign_if_odd(b.op("fdiv", above, below), n)
    value = b.select(b.compare("oeq", x, b.number(0.0)), x, value)
    return b.function("tan_far", x, value, b.size(x))


FUNCTIONS: dict[str, Function] = {"sin": _sin, "cos": _cos, "tan": _tan}
