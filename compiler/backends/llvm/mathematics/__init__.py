"""exp, log, sin, pow and their kin as straight-line LLVM functions, which the loop vectoriser turns into
lanes.

Each is correct for NaN, infinities, signed zeros, subnormals and arguments of any size. `BOUNDS` says how far
the rest may lie from the exact value. The polynomials were fitted for this project by Remez' exchange, with
the coefficients of f32 rounded one at a time. Sums and products that may be contracted go through `fmuladd`,
which is one instruction where the target has one; those that have to be exact go through `fma`. Each function
has a second form, whose name ends in `.fixed`: there all go through `fma`, so that its bits are the same on
every machine.
"""

from attrs import evolve

from flowc.compiler.backends.llvm.mathematics import (
    circular,
    error_function,
    exponential,
    far,
    halves,
    inverse_circular,
    inverse_hyperbolic,
    logarithm,
    power,
    remainder,
)
from flowc.compiler.backends.llvm.mathematics.body import F32, F64, Body, Function, Processor
from flowc.compiler.backends.llvm.target import Target

BOUNDS: dict[str, tuple[float, float]] = {
    "exp": (2, 2), "exp2": (2, 2), "expm1": (2, 2), "log": (1, 1), "log2": (2, 2), "log10": (2, 2),
    "log1p": (2, 2), "sin": (2, 2), "cos": (2, 2), "tan": (3, 3), "asin": (1, 1), "acos": (1, 1),
    "atan": (2, 2), "atan2": (2, 2), "sinh": (2, 2), "cosh": (2, 2), "tanh": (3, 3), "asinh": (3, 3),
    "acosh": (3, 3), "atanh": (3, 3), "erf": (2, 2), "pow": (1, 1), "cbrt": (1, 1),
}  # fmt: skip
"""The largest error of each function in units in the last place of the exact result, in f32 and in f64."""

_functions: dict[str, Function] = (
    exponential.FUNCTIONS
    | logarithm.FUNCTIONS
    | circular.FUNCTIONS
    | inverse_circular.FUNCTIONS
    | inverse_hyperbolic.FUNCTIONS
    | error_function.FUNCTIONS
    | power.FUNCTIONS
    | remainder.FUNCTIONS
)
_BINARY = ("pow", "narrow_power", "atan2", "fmod")


def definitions(called: set[str], target: Target) -> tuple[list[str], set[str]]:
    """The text of the functions among the declarations `called`, and the declarations still needed."""
    wanted = sorted(text.split("@")[1].split("(")[0] for text in called if "@flowc." in text)
    processor = Processor(target.has("fma"), target.has("avx512f"), target.has("f16c"), target.vector_bits)
    texts: dict[str, list[str]] = {}
    declared = {text for text in called if "@flowc." not in text}
    used: list[str] = []
    while wanted:
        name = wanted.pop()
        if name in texts:
            continue
        texts[name], calls, kept = _definition(name, target.attributes, processor)
        used += kept
        declared |= {call for call in calls if call.startswith("declare")}
        wanted += sorted(call for call in calls if not call.startswith("declare"))
    lines = [text for parts in texts.values() for text in parts]
    if used:
        pointers = ", ".join(f"ptr @{name}" for name in used)
        lines.append(
            f"@llvm.compiler.used = appending global [{len(used)} x ptr] [{pointers}], "
            'section "llvm.metadata"'
        )
    return lines, declared


def _half(name: str, native: bool) -> str:
    if name == "flowc.half.f32":
        return halves.FROM_HALF if native else halves.FROM_HALF_BY_BITS
    return halves.TO_HALF if native else halves.TO_HALF_BY_BITS


def _definition(name: str, attributes: str, processor: Processor) -> tuple[list[str], set[str], list[str]]:
    """The text of one function, what it calls, and what must stay though nothing seems to call it."""
    if name == "flowc.to_odd.f64":
        declared = {"declare double @llvm.fabs.f64(double)"}
        return [halves.TO_ODD.replace("ATTRIBUTES", attributes)], declared, []
    if name in ("flowc.half.f32", "flowc.to_half.f32"):
        return [_half(name, processor.halves).replace("ATTRIBUTES", attributes)], set(), []
    if name == "flowc.bfloat.f32":
        return [halves.BFLOAT.replace("ATTRIBUTES", attributes)], set(), []
    _, function, suffix, *fixed = name.split(".")
    if function in far.LIMITS:
        return far.far(function, suffix, processor.vector_bits, attributes)
    processor = evolve(processor, scales=False, fixed=True) if fixed else processor
    body = Body(F32 if suffix == "f32" else F64, processor)
    arguments = ["%x", "%y"] if function in _BINARY else ["%x"]
    result = _functions[function](body, *arguments)
    type_ = body.f.type
    parameters = ", ".join(f"{type_} {argument}" for argument in arguments)
    head = f"define internal {type_} @{name}({parameters}) alwaysinline {attributes} {{"
    return ["\n".join([head, *body.lines, f"  ret {type_} {result}", "}"])], body.calls, []
