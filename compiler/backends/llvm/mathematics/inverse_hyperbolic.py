"""asinh, acosh and atanh by way of log(1 + x)."""

from math import log

from flowc.compiler.backends.llvm.mathematics.body import Body, Function


def _beyond(b: Body, size: str, near: str) -> str:
    """log(1 + near), or log(2 size) where the square of the size shows nothing but itself."""
    far = b.compare("ogt", size, b.number(2.0 ** (b.f.mantissa // 2 + 4)))
    less = b.op("fsub", size, b.number(1.0))
    value = b.function("log1p", b.select(far, less, near))
    return b.select(far, b.op("fadd", value, b.number(log(2))), value)


def _asinh(b: Body, x: str) -> str:
    """log(1 + t) with t = |x| + x**2 / (1 + sqrt(1 + x**2))."""
    size, one = b.size(x), b.number(1.0)
    square = b.op("fmul", x, x)
    root = b.intrinsic("sqrt", b.op("fadd", square, one))
    near = b.op("fadd", size, b.op("fdiv", square, b.op("fadd", root, one)))
    return b.with_sign(_beyond(b, size, near), x)


def _acosh(b: Body, x: str) -> str:
    """log(1 + t + sqrt(2 t + t**2)) with t = x - 1, which is exact near 1."""
    t = b.op("fsub", x, b.number(1.0))
    root = b.intrinsic("sqrt", b.fma(t, t, b.op("fadd", t, t)))
    value = _beyond(b, x, b.op("fadd", t, root))
    return b.select(b.compare("olt", x, b.number(1.0)), b.number(float("nan")), value)


def _atanh(b: Body, x: str) -> str:
    """Half of log(1 + 2 |x| / (1 - |x|))."""
    size = b.size(x)
    ratio = b.op("fdiv", b.op("fadd", size, size), b.op("fsub", b.number(1.0), size))
    return b.with_sign(b.op("fmul", b.function("log1p", ratio), b.number(0.5)), x)


FUNCTIONS: dict[str, Function] = {"asinh": _asinh, "acosh": _acosh, "atanh": _atanh}
