"""Element types, named extents and the promotion of dtypes: what an array value is.

An array is xDSL's `tensor<?x384xf32, #array.dims<["n", ""]>>`: a static axis has its number in the shape and
"" as name, a dynamic axis has `?` and the name of its extent, or "" where nothing is known before the kernel
runs. A value of rank 0 is the bare element type. u8 is the only unsigned integer, and its type `ui8` says
so; the others are signless. Promotion is NumPy 2's between array dtypes; f16 and bf16 meet in f32, and bf16
takes integers as f16 does.
"""

from collections.abc import Sequence
from functools import lru_cache

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AnyFloat,
    ArrayAttr,
    IntegerType,
    Signedness,
    StringAttr,
    TensorType,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.ir import Attribute, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.utils.exceptions import VerifyException

type_of_dtype: dict[str, Attribute] = {
    "f64": f64,
    "f32": f32,
    "f16": f16,
    "bf16": bf16,
    "i64": i64,
    "i32": i32,
    "i16": i16,
    "i8": i8,
    "u8": IntegerType(8, Signedness.UNSIGNED),
    "bool": i1,
}
dtype_of_type: dict[Attribute, str] = {element: name for name, element in type_of_dtype.items()}

Extent = int | str
"""A number, the name of a dimension, or "" for an extent that only the run knows."""

Shape = tuple[Extent, ...]


class ShapeError(Exception):
    """Operands whose shapes or dtypes do not fit an operator; the message says which and why.

    `conflict` are two extents that would have to be one.
    """

    def __init__(self, message: str, conflict: tuple[Extent, ...] = ()) -> None:
        super().__init__(message)
        self.conflict = conflict


class RangeError(ShapeError):
    """A whole number that a dtype cannot hold."""


@irdl_attr_definition
class DimsAttr(ParametrizedAttribute):
    """The names of a tensor's axes, "" for a static or an unknown one."""

    name = "array.dims"
    names: ArrayAttr[StringAttr]

    def verify(self) -> None:
        """An empty list would say nothing: rank-0 values are bare element types."""
        if not self.names.data:
            raise VerifyException("array.dims needs one name per axis")


@irdl_attr_definition
class RefType(ParametrizedAttribute, TypeAttribute):
    """A mutable array, by the type of the value it holds."""

    name = "array.ref"
    value: Attribute

    def verify(self) -> None:
        """Only arrays are mutable; numbers are values."""
        if not isinstance(self.value, TensorType):
            raise VerifyException(f"{self.value} is no array")


def array_type(dtype: str | Attribute, shape: Sequence[Extent]) -> Attribute:
    """The type of an array of this dtype and shape; the bare element type at rank 0."""
    return _array_type(dtype, tuple(shape))


@lru_cache(maxsize=4096)  # types never change, a program has few, and making one takes xDSL many checks
def _array_type(dtype: str | Attribute, shape: Shape) -> Attribute:
    element = type_of_dtype[dtype] if isinstance(dtype, str) else dtype
    if not shape:
        return element
    sizes = [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in shape]
    names = [extent if isinstance(extent, str) else "" for extent in shape]
    return TensorType(element, sizes, DimsAttr(ArrayAttr([StringAttr(name) for name in names])))


def shape_of(type_: Attribute) -> Shape:
    """The extents of a value of this type, or of what a reference refers to; () for a scalar."""
    type_ = type_.value if isinstance(type_, RefType) else type_
    if not isinstance(type_, TensorType):
        return ()
    sizes = type_.shape.data
    if not isinstance(type_.encoding, DimsAttr):
        return tuple([size.data if size.data >= 0 else "" for size in sizes])
    names = type_.encoding.names.data
    return tuple([s.data if s.data >= 0 else n.data for s, n in zip(sizes, names, strict=True)])


def element_of(type_: Attribute) -> Attribute:
    """The element type of an array type or of what a reference refers to, or the scalar type itself."""
    type_ = type_.value if isinstance(type_, RefType) else type_
    return type_.get_element_type() if isinstance(type_, TensorType) else type_


def dtype_of(type_: Attribute) -> str:
    """The dtype's name; raises ShapeError for what is no number."""
    element = element_of(type_)
    if element not in dtype_of_type:
        raise ShapeError(f"{element} is not the element type of an array")
    return dtype_of_type[element]


def is_array_type(type_: Attribute) -> bool:
    """Whether the type is an array or a numeric scalar, and its dims fit its rank."""
    if isinstance(type_, RefType) or element_of(type_) not in dtype_of_type:
        return False
    if isinstance(type_, TensorType) and isinstance(type_.encoding, DimsAttr):
        return len(type_.encoding.names.data) == type_.get_num_dims()
    return True


def is_float(dtype: str) -> bool:
    """Whether the dtype is one of the floating-point formats."""
    return isinstance(type_of_dtype[dtype], AnyFloat)


def integer_range(dtype: str) -> tuple[int, int]:
    """The least and the greatest value of an integer dtype; 0 and 1 for bool.

    >>> integer_range("i8"), integer_range("u8")
    ((-128, 127), (0, 255))
    """
    if dtype in ("bool", "u8"):
        return 0, (1 << bits(dtype)) - 1
    return -(1 << bits(dtype) - 1), (1 << bits(dtype) - 1) - 1


def bits(dtype: str) -> int:
    """The width of the dtype in bits; a bool counts 1."""
    element = type_of_dtype[dtype]
    if isinstance(element, IntegerType):
        width: int = element.width.data
        return width
    return {"f64": 64, "f32": 32}.get(dtype, 16)


def promote(first: str, second: str) -> str:
    """The dtype in which two array dtypes meet, as NumPy 2 has it.

    >>> promote("i32", "f32"), promote("i16", "f16"), promote("u8", "i8"), promote("f16", "bf16")
    ('f64', 'f32', 'i16', 'f32')
    """
    if first == second or second == "bool":
        return first
    if first == "bool":
        return second
    if is_float(first) and is_float(second):
        return "f32" if {first, second} == {"f16", "bf16"} else max(first, second, key=bits)
    if not is_float(first) and not is_float(second):
        return "i16" if {first, second} == {"i8", "u8"} else max(first, second, key=bits)
    floating, integer = (first, second) if is_float(first) else (second, first)
    if bits(integer) == 8:
        return floating
    return max(floating, "f32", key=bits) if integer == "i16" else "f64"


def promote_all(dtypes: Sequence[str]) -> str:
    """`promote` over one or more dtypes."""
    result = dtypes[0]
    for dtype in dtypes[1:]:
        result = promote(result, dtype)
    return result


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The common shape of operands, aligned at the last axis.

    A static 1 stretches. Two names must be the same name; an extent known only at run time must then equal
    the other, or be 1 beside one that is said, and is checked there.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_meet([shape[axis] for shape in padded], shapes) for axis in range(rank))


def _meet(extents: Sequence[Extent], shapes: Sequence[Shape]) -> Extent:
    wide = [extent for extent in extents if extent != 1]
    known = list(dict.fromkeys(extent for extent in wide if extent != ""))
    if len(known) > 1:
        raise ShapeError(
            f"shapes {' and '.join(shape_text(shape) for shape in shapes)} do not broadcast: "
            f"{known[0]} is not {known[1]}",
            (known[0], known[1]),
        )
    if known:
        return known[0]
    return "" if wide else 1


def shape_text(shape: Shape) -> str:
    """A shape as a person reads it.

    >>> shape_text((2, "n", ""))
    '[2, n, ?]'
    """
    return f"[{', '.join(str(extent) if extent != '' else '?' for extent in shape)}]"
