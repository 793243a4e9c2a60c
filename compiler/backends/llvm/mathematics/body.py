"""The text of a mathematical function while it is written: straight-line code over one floating-point
format."""

import struct
from collections.abc import Callable, Sequence
from math import log

from attrs import define, field, frozen


@frozen
class Format:
    """What the functions need to know of a floating-point format.

    ln2_high has so many zeros at its end that its product with an exponent is exact.
    """

    type: str
    suffix: str
    integer: str
    mantissa: int
    bias: int
    exp_low: float
    exp_high: float
    ln2_high: float
    ln2_low: float


F32 = Format(
    type="float",
    suffix="f32",
    integer="i32",
    mantissa=23,
    bias=127,
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
    exp_low=-746.0,
    exp_high=710.0,
    ln2_high=6.93147180369123816490e-1,
    ln2_low=1.90821492927058770002e-10,
)


@frozen
class Processor:
    """What the functions ask of a processor: a fused multiply-add, scaling by powers of two, conversions of
    f16, wide vectors; and whether their bits must not depend on it."""

    fused: bool
    scales: bool
    halves: bool
    vector_bits: int
    fixed: bool = False


@define
class Body:
    """A function while it is written."""

    f: Format
    processor: Processor
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

    def negated(self, a: str) -> str:
        """-a."""
        return self.emit(f"fneg {self.f.type} {a}")

    def fma(self, a: str, b: str, c: str) -> str:
        """a * b + c, rounded once where the target can, or everywhere."""
        t = self.f.type
        name = "fma" if self.processor.fixed else "fmuladd"
        return self.intrinsic(name, a, b, c, types=(t, t, t))

    def fused(self, a: str, b: str, c: str) -> str:
        """a * b + c, rounded once on every target; f32 takes the way through f64 where it has to."""
        t = self.f.type
        if self.processor.fused or self.processor.fixed or t == "double":
            return self.intrinsic("fma", a, b, c, types=(t, t, t))
        x, y, z = (self.emit(f"fpext float {value} to double") for value in (a, b, c))
        total = self.emit(f"fadd double {self.emit(f'fmul double {x}, {y}')}, {z}")
        return self.emit(f"fptrunc double {total} to float")

    def intrinsic(self, name: str, *arguments: str, types: Sequence[str] | None = None) -> str:
        """A call of an LLVM intrinsic on the format."""
        t = self.f.type
        kinds = types or (t,) * len(arguments)
        full = f"llvm.{name}.{self.f.suffix}"
        self.calls.add(f"declare {t} @{full}({', '.join(kinds)})")
        return self.emit(
            f"call {t} @{full}({', '.join(f'{k} {a}' for k, a in zip(kinds, arguments, strict=True))})"
        )

    def function(self, name: str, *arguments: str) -> str:
        """A call of another function of this package."""
        t = self.f.type
        fixed = ".fixed" if self.processor.fixed and not name.endswith("_far") else ""
        full = f"flowc.{name}.{self.f.suffix}{fixed}"
        self.calls.add(full)
        return self.emit(f"call {t} @{full}({', '.join(f'{t} {a}' for a in arguments)})")

    def compare(self, predicate: str, a: str, b: str) -> str:
        """A floating-point comparison."""
        return self.emit(f"fcmp {predicate} {self.f.type} {a}, {b}")

    def both(self, a: str, b: str) -> str:
        """Whether two conditions hold."""
        return self.emit(f"and i1 {a}, {b}")

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

    def size(self, a: str) -> str:
        """|a|."""
        return self.intrinsic("fabs", a)

    def with_sign(self, a: str, sign: str) -> str:
        """a with the sign of another number."""
        return self.intrinsic("copysign", a, sign)

    def sign_if_odd(self, value: str, n: str) -> str:
        """-value where the last bit of the integer n is set."""
        flip = self.intop("shl", n, int(self.f.integer[1:]) - 1)
        return self.from_bits(self.intop("xor", self.bits(value), flip))

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

    def as_number(self, n: str) -> str:
        """A small integer as a number; many processors have no conversion from i64."""
        if self.f.integer == "i32":
            return self.emit(f"sitofp i32 {n} to float")
        shift = self.number(1.5 * 2.0**self.f.mantissa)
        return self.op("fsub", self.from_bits(self.intop("add", n, self.bits(shift))), shift)

    def power_of_two(self, n: str) -> str:
        """2**n for an integer n of a normal number."""
        return self.from_bits(self.intop("shl", self.intop("add", n, self.f.bias), self.f.mantissa))

    def scaled(self, x: str, n: str) -> str:
        """x * 2**n, rounded once also where the result is subnormal or overflows."""
        if self.processor.scales:
            exponent = n if self.f.type == "float" else self.emit(f"trunc i64 {n} to i32")
            full = f"llvm.ldexp.{self.f.suffix}.i32"
            self.calls.add(f"declare {self.f.type} @{full}({self.f.type}, i32)")
            return self.emit(f"call {self.f.type} @{full}({self.f.type} {x}, i32 {exponent})")
        half = self.intop("ashr", n, 1)
        first = self.op("fmul", x, self.power_of_two(half))
        return self.op("fmul", first, self.power_of_two(self.intop("sub", n, half)))

    def at_most(self, x: str, high: float) -> str:
        """x up to a bound; NaN stays."""
        return self.select(self.compare("ogt", x, self.number(high)), self.number(high), x)

    def clamped(self, x: str, low: float, high: float) -> str:
        """x between two bounds; NaN stays."""
        below = self.compare("olt", x, self.number(low))
        return self.at_most(self.select(below, self.number(low), x), high)

    def reduced(self, x: str) -> tuple[str, str]:
        """x = n ln 2 + r with |r| at most ln 2 / 2: gives r and n."""
        whole, n = self.nearest(self.op("fmul", x, self.number(1 / log(2))))
        r = self.fma(whole, self.number(-self.f.ln2_high), x)
        return self.fma(whole, self.number(-self.f.ln2_low), r), n

    def product(self, a: str, b: str) -> tuple[str, str]:
        """a * b exactly, as a number and what its rounding left (Dekker's product by one fused operation)."""
        high = self.op("fmul", a, b)
        return high, self.fused(a, b, self.negated(high))

    def sum(self, a: str, b: str) -> tuple[str, str]:
        """a + b exactly, as a number and what its rounding left, for |a| at least |b| or a = 0."""
        high = self.op("fadd", a, b)
        return high, self.op("fsub", b, self.op("fsub", high, a))


Function = Callable[..., str]
"""Writes a function into a body: the names of its arguments to the name of its result."""
