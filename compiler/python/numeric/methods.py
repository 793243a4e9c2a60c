"""Attributes and methods of arrays and numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import frozen

from flowc.compiler.python.numeric import library
from flowc.compiler.python.numeric.arithmetic import apply, settled, to_dtype, value_of
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions import (
    creation,
    elementwise,
    linear,
    positions,
    reductions,
    shapes,
)
from flowc.compiler.python.numeric.functions.dtypes import dtype_object, dtype_of_object
from flowc.compiler.python.numeric.functions.layouts import AS_IT_LIES, arranged
from flowc.compiler.python.numeric.picking import number_picked
from flowc.compiler.python.numeric.subscripts import fitted
from flowc.compiler.python.numeric.values import Array, Masked, Number


@frozen
class Method:
    """A method with what it belongs to; `written` says that it is written as a program."""

    owner: object
    name: str
    function: Callable[..., Any]
    written: bool = False


def attribute(c: Context, owner: object, name: str) -> object:
    """`owner.name` of an array, a number or masked elements."""
    if name in METHODS:
        return Method(owner, name, METHODS[name])
    if name in library.METHODS:
        return Method(owner, name, library.METHODS[name], written=True)
    if isinstance(owner, Masked) and name in ("shape", "size"):
        count = number_picked(c, owner)
        return count if name == "size" else (count,)
    owner = settled(c, owner)
    match name:
        case "shape":
            return c.extents_of(owner) if isinstance(owner, Array) else ()
        case "ndim":
            return len(owner.shape) if isinstance(owner, Array) else 0
        case "size":
            return shapes.size(c, owner) if isinstance(owner, Array) else 1
        case "dtype" if isinstance(owner, Array | Number):
            return dtype_object(owner.dtype)
        case "T":
            return shapes.transpose(c, owner) if isinstance(owner, Array) else owner
        case "itemsize" if isinstance(owner, Array | Number):
            return np.dtype(dtype_object(owner.dtype)).itemsize
        case "nbytes" if isinstance(owner, Array):
            return apply(c, "mul", shapes.size(c, owner), np.dtype(dtype_object(owner.dtype)).itemsize)
        case "real":
            return owner
        case "flat" if isinstance(owner, Array):
            return shapes.ravel(c, owner)
    known = f"an array has: {', '.join(sorted({*METHODS, *library.METHODS}))}"
    instead = "there are no complex numbers: it is 0" if name == "imag" else known
    raise Refused(f"`.{name}` has no native form", help=instead)


def copy(c: Context, a: object, order: object = "C") -> object:
    """A new array of the same elements."""
    return arranged(c, c.wrap(value_of(c, a)), order)


def astype(c: Context, a: object, dtype: object, order: object = "K", copy: object = True) -> object:
    """The elements in another dtype."""
    if c.static(order, "the order of axes") not in AS_IT_LIES:
        return creation.array(c, a, dtype, order=order)
    if not c.static(copy, "`copy`") and isinstance(a, Array) and a.dtype == dtype_of_object(dtype):
        return a
    return c.wrap(to_dtype(c, value_of(c, a), dtype_of_object(dtype)))


def reshape(c: Context, a: object, *shape: object, order: object = "C") -> object:
    """The elements in another shape."""
    return shapes.reshape(c, a, shape[0] if len(shape) == 1 else shape, order)


def transpose(c: Context, a: object, *axes: object) -> object:
    """The axes in another order."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
        return shapes.transpose(c, a, axes[0])
    return shapes.transpose(c, a, axes or None)


def flatten(c: Context, a: object, order: object = "C") -> object:
    """A copy with all elements in a row."""
    return c.wrap(value_of(c, shapes.ravel(c, a, order)))


def fill(c: Context, a: object, value: object) -> None:
    """Sets every element."""
    if not isinstance(a, Array):
        raise Refused("only arrays are filled")
    c.write(a, fitted(c, value, a))


def item(c: Context, a: object) -> object:
    """The only element, as a number of Python's."""
    if isinstance(a, Number):
        return Number(a.value, weak=True)
    raise Refused("`.item()` is for numbers", help="write `x[i]`")


def sort(c: Context, a: object, axis: object = -1) -> None:
    """Sorts in place."""
    if not isinstance(a, Array):
        raise Refused("only arrays are sorted")
    c.write(a, value_of(c, positions.sort(c, a, axis)))


def conj(c: Context, a: object) -> object:
    """x itself: there are no complex numbers."""
    return a


def compress(c: Context, a: object, condition: object, axis: object = None) -> object:
    """The elements, or the rows along an axis, for which a condition holds."""
    return positions.compress(c, condition, a, axis)


METHODS: Mapping[str, Callable[..., Any]] = {
    "sum": reductions.total,
    "prod": reductions.product,
    "mean": reductions.mean,
    "min": reductions.amin,
    "max": reductions.amax,
    "any": reductions.any_,
    "all": reductions.all_,
    "var": reductions.var,
    "std": reductions.std,
    "ptp": reductions.ptp,
    "cumsum": reductions.cumsum,
    "cumprod": reductions.cumprod,
    "argmax": positions.argmax,
    "argmin": positions.argmin,
    "argsort": positions.argsort,
    "take": positions.take,
    "searchsorted": positions.searchsorted,
    "dot": linear.dot,
    "clip": elementwise.clip,
    "round": elementwise.round_,
    "ravel": shapes.ravel,
    "squeeze": shapes.squeeze,
    "swapaxes": shapes.swapaxes,
    "repeat": shapes.repeat,
    "copy": copy,
    "astype": astype,
    "reshape": reshape,
    "transpose": transpose,
    "flatten": flatten,
    "fill": fill,
    "item": item,
    "sort": sort,
    "conj": conj,
    "nonzero": positions.nonzero,
    "compress": compress,
    "argpartition": positions.argpartition,
}
