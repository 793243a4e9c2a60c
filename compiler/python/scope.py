"""What a name in a decorated function means: a variable, or an object that Python's scopes hold."""

import ast
import builtins
import math
import types
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, frozen

from flowc.compiler.python import functions, marks, sampling
from flowc.compiler.python.closures import closure

MISSING = object()
"""A name that no scope holds."""


@define
class Scope:
    """The names of one function: its variables, and what it sees of the world around it."""

    variables: frozenset[str]
    world: Mapping[str, Any]

    def lookup(self, node: ast.expr) -> Any:
        """The object behind a name or a dotted name outside the function, or MISSING."""
        match node:
            case ast.Name(id=name):
                if name in self.variables:
                    return MISSING
                return self.world.get(name, getattr(builtins, name, MISSING))
            case ast.Attribute(value=value, attr=attribute):
                owner = self.lookup(value)
                if isinstance(owner, types.ModuleType | type):
                    return getattr(owner, attribute, MISSING)
        return MISSING


def scope_of(function: Callable[..., Any], node: ast.FunctionDef | ast.AsyncFunctionDef) -> Scope:
    """The scope of a function: parameters and assigned names are its own, the rest is looked up."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    bound = {argument.arg for argument in arguments}
    bound |= {
        item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
    }
    return Scope(frozenset(bound), {**function.__globals__, **closure(function)})


@frozen
class Cast:
    """A numeric type used as a function: `np.float32(x)`, `x.astype(np.float32)`, `flowc.f32(x)`."""

    dtype: str


def known_function(value: Any) -> str | Cast | None:
    """The language's built-in (or special form) that a Python object stands for."""
    if isinstance(value, marks.ElementMark):
        return Cast(value.dtype)
    try:
        name = _table().get(value)
    except TypeError:
        return None
    if name is not None:
        return name
    return _numpy(value)


def _table() -> dict[Any, str]:
    if not _TABLE:
        plain = [
            "range",
            "len",
            "sum",
            "min",
            "max",
            "abs",
            "sorted",
            "reversed",
            "zip",
            "enumerate",
            "any",
            "all",
            "str",
            "int",
            "float",
            "bool",
            "round",
        ]
        _TABLE.update({getattr(builtins, name): name for name in plain})
        for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "erf", "floor", "ceil"):
            _TABLE[getattr(math, name)] = name
        for name in ("race", "vote", "sleep", "endorse", "declassify"):
            _TABLE[getattr(marks, name)] = name
        for home in (functions, sampling):
            for name in home.__all__:
                _TABLE[getattr(home, name)] = name
    return _TABLE


_TABLE: dict[Any, str] = {}

NUMPY_FUNCTIONS: Mapping[str, str] = {
    **{
        name: name
        for name in [
            "exp",
            "exp2",
            "log",
            "log2",
            "log1p",
            "expm1",
            "sqrt",
            "tanh",
            "sin",
            "cos",
            "floor",
            "ceil",
            "sign",
            "sum",
            "mean",
            "min",
            "max",
            "prod",
            "any",
            "all",
            "argmax",
            "argmin",
            "cumsum",
            "where",
            "minimum",
            "maximum",
            "matmul",
            "transpose",
            "abs",
            "round",
            "isnan",
            "isfinite",
        ]
    },
    "absolute": "abs",
    "fabs": "abs",
    "amax": "max",
    "amin": "min",
    "rint": "round",
    "expand_dims": "expand",
    "sort": "sort",
    "argsort": "argsort",
    "cumprod": "cumprod",
    "searchsorted": "searchsorted",
    "take_along_axis": "take_along",
    "arange": "iota",
}
"""NumPy's functions by their names, and the built-ins that do the same."""

NUMPY_INSTEAD: Mapping[str, str] = {
    "dot": "write `a @ b`",
    "inner": "write `a @ b.T`",
    "einsum": "write `@`, `.T` and sums over an axis",
    "norm": "write `np.sqrt(np.sum(x * x))`",
    "clip": "write `np.clip(x, low, high)`",
    "square": "write `x * x`",
    "power": "write `x ** y`",
    "negative": "write `-x`",
    "add": "write `x + y`",
    "multiply": "write `x * y`",
    "reciprocal": "write `1 / x`",
    "var": "write `np.mean((x - np.mean(x)) ** 2)`",
    "std": "write `np.sqrt(np.mean((x - np.mean(x)) ** 2))`",
    "take": "write `x[indices]`",
}
"""What to write for functions of NumPy that are not built in."""

NUMPY_DTYPES: Mapping[str, str] = {
    "float64": "f64",
    "float32": "f32",
    "float16": "f16",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint8": "u8",
    "bool": "bool",
    "bfloat16": "bf16",
}
"""NumPy's (and ml_dtypes') names of the element types."""


def _numpy(value: Any) -> str | Cast | None:
    module = getattr(value, "__module__", None) or ""
    if not (type(value).__module__.startswith("numpy") or module.startswith(("numpy", "ml_dtypes"))):
        return None
    name = getattr(value, "__name__", "")
    if isinstance(value, type) and name.rstrip("_") in NUMPY_DTYPES:
        return Cast(NUMPY_DTYPES[name.rstrip("_")])
    return NUMPY_FUNCTIONS.get(name)
