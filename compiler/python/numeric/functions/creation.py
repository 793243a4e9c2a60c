"""Functions that make arrays."""

import math
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.arithmetic import (
    apply,
    beside,
    python_dtype,
    stacked,
    to_dtype,
    value_of,
)
from flowc.compiler.python.numeric.context import INTEGERS, Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions.conditions import require_extents
from flowc.compiler.python.numeric.functions.dtypes import dtype_object, dtype_of_object
from flowc.compiler.python.numeric.functions.layouts import AS_IT_LIES, arranged, in_columns, turned
from flowc.compiler.python.numeric.functions.registry import implements
from flowc.compiler.python.numeric.values import Array, Number
from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.types import array_type, dtype_of, is_float, promote_all


def extents_of(shape: object) -> list[object]:
    """A shape as its extents: a number, a tuple, a list or what `.shape` gives."""
    items = list(shape) if isinstance(shape, tuple | list) else [shape]
    for item in items:
        if not isinstance(item, int | Number) or isinstance(item, bool) or python_dtype(item) not in INTEGERS:
            raise Refused("a shape consists of whole numbers")
    return items


def filled(c: Context, shape: object, value: SSAValue) -> object:
    """An array full of one number; the number itself for the shape ()."""
    extents = extents_of(shape)
    if not extents:
        return Number(value)
    names = tuple(map(c.extent_name, extents))
    return c.array(c.emit(build.broadcast(value, names, [c.extent_value(e) for e in extents])))


def _full(
    c: Context, shape: object, value: object, dtype: object, default: str, columns: bool = False
) -> object:
    """An array of one number; one in columns is the transpose of one in rows."""
    name = default if dtype is None else dtype_of_object(dtype)
    number = (
        c.constant(value, name)
        if isinstance(value, bool | int | float) and not (isinstance(value, float) and not is_float(name))
        else to_dtype(c, value_of(c, value), name)
    )
    return turned(c, filled(c, extents_of(shape)[::-1], number)) if columns else filled(c, shape, number)


@implements(np.result_type)
def result_type(c: Context, *arrays_and_dtypes: object) -> object:
    """The dtype in which values meet."""
    dtypes = [
        dtype_of_object(each) if isinstance(each, np.dtype | type) else python_dtype(each)
        for each in arrays_and_dtypes
        if not (isinstance(each, bool | int | float) or (isinstance(each, Number) and each.weak))
    ]
    return dtype_object(promote_all(dtypes or [python_dtype(each) for each in arrays_and_dtypes]))


@implements(np.zeros)
def zeros(c: Context, shape: object, dtype: object = None, order: object = "C") -> object:
    """An array of zeros."""
    return _full(c, shape, 0, dtype, "f64", in_columns(c, order))


@implements(np.ones)
def ones(c: Context, shape: object, dtype: object = None, order: object = "C") -> object:
    """An array of ones."""
    return _full(c, shape, 1, dtype, "f64", in_columns(c, order))


@implements(np.full)
def full(c: Context, shape: object, fill_value: object, dtype: object = None, order: object = "C") -> object:
    """An array of one number."""
    return _full(c, shape, fill_value, dtype, python_dtype(fill_value), in_columns(c, order))


@implements(np.empty, np.ndarray)
def empty(c: Context, shape: object, dtype: object = None, order: object = "C") -> object:
    """An array to be filled; what it holds before is anything."""
    return _empty(c, shape, dtype, in_columns(c, order))


def _empty(c: Context, shape: object, dtype: object, columns: bool) -> object:
    extents = extents_of(shape)[:: -1 if columns else 1]
    name = "f64" if dtype is None else dtype_of_object(dtype)
    if not extents:
        return Number(c.constant(0, name))
    type_ = array_type(name, tuple(map(c.extent_name, extents)))
    made = c.fresh(type_, [c.extent_value(extent) for extent in extents])
    return turned(c, made) if columns else made


def _like(c: Context, a: object, dtype: object) -> tuple[tuple[object, ...], object]:
    array = a if isinstance(a, Array) else c.wrap(value_of(c, a))
    shape = c.extents_of(array) if isinstance(array, Array) else ()
    return shape, np.dtype(_numpy_name(array.dtype)) if dtype is None else dtype


def _numpy_name(dtype: str) -> Any:
    return dtype_object(dtype)


@implements(np.zeros_like)
def zeros_like(c: Context, a: object, dtype: object = None, order: object = "K") -> object:
    """Zeros in the shape of another array."""
    shape, name = _like(c, a, dtype)
    return _full(c, shape, 0, name, "", in_columns(c, order, a))


@implements(np.ones_like)
def ones_like(c: Context, a: object, dtype: object = None, order: object = "K") -> object:
    """Ones in the shape of another array."""
    shape, name = _like(c, a, dtype)
    return _full(c, shape, 1, name, "", in_columns(c, order, a))


@implements(np.empty_like)
def empty_like(c: Context, prototype: object, dtype: object = None, order: object = "K") -> object:
    """An array to be filled, in the shape of another."""
    shape, name = _like(c, prototype, dtype)
    return _empty(c, shape, name, in_columns(c, order, prototype))


@implements(np.full_like)
def full_like(c: Context, a: object, fill_value: object, dtype: object = None, order: object = "K") -> object:
    """One number in the shape of another array."""
    shape, name = _like(c, a, dtype)
    return _full(c, shape, fill_value, name, "", in_columns(c, order, a))


@implements(np.asarray, np.asanyarray)
def asarray(c: Context, a: object, dtype: object = None, order: object = "K") -> object:
    """A list of numbers or arrays as an array; an array of that dtype that lies in that order is itself."""
    if c.static(order, "the order of axes") not in AS_IT_LIES:
        return _lying(c, a, dtype, order)
    if isinstance(a, Array) and (dtype is None or a.dtype == dtype_of_object(dtype)):
        return a
    return array(c, a, dtype)


def _lying(c: Context, a: object, dtype: object, order: object) -> object:
    """An array in an order, which is a copy here where NumPy may show the other array."""
    made = array(c, a, dtype, order=order)
    if isinstance(a, Array) and isinstance(made, Array) and a.dtype == made.dtype:
        return c.copied(made, a)
    return made


@implements(np.ascontiguousarray)
def ascontiguousarray(c: Context, a: object, dtype: object = None) -> object:
    """The same elements in rows, which may not be changed while the other array is in use."""
    return _lying(c, a, dtype, "C")


@implements(np.asfortranarray)
def asfortranarray(c: Context, a: object, dtype: object = None) -> object:
    """The same elements in columns, which may not be changed while the other array is in use."""
    return _lying(c, a, dtype, "F")


@implements(np.array)
def array(
    c: Context, object: object, dtype: object = None, copy: object = True, order: object = "K"
) -> object:
    """A list of numbers or arrays as an array; of an array, a copy."""
    if not c.static(copy, "`copy`"):
        return asarray(c, object, dtype, order)
    name = "" if dtype is None else dtype_of_object(dtype)
    if isinstance(object, list | tuple):
        return arranged(c, stacked(c, object, name), order)
    whole = isinstance(object, int) or (isinstance(object, Number) and object.weak and object.dtype == "i64")
    value = beside(c, object, name) if whole and name in INTEGERS else value_of(c, object)
    return arranged(c, c.wrap(to_dtype(c, value, name or dtype_of(value.type))), order)


@implements(np.copy)
def copy(c: Context, a: object, order: object = "K") -> object:
    """A new array of the same elements."""
    return array(c, a, order=order)


@implements(np.arange)
def arange(c: Context, start: object, stop: object = None, step: object = 1, dtype: object = None) -> object:
    """start, start + step, ... below stop."""
    low, high = (0, start) if stop is None else (start, stop)
    count: object
    kinds = [python_dtype(x) for x in (low, high, step)]
    if any(map(is_float, kinds)):
        spaces = apply(c, "div", apply(c, "sub", high, low), step)
        count = math.ceil(spaces) if isinstance(spaces, float) else _ceiling(c, spaces)
    elif step == 1 and isinstance(step, int):
        count = apply(c, "sub", high, low)
    else:
        count = apply(c, "neg", apply(c, "floordiv", apply(c, "sub", low, high), step))
    count = max(count, 0) if isinstance(count, int) else count
    positions = c.array(c.emit(build.iota(c.extent_value(count), c.extent_name(count))))
    values: object = positions
    if not (isinstance(step, int) and step == 1):
        values = apply(c, "mul", values, step)
    if not (isinstance(low, int) and low == 0):
        values = apply(c, "add", values, low)
    if dtype is None:
        return values
    return c.wrap(to_dtype(c, value_of(c, values), dtype_of_object(dtype)))


def _ceiling(c: Context, number: object) -> Number:
    return Number(to_dtype(c, value_of(c, apply(c, "ceil", number)), "i64"), weak=True)


@implements(np.linspace)
def linspace(c: Context, start: object, stop: object, num: object = 50, dtype: object = None) -> object:
    """`num` evenly spaced numbers from start to stop, both included."""
    count = c.extent_value(num)
    low, high = (to_dtype(c, value_of(c, end), "f64") for end in (start, stop))
    made = c.emit(irregular_build.linspace(low, high, count, c.extent_name(num)))
    return c.wrap(to_dtype(c, made, "f64" if dtype is None else dtype_of_object(dtype)))


@implements(np.eye)
def eye(c: Context, N: object, M: object = None, k: object = 0, dtype: object = None) -> object:
    """Ones on a diagonal, zeros elsewhere."""
    columns = N if M is None else M
    require_extents(c, N, columns)
    rows = value_of(c, arange(c, N))
    across = c.array(value_of(c, arange(c, columns)))
    down = apply(c, "add", c.array(c.emit(build.expand(rows, 1))), k)
    return c.wrap(to_dtype(c, value_of(c, apply(c, "eq", down, across)), _or_f64(dtype)))


def _or_f64(dtype: object) -> str:
    return "f64" if dtype is None else dtype_of_object(dtype)


@implements(np.identity)
def identity(c: Context, n: object, dtype: object = None) -> object:
    """The identity matrix."""
    return eye(c, n, dtype=dtype)
