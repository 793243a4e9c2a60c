"""Numeric types and shapes as the checker computes with them: promotion, broadcasting, reduction.

The rules are NumPy 2's. `int` and `float` of the language are weak, as Python's numbers are in NumPy:
beside an array or a numeric scalar they take its dtype.
"""

from collections.abc import Sequence

from flowc.compiler.builtins.model import RuleError
from flowc.runtime.types import FLOAT, INT, NUMERIC, Array, Scalar, Type, text

Extent = int | str
Shape = tuple[Extent, ...]

FLOATS = ("f64", "f32", "f16", "bf16")
INTEGERS = ("i64", "i32", "i16", "i8", "u8")
WEAK = (INT, FLOAT)
_BITS = {"f64": 64, "f32": 32, "f16": 16, "bf16": 16, "i64": 64, "i32": 32, "i16": 16}
_BITS |= {"i8": 8, "u8": 8}


def array(dtype: str, shape: Shape) -> Type:
    """The type of an array, or of a numeric scalar at rank 0."""
    return Array(dtype, shape) if shape else Scalar(dtype)


def dtype(type_: Type) -> str | None:
    """The dtype of an array or numeric scalar; `int` counts as i64, `float` as f64; None for no number."""
    match type_:
        case Array(name, _):
            return name
        case Scalar("int"):
            return "i64"
        case Scalar("float"):
            return "f64"
        case Scalar(name) if name in NUMERIC or name == "bool":
            return name
    return None


def shape(type_: Type) -> Shape:
    """The extents of an array; () for a scalar."""
    return type_.dims if isinstance(type_, Array) else ()


def is_number(type_: Type) -> bool:
    """Whether the type is a scalar that arithmetic takes."""
    return isinstance(type_, Scalar) and (type_.name in NUMERIC or type_ in WEAK)


def is_strong(type_: Type) -> bool:
    """Whether the type brings a dtype of its own: an array, or a scalar such as f32."""
    return isinstance(type_, Array) or (isinstance(type_, Scalar) and type_.name in NUMERIC)


def promote(first: str, second: str) -> str:
    """The dtype in which two dtypes meet.

    >>> promote("i32", "f32"), promote("i16", "f16"), promote("u8", "i8"), promote("f16", "bf16")
    ('f64', 'f32', 'i16', 'f32')
    """
    if first == second or second == "bool":
        return first
    if first == "bool":
        return second
    if first in FLOATS and second in FLOATS:
        return "f32" if {first, second} == {"f16", "bf16"} else max(first, second, key=_BITS.__getitem__)
    if first in INTEGERS and second in INTEGERS:
        return "i16" if {first, second} == {"i8", "u8"} else max(first, second, key=_BITS.__getitem__)
    floating, integer = (first, second) if first in FLOATS else (second, first)
    if _BITS[integer] == 8:
        return floating
    return max(floating, "f32", key=_BITS.__getitem__) if integer == "i16" else "f64"


def common_dtype(types: Sequence[Type]) -> str:
    """The dtype in which operands meet, weak ones adapting to strong ones."""
    strong = [name for t in types if (name := dtype(t)) is not None and t not in WEAK]
    if not strong:
        return "f64" if FLOAT in types else "i64"
    result = strong[0]
    for name in strong[1:]:
        result = promote(result, name)
    if FLOAT in types and result not in FLOATS:
        return "f64"
    return "i64" if INT in types and result == "bool" else result


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The common shape of operands, aligned at the last axis; raises RuleError E0201 where there is none."""
    rank = max((len(each) for each in shapes), default=0)
    padded = [(1,) * (rank - len(each)) + each for each in shapes]
    return tuple(_meet([each[axis] for each in padded], shapes) for axis in range(rank))


def _meet(extents: Sequence[Extent], shapes: Sequence[Shape]) -> Extent:
    wide = [extent for extent in extents if extent != 1]
    known = list(dict.fromkeys(extent for extent in wide if extent != ""))
    if len(known) > 1:
        shown = " and ".join(f"`{shape_text(each)}`" for each in shapes if each)
        raise RuleError(
            "E0201",
            f"shapes {shown} do not broadcast",
            why=f"aligned at the last axis, `{known[0]}` meets `{known[1]}`; only equal extents and 1 fit",
            help="transpose or slice one, or keep an axis of extent 1 (`keepdims=true`)",
        )
    if known:
        return known[0]
    return "" if wide else 1


def shape_text(extents: Shape) -> str:
    """A shape as a person reads it.

    >>> shape_text((2, "n", ""))
    '[2, n, ?]'
    """
    return f"[{', '.join(str(extent) if extent != '' else '?' for extent in extents)}]"


def normalised_axis(axis: int, rank: int) -> int:
    """The axis counted from the front; raises RuleError E0205."""
    if -rank <= axis < rank:
        return axis % rank
    axes = "axis 0" if rank == 1 else f"axes 0 to {rank - 1}"
    raise RuleError("E0205", f"there is no axis {axis}", why=f"the array has {axes}")


def reduced_shape(extents: Shape, axes: tuple[int, ...] | None, keepdims: bool) -> Shape:
    """The shape that remains when `axes` (None: all) are reduced."""
    chosen = set(range(len(extents)) if axes is None else axes)
    if keepdims:
        return tuple(1 if axis in chosen else extent for axis, extent in enumerate(extents))
    return tuple(extent for axis, extent in enumerate(extents) if axis not in chosen)


def reduction_dtype(kind: str, name: str) -> str:
    """The dtype of a reduction: sums and products of integers are i64, means of integers f64."""
    if kind in ("any", "all"):
        return "bool"
    if kind in ("min", "max") or name in FLOATS:
        return name
    return "f64" if kind == "mean" else "i64"


def matmul_shape(left: Shape, right: Shape) -> Shape:
    """The shape of `left @ right`; raises RuleError E0203 or E0204."""
    if not left or not right:
        raise RuleError(
            "E0203",
            "`@` needs arrays on both sides",
            help="multiply by a scalar with `*`",
            argument=0 if not left else 1,
        )
    rows, inner = left[:-1][-1:], left[-1]
    other, columns = (right[-2], right[-1:]) if len(right) > 1 else (right[0], ())
    if inner != other and "" not in (inner, other):
        raise RuleError(
            "E0204",
            f"`@` cannot join `{shape_text(left)}` and `{shape_text(right)}`",
            why=f"the last extent of the left side is `{inner}`, and the right side has `{other}` there",
            help="transpose one side with `.T`" if len(right) > 1 and right[-1] == inner else "",
        )
    return (*broadcast([left[:-2], right[:-2]]), *rows, *columns)


def require_numeric(type_: Type, name: str, argument: int) -> str:
    """The dtype of an argument; raises RuleError E0105 for what is neither array nor number."""
    found = dtype(type_)
    if found is None:
        raise RuleError("E0105", f"`{name}` takes numbers and arrays, not `{text(type_)}`", argument=argument)
    return found


def as_dtype(type_: Type, name: str) -> Type:
    """The same shape in another dtype."""
    return array(name, shape(type_))
