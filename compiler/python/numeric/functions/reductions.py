"""Reductions and scans: of whole arrays, along axes, and of the elements that a mask picks."""

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.arithmetic import apply, settled, to_dtype, truth_value, value_of
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.functions.dtypes import dtype_of_object
from flowc.compiler.python.numeric.functions.registry import Implementation, add, implements
from flowc.compiler.python.numeric.functions.shapes import as_array, axes_of, axis_of, ravel, with_axes
from flowc.compiler.python.numeric.subscripts import subscript
from flowc.compiler.python.numeric.values import Array, Masked, Number
from flowc.dialects.array import build, irregular_build
from flowc.dialects.array.require import require
from flowc.dialects.array.types import dtype_of, integer_range, is_float, shape_of


def reduced(
    c: Context, kind: str, a: object, axis: object = None, keepdims: object = False, dtype: object = None
) -> object:
    """One reduction of the dialect."""
    value = value_of(c, a)
    if dtype is not None:
        value = to_dtype(c, value, dtype_of_object(dtype))
    if not shape_of(value.type):
        return c.wrap(_single(c, kind, value))
    keep = bool(c.static(keepdims, "`keepdims`"))
    axes = axes_of(c, axis, len(shape_of(value.type)))
    result = c.emit(build.reduce(kind, value, axes, keep))
    return c.wrap(result if dtype is None else to_dtype(c, result, dtype_of_object(dtype)))


def _single(c: Context, kind: str, value: SSAValue) -> SSAValue:
    if kind in ("any", "all"):
        return to_dtype(c, value, "bool")
    if kind in ("sum", "prod") and not is_float(dtype_of(value.type)):
        return to_dtype(c, value, "i64")
    return to_dtype(c, value, "f64") if kind == "mean" and not is_float(dtype_of(value.type)) else value


def _filled(c: Context, a: Masked, neutral: bool | int | float) -> SSAValue:
    """The values with something neutral where the mask is false."""
    return c.emit(
        build.elementwise("where", [a.mask, a.values, c.constant(neutral, dtype_of(a.values.type))])
    )


def _picked(c: Context, a: Masked, kind: str, axis: object) -> object:
    if axis not in (None, 0, -1):
        raise Refused(f"axis {axis} of a vector", code=SHAPES)
    dtype = dtype_of(a.values.type)
    if kind in ("any", "all"):
        truth = to_dtype(c, a.values, "bool")
        return reduced(c, kind, c.wrap(_filled(c, Masked(truth, a.mask), kind == "all")))
    neutral: float = {"sum": 0, "prod": 1}.get(kind, 0)
    if kind in ("min", "max"):
        low, high = (float("-inf"), float("inf")) if is_float(dtype) else integer_range(dtype)
        neutral = high if kind == "min" else low
        c.append(require(c.emit(build.reduce("any", a.mask, None, False)), "nothing"))
    return reduced(c, kind, c.wrap(_filled(c, a, neutral)))


def _either(c: Context, kind: str, a: object, axis: object, keepdims: object, dtype: object = None) -> object:
    if isinstance(a, Masked) and dtype is None and keepdims is False:
        return _picked(c, a, kind, axis)
    return reduced(c, kind, a, axis, keepdims, dtype)


@implements(np.sum)
def total(
    c: Context,
    a: object,
    axis: object = None,
    dtype: object = None,
    out: object = None,
    keepdims: object = False,
) -> object:
    """The sum."""
    return stored(c, _either(c, "sum", a, axis, keepdims, dtype), out)


@implements(np.prod)
def product(
    c: Context,
    a: object,
    axis: object = None,
    dtype: object = None,
    out: object = None,
    keepdims: object = False,
) -> object:
    """The product."""
    return stored(c, _either(c, "prod", a, axis, keepdims, dtype), out)


def stored(c: Context, result: object, out: object) -> object:
    """The result, written to `out` where there is one."""
    if out is None:
        return result
    if not isinstance(out, Array):
        raise Refused("`out` is an array")
    c.write(out, to_dtype(c, value_of(c, result), out.dtype))
    return out


@implements(np.mean)
def mean(
    c: Context, a: object, axis: object = None, dtype: object = None, keepdims: object = False
) -> object:
    """The mean."""
    if isinstance(a, Masked) and dtype is None and keepdims is False:
        sum_ = _picked(c, Masked(_floating(c, a.values), a.mask), "sum", axis)
        return apply(c, "div", sum_, count_true(c, a.mask), numpy=True)
    return reduced(c, "mean", a, axis, keepdims, dtype)


def _floating(c: Context, value: SSAValue) -> SSAValue:
    return value if is_float(dtype_of(value.type)) else to_dtype(c, value, "f64")


def count_true(c: Context, mask: SSAValue) -> object:
    """How many elements of a mask are true, as one of Python's numbers."""
    return Number(value_of(c, reduced(c, "sum", c.wrap(mask))), weak=True)


@implements(np.amax, np.max)
def amax(c: Context, a: object, axis: object = None, out: object = None, keepdims: object = False) -> object:
    """The greatest; NaN wins."""
    return stored(c, _either(c, "max", a, axis, keepdims), out)


@implements(np.amin, np.min)
def amin(c: Context, a: object, axis: object = None, out: object = None, keepdims: object = False) -> object:
    """The least; NaN wins."""
    return stored(c, _either(c, "min", a, axis, keepdims), out)


@implements(np.any)
def any_(c: Context, a: object, axis: object = None, out: object = None, keepdims: object = False) -> object:
    """Whether one is true."""
    return stored(c, _either(c, "any", a, axis, keepdims), out)


@implements(np.all)
def all_(c: Context, a: object, axis: object = None, out: object = None, keepdims: object = False) -> object:
    """Whether all are true."""
    return stored(c, _either(c, "all", a, axis, keepdims), out)


@implements(np.ptp)
def ptp(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """The distance of the least and the greatest."""
    return apply(c, "sub", amax(c, a, axis, keepdims=keepdims), amin(c, a, axis, keepdims=keepdims))


@implements(np.var)
def var(
    c: Context,
    a: object,
    axis: object = None,
    dtype: object = None,
    ddof: object = 0,
    keepdims: object = False,
) -> object:
    """The mean squared distance from the mean."""
    if isinstance(a, Masked) and dtype is None and keepdims is False:
        centre = mean(c, a, axis)
        away = apply(c, "sub", a, centre, numpy=True)
        squared = apply(c, "mul", away, away, numpy=True)
        return apply(c, "div", total(c, squared, axis), _free(c, count_true(c, a.mask), ddof), numpy=True)
    array = as_array(c, c.wrap(_floating(c, value_of(c, a))))
    if dtype is not None:
        array = as_array(c, c.wrap(to_dtype(c, c.value(array), dtype_of_object(dtype))))
    away = apply(c, "sub", array, mean(c, array, axis, keepdims=True), numpy=True)
    squares = apply(c, "mul", away, away, numpy=True)
    if isinstance(ddof, int) and ddof == 0:
        return mean(c, squares, axis, keepdims=keepdims)
    number: object = 1
    for place in axes_of(c, axis, len(array.shape)):
        number = apply(c, "mul", number, c.extent(array, place))
    return apply(c, "div", total(c, squares, axis, keepdims=keepdims), _free(c, number, ddof), numpy=True)


def _free(c: Context, number: object, ddof: object) -> object:
    """The degrees of freedom, which are never below none."""
    return apply(c, "maximum", apply(c, "sub", number, ddof), 0)


@implements(np.std)
def std(
    c: Context,
    a: object,
    axis: object = None,
    dtype: object = None,
    ddof: object = 0,
    keepdims: object = False,
) -> object:
    """The root of the variance."""
    return apply(c, "sqrt", var(c, a, axis, dtype, ddof, keepdims), numpy=True)


@implements(np.average)
def average(
    c: Context, a: object, axis: object = None, weights: object = None, keepdims: object = False
) -> object:
    """The weighted mean; the weights have the shape of the array, or lie along the axis."""
    if weights is None:
        return mean(c, a, axis, keepdims=keepdims)
    array, factors = as_array(c, a), as_array(c, weights)
    if len(factors.shape) < len(array.shape):
        place = axis_of(c, axis, len(array.shape))
        factors = as_array(c, with_axes(c, factors, len(array.shape) - 1 - place))
        sum_of_weights = total(c, weights)
    else:
        sum_of_weights = total(c, factors, axis, keepdims=keepdims)
    weighted = total(c, apply(c, "mul", array, factors, numpy=True), axis, keepdims=keepdims)
    return apply(c, "div", weighted, sum_of_weights, numpy=True)


@implements(np.count_nonzero)
def count_nonzero(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """How many are not zero."""
    truth = truth_value(c, a)
    return reduced(c, "sum", c.wrap(truth), axis, keepdims)


def _without_nan(c: Context, a: object) -> Masked:
    value = value_of(c, a)
    number = c.emit(build.elementwise("not", [c.emit(build.elementwise("isnan", [value]))]))
    return Masked(value, number)


@implements(np.nansum)
def nansum(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """The sum of what is a number."""
    return reduced(c, "sum", c.wrap(_filled(c, _without_nan(c, a), 0)), axis, keepdims)


@implements(np.nanmean)
def nanmean(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """The mean of what is a number."""
    some = _without_nan(c, a)
    number = reduced(c, "sum", c.wrap(some.mask), axis, keepdims)
    sum_ = reduced(c, "sum", c.wrap(_filled(c, some, 0)), axis, keepdims)
    return apply(c, "div", sum_, c.wrap(to_dtype(c, value_of(c, number), dtype_of(value_of(c, sum_).type))))


@implements(np.nanmax)
def nanmax(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """The greatest of what is a number."""
    return _extreme_number(c, "max", a, axis, keepdims)


@implements(np.nanmin)
def nanmin(c: Context, a: object, axis: object = None, keepdims: object = False) -> object:
    """The least of what is a number."""
    return _extreme_number(c, "min", a, axis, keepdims)


def _extreme_number(c: Context, kind: str, a: object, axis: object, keepdims: object) -> object:
    """The extreme of what is a number; NaN where nothing is."""
    if not is_float(dtype_of(value_of(c, a).type)):
        return reduced(c, kind, a, axis, keepdims)
    some = _without_nan(c, a)
    neutral = float("-inf") if kind == "max" else float("inf")
    extreme = reduced(c, kind, c.wrap(_filled(c, some, neutral)), axis, keepdims)
    return apply(c, "where", reduced(c, "any", c.wrap(some.mask), axis, keepdims), extreme, float("nan"))


def _scanned(c: Context, kind: str, a: object, axis: object, dtype: object) -> object:
    """A running reduction."""
    array = as_array(c, a if axis is not None else ravel(c, a))
    value = c.value(array)
    if dtype is not None:
        value = to_dtype(c, value, dtype_of_object(dtype))
    place = 0 if axis is None else axis_of(c, axis, len(array.shape))
    result = c.emit(irregular_build.scan(kind, value, place))
    return c.array(result if dtype is None else to_dtype(c, result, dtype_of_object(dtype)))


@implements(np.cumsum)
def cumsum(c: Context, a: object, axis: object = None, dtype: object = None) -> object:
    """Running sums."""
    return _scanned(c, "sum", a, axis, dtype)


@implements(np.cumprod)
def cumprod(c: Context, a: object, axis: object = None, dtype: object = None) -> object:
    """Running products."""
    return _scanned(c, "prod", a, axis, dtype)


def _reduce_of(kind: str) -> Implementation:
    def build_reduce(
        c: Context, array: object, axis: object = 0, dtype: object = None, keepdims: object = False
    ) -> object:
        return _either(c, kind, settled(c, array), axis, keepdims, dtype)

    build_reduce.__doc__ = f"`{kind}` along an axis, the first by default."
    return build_reduce


def _accumulate_of(kind: str) -> Implementation:
    def build_accumulate(c: Context, array: object, axis: object = 0, dtype: object = None) -> object:
        return _scanned(c, kind, array, axis, dtype)

    build_accumulate.__doc__ = f"Running `{kind}` along an axis, the first by default."
    return build_accumulate


for _ufunc, _kind in ((np.add, "sum"), (np.multiply, "prod"), (np.maximum, "max"), (np.minimum, "min")):
    add(_ufunc.reduce, _reduce_of(_kind))
    add(_ufunc.accumulate, _accumulate_of(_kind))
add(np.logical_and.reduce, _reduce_of("all"))
add(np.logical_or.reduce, _reduce_of("any"))


@implements(np.diff)
def diff(c: Context, a: object, n: object = 1, axis: object = -1) -> object:
    """Differences of neighbours along an axis."""
    times = c.static(n, "how often to take differences")
    result: object = as_array(c, a)
    for _ in range(times if isinstance(times, int) else 0):
        array = as_array(c, result)
        before: Sequence[object] = [Range()] * axis_of(c, axis, len(array.shape))
        upper, lower = (subscript(c, array, [*before, part]) for part in (Range(start=1), Range(stop=-1)))
        kind = "ne" if array.dtype == "bool" else "sub"
        result = apply(c, kind, upper, lower)
    return result
