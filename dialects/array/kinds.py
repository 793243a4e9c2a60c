"""The kinds of elementwise operators and reductions, and the dtypes they compute in and give.

One table serves the builders, the verifier, the reference semantics and the lowering. The rules are NumPy
2's; operators that NumPy lacks (rsqrt, sigmoid, erf) follow `exp`.
"""

from collections.abc import Sequence

from flowc.dialects.array.types import ShapeError, is_float, promote_all

ARITHMETIC = ("add", "sub", "mul", "div", "floordiv", "mod", "pow", "minimum", "maximum")
COMPARISON = ("eq", "ne", "lt", "le", "gt", "ge")
LOGICAL = ("and", "or", "not")
TRANSCENDENTAL = (
    "sqrt", "rsqrt", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "sigmoid",
)  # fmt: skip
PAIRED = ("atan2", "hypot")
"""Functions of two numbers that come as floats, as the transcendental ones do."""
BITWISE = ("bitand", "bitor", "bitxor", "shl", "shr", "invert")
ROUNDING = ("floor", "ceil", "trunc", "round")
TEST = ("isnan", "is_finite")

arity: dict[str, int] = (
    dict.fromkeys((*ARITHMETIC, *COMPARISON, *PAIRED, *BITWISE, "and", "or"), 2)
    | dict.fromkeys(("neg", "abs", "sign", "not", "invert", *TRANSCENDENTAL, *ROUNDING, *TEST), 1)
    | {"where": 3}
)
REDUCTIONS = ("sum", "prod", "min", "max", "mean", "any", "all")


_function_dtype = {"bool": "f16", "i8": "f16", "u8": "f16", "i16": "f32"}
"""The dtypes in which functions such as `exp` are computed for narrow integers; of wider ones it is f64."""


def operand_dtype(kind: str, dtypes: Sequence[str]) -> str:
    """The dtype to which the operands are brought before the operator is applied.

    The condition of `where` stays a bool and is not among `dtypes`. Raises ShapeError where NumPy has no such
    operator, as for the difference of bools.
    """
    common = promote_all(dtypes)
    if kind in LOGICAL:
        return "bool"
    if kind == "div":
        return common if is_float(common) else "f64"
    if kind in BITWISE:
        if is_float(common):
            raise ShapeError(f"`{kind}` works on the bits of whole numbers, not on {common}")
        return "i8" if common == "bool" and kind in ("shl", "shr") else common
    if kind in TRANSCENDENTAL or kind in PAIRED:
        return common if is_float(common) else _function_dtype.get(common, "f64")
    if common == "bool":
        if kind in ("sub", "neg", "sign"):
            raise ShapeError(f"`{kind}` has no form for bool; cast to an integer or use `where`")
        if kind in ("floordiv", "mod", "pow"):
            return "i8"
    return common


def result_dtype(kind: str, dtypes: Sequence[str]) -> str:
    """The dtype of the result for operands of these dtypes."""
    if kind in COMPARISON or kind in LOGICAL or kind in TEST:
        return "bool"
    return operand_dtype(kind, dtypes)


def reduction_dtype(kind: str, dtype: str) -> str:
    """The dtype of a reduction: sums and products of integers are i64, means of integers f64."""
    if kind in ("any", "all"):
        return "bool"
    if kind in ("min", "max") or is_float(dtype):
        return dtype
    return "f64" if kind == "mean" else "i64"


def compute_dtype(dtype: str) -> str:
    """The dtype in which values are held between load and store: the half formats compute in f32."""
    return "f32" if dtype in ("f16", "bf16") else dtype
