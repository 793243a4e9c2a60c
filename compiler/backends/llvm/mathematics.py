"""exp, log, tanh, erf and their kin as straight-line LLVM functions, which the loop vectoriser turns into
lanes.

Each is correct for NaN, infinities, zeros and subnormals, and within 2 units in the last place elsewhere. The
f32 polynomials were fitted for this project (weighted Chebyshev, minimax refined); the f64 ones are Taylor
series on the reduced interval. Products and sums go through `fmuladd`, which becomes one instruction where
the target has one. sin, cos, erf in f64 and powers call the C library, one element at a time.
"""

import struct
from collections.abc import Callable, Sequence
from math import factorial, log

from attrs import define, field, frozen


@frozen
class Format:
    """What the functions need to know of a floating-point format."""

    type: str
    suffix: str
    integer: str
    mantissa: int
    bias: int
    exp_series: tuple[float, ...]
    exp_low: float
    exp_high: float
    ln2_high: float
    ln2_low: float


def _taylor(first: int, last: int) -> tuple[float, ...]:
    return tuple(1 / factorial(k) for k in range(first, last + 1))


F32 = Format(
    type="float",
    suffix="f32",
    integer="i32",
    mantissa=23,
    bias=127,
    exp_series=(0.500000009569, 0.166665183039, 0.0416662041661, 0.0083689537087, 0.00139506002985),
    exp_low=-104.0,
    exp_high=89.0,
    ln2_high=0.693145751953125,
    ln2_low=1.42860682030941723212e-6,
)
F64 = Format(
    type="double",
    suffix="f64",
    integer="i64",
    mantissa=52,
    bias=1023,
    exp_series=_taylor(2, 14),
    exp_low=-746.0,
    exp_high=710.0,
    ln2_high=6.93147180369123816490e-1,
    ln2_low=1.90821492927058770002e-10,
)
_LOG_F32 = (
    0.333333104399,
    -0.249999865998,
    0.20002226614,
    -0.166692508156,
    0.14218658089,
    -0.123843484794,
    0.118729763108,
    -0.117898076468,
    0.0691536797223,
)
_ERF_NEAR = (
    1.12837916591,
    -0.37612627136,
    0.112836001762,
    -0.0268544445913,
    0.00518953533882,
    -0.00080208412789,
    7.88911953717e-05,
)
_ERF_FAR = (
    0.000193706207135,
    -1.129607331,
    -0.63315652048,
    -0.108496507865,
    0.0252670191971,
    -0.00423236991106,
    0.000449398342241,
    -2.29955740279e-05,
    9.10532926376e-08,
)


@define
class Body:
    """A function while it is written: straight-line code over one format."""

    f: Format
    lines: list[str] = field(factory=list)
    calls: set[str] = field(factory=set)

    def emit(self, text: str) -> str:
        """Appends an instruction; gives the name of its result."""
        name = f"%t{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def number(self, value: float) -> str:
        """A constant of the format."""
        exact = struct.unpack("<f", struct.pack("<f", value))[0] if self.f.type == "float" else value
        return "0x" + struct.pack(">d", exact).hex().upper()

    def op(self, instruction: str, a: str, b: str) -> str:
        """A binary floating-point instruction."""
        return self.emit(f"{instruction} {self.f.type} {a}, {b}")

    def intop(self, instruction: str, a: str, b: str | int) -> str:
        """A binary integer instruction of the format's width."""
        return self.emit(f"{instruction} {self.f.integer} {a}, {b}")

    def fma(self, a: str, b: str, c: str) -> str:
        """a * b + c."""
        t = self.f.type
        return self.intrinsic("fmuladd", a, b, c, types=(t, t, t))

    def intrinsic(self, name: str, *arguments: str, types: Sequence[str] | None = None) -> str:
        """A call of an LLVM intrinsic on the format."""
        t = self.f.type
        kinds = types or (t,) * len(arguments)
        full = f"llvm.{name}.{self.f.suffix}"
        self.calls.add(f"declare {t} @{full}({', '.join(kinds)})")
        return self.emit(
            f"call {t} @{full}({', '.join(f'{k} {a}' for k, a in zip(kinds, arguments, strict=True))})"
        )

    def function(self, name: str, argument: str) -> str:
        """A call of another function of this file."""
        self.calls.add(f"flowc.{name}.{self.f.suffix}")
        return self.emit(f"call {self.f.type} @flowc.{name}.{self.f.suffix}({self.f.type} {argument})")

    def compare(self, predicate: str, a: str, b: str) -> str:
        """A floating-point comparison."""
        return self.emit(f"fcmp {predicate} {self.f.type} {a}, {b}")

    def select(self, condition: str, a: str, b: str, kind: str | None = None) -> str:
        """a if condition else b."""
        t = kind or self.f.type
        return self.emit(f"select i1 {condition}, {t} {a}, {t} {b}")

    def bits(self, a: str) -> str:
        """The representation of a number."""
        return self.emit(f"bitcast {self.f.type} {a} to {self.f.integer}")

    def from_bits(self, a: str) -> str:
        """The number of a representation."""
        return self.emit(f"bitcast {self.f.integer} {a} to {self.f.type}")

    def horner(self, x: str, coefficients: Sequence[float]) -> str:
        """A polynomial, the constant coefficient first."""
        total = self.number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self.fma(total, x, self.number(coefficient))
        return total

    def nearest(self, x: str) -> tuple[str, str]:
        """The nearest integer as a number and as bits, for |x| below half the mantissa; defined for NaN."""
        shift = self.number(1.5 * 2.0**self.f.mantissa)
        moved = self.op("fadd", x, shift)
        whole = self.op("fsub", moved, shift)
        return whole, self.intop("sub", self.bits(moved), self.bits(shift))

    def power_of_two(self, n: str) -> str:
        """2**n for an integer n of a normal number."""
        return self.from_bits(self.intop("shl", self.intop("add", n, self.f.bias), self.f.mantissa))

    def scaled(self, x: str, n: str) -> str:
        """x * 2**n in two steps, so that subnormal results and overflow come out right."""
        half = self.intop("ashr", n, 1)
        first = self.op("fmul", x, self.power_of_two(half))
        return self.op("fmul", first, self.power_of_two(self.intop("sub", n, half)))

    def clamped(self, x: str, low: float, high: float) -> str:
        """x between two bounds; NaN stays."""
        below = self.compare("olt", x, self.number(low))
        x = self.select(below, self.number(low), x)
        above = self.compare("ogt", x, self.number(high))
        return self.select(above, self.number(high), x)

    def reduced(self, x: str) -> tuple[str, str]:
        """x = n ln 2 + r with |r| at most ln 2 / 2: gives r and n."""
        whole, n = self.nearest(self.op("fmul", x, self.number(1 / log(2))))
        r = self.fma(whole, self.number(-self.f.ln2_high), x)
        return self.fma(whole, self.number(-self.f.ln2_low), r), n

    def exp_minus_one(self, r: str) -> str:
        """e**r - 1 on the reduced interval."""
        return self.fma(self.op("fmul", r, r), self.horner(r, self.f.exp_series), r)


def _exp(b: Body, x: str) -> str:
    r, n = b.reduced(b.clamped(x, b.f.exp_low, b.f.exp_high))
    return b.scaled(b.op("fadd", b.exp_minus_one(r), b.number(1.0)), n)


def _exp2(b: Body, x: str) -> str:
    whole, n = b.nearest(b.clamped(x, b.f.exp_low / log(2) - 1, b.f.exp_high / log(2) + 1))
    inside = b.clamped(x, b.f.exp_low / log(2) - 1, b.f.exp_high / log(2) + 1)
    r = b.op("fmul", b.op("fsub", inside, whole), b.number(log(2)))
    return b.scaled(b.op("fadd", b.exp_minus_one(r), b.number(1.0)), n)


def _expm1(b: Body, x: str) -> str:
    """2**n (e**r - 1) + (2**n - 1): no cancellation near 0. Far above, -1 no longer shows."""
    far = b.compare("ogt", x, b.number(b.f.mantissa + 10.0))
    inside = b.clamped(x, -(b.f.mantissa + 10.0), b.f.mantissa + 10.0)
    r, n = b.reduced(inside)
    power = b.power_of_two(n)
    near = b.fma(power, b.exp_minus_one(r), b.op("fsub", power, b.number(1.0)))
    zero = b.compare("oeq", x, b.number(0.0))
    return b.select(far, b.function("exp", x), b.select(zero, x, near))


def _decomposed(b: Body, x: str) -> tuple[str, str]:
    """x = 2**e (1 + f) with 1 + f between the roots of 1/2 and 2: gives f and e, both as numbers."""
    tiny = b.compare("olt", x, b.number(2.0 ** (2 - b.f.bias)))
    lift = float(b.f.mantissa + 2)
    x = b.select(tiny, b.op("fmul", x, b.number(2.0**lift)), x)
    root = b.bits(b.number(0.5**0.5))
    pattern = b.bits(x)
    e = b.intop("ashr", b.intop("sub", pattern, root), b.f.mantissa)
    one = b.from_bits(b.intop("sub", pattern, b.intop("shl", e, b.f.mantissa)))
    exponent = b.emit(f"sitofp {b.f.integer} {e} to {b.f.type}")
    exponent = b.select(tiny, b.op("fsub", exponent, b.number(lift)), exponent)
    return b.op("fsub", one, b.number(1.0)), exponent


def _log_parts(b: Body, x: str) -> tuple[str, str, str]:
    """log x = (e ln 2 + high) + low for positive finite x: gives e, high and low."""
    f, e = _decomposed(b, x)
    half_square = b.op("fmul", b.op("fmul", f, f), b.number(0.5))
    if b.f.type == "float":
        cube = b.op("fmul", b.op("fmul", f, f), f)
        rest = b.op("fmul", cube, b.horner(f, _LOG_F32))
        return e, f, b.op("fsub", rest, half_square)
    s = b.op("fdiv", f, b.op("fadd", f, b.number(2.0)))
    square = b.op("fmul", s, s)
    series = b.op("fmul", square, b.horner(square, [2 / (2 * k + 3) for k in range(11)]))
    # 2 atanh(s) = f - f*f/2 + s (f*f/2 + series): the leading terms are exact.
    rest = b.op("fmul", s, b.op("fadd", half_square, series))
    return e, f, b.op("fsub", rest, half_square)


def _special_logarithm(b: Body, x: str, value: str) -> str:
    infinite = b.compare("oeq", x, b.number(float("inf")))
    value = b.select(infinite, x, value)
    value = b.select(b.compare("oeq", x, b.number(0.0)), b.number(float("-inf")), value)
    return b.select(
        b.compare("uge", x, b.number(0.0)), b.select(b.compare("uno", x, x), x, value), b.number(float("nan"))
    )


def _log(b: Body, x: str) -> str:
    e, high, low = _log_parts(b, x)
    low = b.fma(e, b.number(b.f.ln2_low), low)
    value = b.fma(e, b.number(b.f.ln2_high), b.op("fadd", high, low))
    return _special_logarithm(b, x, value)


def _log2(b: Body, x: str) -> str:
    e, high, low = _log_parts(b, x)
    total = b.op("fmul", b.op("fadd", high, low), b.number(1 / log(2)))
    return _special_logarithm(b, x, b.op("fadd", e, total))


def _log1p(b: Body, x: str) -> str:
    """log(1 + x) with the rounding of 1 + x made good, as W. Kahan showed."""
    u = b.op("fadd", x, b.number(1.0))
    exact = b.op("fsub", u, b.number(1.0))
    value = b.function("log", u)
    corrected = b.op("fmul", value, b.op("fdiv", x, exact))
    tiny = b.compare("oeq", u, b.number(1.0))
    large = b.compare("oeq", u, b.number(float("inf")))
    return b.select(tiny, x, b.select(large, u, corrected))


def _tanh(b: Body, x: str) -> str:
    size = b.intrinsic("fabs", x)
    inside = b.clamped(size, 0.0, 22.0 if b.f.type == "double" else 10.0)
    u = b.function("expm1", b.op("fadd", inside, inside))
    value = b.op("fdiv", u, b.op("fadd", u, b.number(2.0)))
    return b.intrinsic("copysign", value, x, types=(b.f.type, b.f.type))


def _erf(b: Body, x: str) -> str:
    size = b.intrinsic("fabs", x)
    inside = b.clamped(size, 0.0, 4.0)
    near = b.op("fmul", x, b.horner(b.op("fmul", x, x), _ERF_NEAR))
    tail = b.function("exp", b.horner(inside, _ERF_FAR))
    far = b.intrinsic("copysign", b.op("fsub", b.number(1.0), tail), x, types=(b.f.type, b.f.type))
    return b.select(b.compare("olt", size, b.number(1.0)), near, b.select(b.compare("uno", x, x), x, far))


_functions: dict[str, Callable[[Body, str], str]] = {
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _log,
    "log2": _log2,
    "log1p": _log1p,
    "tanh": _tanh,
    "erf": _erf,
}
_from_library = {("sin", F32), ("cos", F32), ("sin", F64), ("cos", F64), ("erf", F64)}

_TO_ODD = """\
define internal float @flowc.to_odd.f64(double %x) alwaysinline ATTRIBUTES {
  %r = fptrunc double %x to float
  %back = fpext float %r to double
  %inexact = fcmp one double %back, %x
  %size = call double @llvm.fabs.f64(double %x)
  %back_size = call double @llvm.fabs.f64(double %back)
  %beyond = fcmp ogt double %back_size, %size
  %bits = bitcast float %r to i32
  %one = zext i1 %beyond to i32
  %toward = sub i32 %bits, %one
  %odd = zext i1 %inexact to i32
  %result = or i32 %toward, %odd
  %value = bitcast i32 %result to float
  ret float %value
}"""
_BFLOAT = """\
define internal i16 @flowc.bfloat.f32(float %x) alwaysinline ATTRIBUTES {
  %bits = bitcast float %x to i32
  %low = lshr i32 %bits, 16
  %even = and i32 %low, 1
  %bias = add i32 %even, 32767
  %rounded = add i32 %bits, %bias
  %quiet = or i32 %bits, 4194304
  %nan = fcmp uno float %x, %x
  %chosen = select i1 %nan, i32 %quiet, i32 %rounded
  %high = lshr i32 %chosen, 16
  %value = trunc i32 %high to i16
  ret i16 %value
}"""


def definitions(called: set[str], attributes: str) -> tuple[list[str], set[str]]:
    """The text of the functions among the declarations `called`, and the declarations that are still needed.

    A rounding of f64 to a half format goes through f32 rounded to odd, so that it rounds only once
    (S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    wanted = sorted(text.split("@")[1].split("(")[0] for text in called if "@flowc." in text)
    texts: dict[str, str] = {}
    declared = {text for text in called if "@flowc." not in text}
    while wanted:
        name = wanted.pop()
        if name in texts:
            continue
        text, calls = _definition(name, attributes)
        texts[name] = text
        declared |= {call for call in calls if call.startswith("declare")}
        wanted += [call for call in calls if not call.startswith("declare")]
    return list(texts.values()), declared


def _definition(name: str, attributes: str) -> tuple[str, set[str]]:
    if name == "flowc.to_odd.f64":
        return _TO_ODD.replace("ATTRIBUTES", attributes), {"declare double @llvm.fabs.f64(double)"}
    if name == "flowc.bfloat.f32":
        return _BFLOAT.replace("ATTRIBUTES", attributes), set()
    _, function, suffix = name.split(".")
    format_ = F32 if suffix == "f32" else F64
    body = Body(format_)
    if (function, format_) in _from_library:
        library = function + ("f" if format_ is F32 else "")
        body.calls.add(f"declare {format_.type} @{library}({format_.type})")
        result = body.emit(f"call {format_.type} @{library}({format_.type} %x)")
    else:
        result = _functions[function](body, "%x")
    head = f"define internal {format_.type} @{name}({format_.type} %x) alwaysinline {attributes} {{"
    return "\n".join([head, *body.lines, f"  ret {format_.type} {result}", "}"]), body.calls
