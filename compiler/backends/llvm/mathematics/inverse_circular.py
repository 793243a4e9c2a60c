"""asin, acos, atan and atan2: polynomials of the square on a short interval, and identities that reach it."""

from flowc.compiler.backends.llvm.mathematics.body import Body, Function

_ASIN = {
    "f32": (0.166667521, 0.0749530941, 0.0454691499, 0.0241847709, 0.0421583392),
    "f64": (
        0.1666666666666541, 0.07500000000336711, 0.044642856828542715, 0.030381959129233208,
        0.022371758214778246, 0.017359702556065025, 0.013885254902901741, 0.012169097983135693,
        0.006528411986321665, 0.01952720714785596, -0.016222789466436165, 0.031911390574117654,
    ),
}  # fmt: skip
_ATAN = {
    "f32": (
        -0.333332986, 0.199985296, -0.142640144, 0.109508604, -0.0839920193, 0.057878688, -0.0310932621,
        0.0108660748, -0.00178208901,
    ),
    "f64": (
        -0.3333333333333307, 0.19999999999951446, -0.14285714282574186, 0.11111111006997945,
        -0.09090907002494408, 0.07692279833588767, -0.06666404011863085, 0.05880527547445865,
        -0.052535173810340625, 0.04722318284554928, -0.04219168737061346, 0.03664170394900441,
        -0.029903531445458344, 0.021984451978248037, -0.013900181755496635, 0.0071962346976735475,
        -0.0028847797559613405, 0.0008312726415418469, -0.00015215014986930613, 1.3223995978137095e-05,
    ),
}  # fmt: skip
_HALF_PI = {
    "f32": (1.5707963705062866, -4.371138828673793e-08),
    "f64": (1.5707963267948966, 6.123233995736766e-17),
}


def _arc(b: Body, x: str) -> tuple[str, str, str]:
    """asin |x| = part + rest up to 1/2, pi/2 - 2 (part + rest) above: gives part, rest and the condition."""
    size = b.size(x)
    above = b.compare("ogt", size, b.number(0.5))
    complement = b.fma(size, b.number(-0.5), b.number(0.5))
    square = b.select(above, complement, b.op("fmul", size, size))
    root = b.intrinsic("sqrt", complement)
    lost = b.op("fdiv", b.fused(b.negated(root), root, complement), b.op("fadd", root, root))
    lost = b.select(b.both(above, b.compare("ogt", root, b.number(0.0))), lost, b.number(0.0))
    part = b.select(above, root, size)
    return part, b.fma(b.op("fmul", part, square), b.horner(square, _ASIN[b.f.suffix]), lost), above


def _asin(b: Body, x: str) -> str:
    part, rest, above = _arc(b, x)
    high, low = map(b.number, _HALF_PI[b.f.suffix])
    two = b.number(-2.0)
    far_high, lost = b.sum(high, b.op("fmul", part, two))
    far = b.op("fadd", far_high, b.op("fadd", lost, b.fma(rest, two, low)))
    return b.with_sign(b.select(above, far, b.op("fadd", part, rest)), x)


def _acos(b: Body, x: str) -> str:
    """pi/2 - asin x; beyond 1/2 in size 2 (part + rest), or pi less that."""
    part, rest, above = _arc(b, x)
    high, low = map(b.number, _HALF_PI[b.f.suffix])
    minus = b.with_sign(b.number(-1.0), b.negated(x))
    near_high, lost = b.sum(high, b.op("fmul", part, minus))
    near = b.op("fadd", near_high, b.op("fadd", lost, b.fma(rest, minus, low)))
    negative = b.compare("olt", x, b.number(0.0))
    to_pi_high, to_pi_lost = b.sum(high, b.negated(part))
    to_pi = b.op("fadd", to_pi_high, b.op("fadd", to_pi_lost, b.op("fsub", low, rest)))
    far = b.select(negative, to_pi, b.op("fadd", part, rest))
    return b.select(above, b.op("fadd", far, far), near)


def _angle(b: Body, y: str, x: str) -> str:
    """The angle of (x, y) for y and x at least 0, between 0 and pi / 2, as atan of a ratio up to 1."""
    steep = b.compare("ogt", y, x)
    above, below = b.select(steep, x, y), b.select(steep, y, x)
    equal = b.compare("oeq", x, y)
    zero = b.compare("oeq", y, b.number(0.0))
    ratio = b.op("fdiv", above, b.select(b.both(equal, zero), b.number(1.0), below))
    ratio = b.select(b.both(equal, b.compare("oeq", y, b.number(float("inf")))), b.number(1.0), ratio)
    square = b.op("fmul", ratio, ratio)
    rest = b.op("fmul", b.op("fmul", ratio, square), b.horner(square, _ATAN[b.f.suffix]))
    high, low = map(b.number, _HALF_PI[b.f.suffix])
    far_high, lost = b.sum(high, b.negated(ratio))
    far = b.op("fadd", far_high, b.op("fadd", lost, b.op("fsub", low, rest)))
    return b.select(steep, far, b.op("fadd", ratio, rest))


def _atan(b: Body, x: str) -> str:
    size, one = b.size(x), b.number(1.0)
    return b.with_sign(_angle(b, size, one), x)


def _atan2(b: Body, y: str, x: str) -> str:
    """The angle of (|x|, |y|), taken from pi where x is negative, with the sign of y."""
    angle = _angle(b, b.size(y), b.size(x))
    high, low = (b.number(2 * part) for part in _HALF_PI[b.f.suffix])
    opposite = b.op("fsub", high, b.op("fsub", angle, low))
    left = b.emit(f"icmp slt {b.f.integer} {b.bits(x)}, 0")
    value = b.with_sign(b.select(left, opposite, angle), y)
    return b.select(b.compare("uno", x, y), b.op("fadd", x, y), value)


FUNCTIONS: dict[str, Function] = {"asin": _asin, "acos": _acos, "atan": _atan, "atan2": _atan2}
