"""What compiled numeric code depends on: the types of a call's arguments, as the compiler names them."""

import ast
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from flowc.compiler.python.source import FunctionNode
from flowc.runtime.dtypes import dtype_name
from flowc.runtime.errors import fail

FLOATS = ("bf16", "f16", "f32", "f64")
INTEGERS = ("i8", "i32", "i64")


@frozen
class ArgumentType:
    """The type of one argument; `dims` is empty for a number, `value` set where code is made for one value.

    An extent is 1, or a name that stands for one extent throughout the call: equal extents have equal names.
    """

    dtype: str
    dims: tuple[int | str, ...] = ()
    value: int | bool | None = None


def argument_types(
    function: str,
    names: Sequence[str],
    arguments: Sequence[Any],
    fixed: frozenset[str],
    counts: frozenset[str] = frozenset(),
) -> tuple[ArgumentType, ...]:
    """The types of a call. Raises FlowError (E0093) for an argument that no code can be made for."""
    import numpy as np

    extents: dict[int, str] = {}
    found: list[ArgumentType | None] = []
    for name, argument in zip(names, arguments, strict=True):
        if type(argument) in (np.ndarray, np.memmap) or isinstance(argument, np.generic):
            dims = tuple(1 if n == 1 else extents.setdefault(n, f"n{len(extents)}") for n in argument.shape)
            found.append(ArgumentType(_dtype(function, name, argument.dtype), dims))
        elif name in fixed and isinstance(argument, int):
            found.append(ArgumentType("i64", (), argument))
        elif isinstance(argument, bool | int | float):
            found.append(None)
        else:
            raise fail(
                "E0093",
                f"`{function}` takes arrays and numbers; `{name}` is a {type(argument).__name__}",
                help=f"convert it first: `numpy.asarray({name})`",
            )
    dtypes = [type_.dtype for type_ in found if type_ is not None and type_.value is None]
    return tuple(
        type_ or ArgumentType("int" if name in counts else _number(argument, dtypes))
        for name, argument, type_ in zip(names, arguments, found, strict=True)
    )


def _number(argument: bool | int | float, dtypes: Sequence[str]) -> str:
    """Python's numbers are weak, as NumPy has it: they take the arrays' widest dtype of their kind."""
    if isinstance(argument, bool):
        return "bool"
    floating = [dtype for dtype in FLOATS if dtype in dtypes]
    whole = [dtype for dtype in INTEGERS if dtype in dtypes]
    if floating:
        return floating[-1]
    if isinstance(argument, int):
        return whole[-1] if whole else "int"
    return "f64" if whole else "float"


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
    return _parameters_in(node, places)


def counting_parameters(node: FunctionNode) -> frozenset[str]:
    """Parameters that count things whatever the arrays hold: the `k` of `topk`."""
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    return _parameters_in(node, [item for call in calls if _is_topk(call.func) for item in call.args[1:]])


def _is_topk(function: ast.expr) -> bool:
    return getattr(function, "attr", getattr(function, "id", "")) == "topk"


def _parameters_in(node: FunctionNode, places: Sequence[ast.AST]) -> frozenset[str]:
    names = {each.id for place in places for each in ast.walk(place) if isinstance(each, ast.Name)}
    return frozenset(names & {argument.arg for argument in node.args.args})
