"""What compiled numeric code depends on: the types of a call's arguments, as the compiler names them."""

import ast
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from flowc.compiler.python.source import FunctionNode
from flowc.runtime.dtypes import dtype_name
from flowc.runtime.errors import fail


@frozen
class ArgumentType:
    """The type of one argument; `dims` is empty for a number, `value` set where code is made for one value.

    An extent is 1, or a name that stands for one extent throughout the call: equal extents have equal names.
    """

    dtype: str
    dims: tuple[int | str, ...] = ()
    value: int | bool | None = None


def argument_types(
    function: str, names: Sequence[str], arguments: Sequence[Any], fixed: frozenset[str]
) -> tuple[ArgumentType, ...]:
    """The types of a call. Raises FlowError (E0093) for an argument that no code can be made for."""
    import numpy as np

    extents: dict[int, str] = {}
    found: list[ArgumentType] = []
    for name, argument in zip(names, arguments, strict=True):
        if isinstance(argument, np.ndarray | np.generic):
            dims = tuple(1 if n == 1 else extents.setdefault(n, f"n{len(extents)}") for n in argument.shape)
            found.append(ArgumentType(_dtype(function, name, argument.dtype), dims))
        elif name in fixed and isinstance(argument, int):
            found.append(ArgumentType("i64", (), argument))
        elif isinstance(argument, bool | int | float):
            found.append(ArgumentType(_number(argument)))
        else:
            raise fail(
                "E0093",
                f"`{function}` takes arrays and numbers; `{name}` is a {type(argument).__name__}",
                help=f"convert it first: `numpy.asarray({name})`",
            )
    return tuple(found)


def _number(argument: bool | int | float) -> str:
    """Python's numbers are `int` and `float` of the language: weak, as in NumPy, beside an array's dtype."""
    if isinstance(argument, bool):
        return "bool"
    return "int" if isinstance(argument, int) else "float"


def _dtype(function: str, name: str, dtype: Any) -> str:
    found = dtype_name(dtype) if dtype.isnative else None
    if found is None:
        raise fail(
            "E0093",
            f"`{function}` cannot be compiled for `{name}` of dtype {dtype}",
            why="native code is made for float64, float32, float16, bfloat16, int64, int32, int8 and bool",
            help=f"convert it first: `{name}.astype(...)`",
        )
    return found


def fixed_parameters(node: FunctionNode) -> frozenset[str]:
    """Parameters that the code is made for by value: those in a subscript or after `axis=`, `keepdims=`."""
    places: list[ast.AST] = []
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript):
            places.append(part.slice)
        elif isinstance(part, ast.keyword) and part.arg in ("axis", "keepdims"):
            places.append(part.value)
    names = {each.id for place in places for each in ast.walk(place) if isinstance(each, ast.Name)}
    return frozenset(names & {argument.arg for argument in node.args.args})
