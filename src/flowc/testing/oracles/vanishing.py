"""What comes to nothing on the way: products of which a part is below the normal numbers, as the order of
factors has it, and powers near the smallest number, as the last digit of a function has it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.ir import Operation

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.types import dtype_of

Array = np.ndarray[Any, np.dtype[Any]]

_POWERS: Mapping[str, Callable[..., Any]] = {
    "exp": np.exp, "exp2": np.exp2, "pow": np.power, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


def products_in_any_order(op: Operation, given: Sequence[Array], result: Array) -> tuple[Array, Array]:
    """The least that products may come to, without their signs, and the most: 0, and at least the smallest
    number, where a part of them may vanish.

    Of what is grouped by keys or scattered nothing is known then: the most is NaN.
    """
    if isinstance(op, ops.ReduceOp | irregular.ScanOp):
        values = given[0].astype(np.longdouble)
        along, product = _along(op, np.add), _along(op, np.multiply)
    else:
        values = given[-1].astype(np.longdouble)
        along, product = np.sum, lambda _: np.full_like(result, np.nan)
    sizes = np.abs(values)
    powers = np.log2(np.where((sizes > 0) & (sizes < 1), sizes, 1))
    vanishing = along(powers) < np.log2(_limits(op).tiny)
    exact = product(values)
    most = np.sign(exact) * np.maximum(np.abs(exact), _limits(op).smallest_subnormal)
    return np.where(vanishing, 0 * result, result), np.where(vanishing, most, result).astype(result.dtype)


def _along(op: ops.ReduceOp | irregular.ScanOp, combined: np.ufunc) -> Callable[[Array], Any]:
    """Combines numbers as the operator does: all of a line, or those so far."""
    if isinstance(op, irregular.ScanOp):
        axis = op.axis.value.data
        return lambda values: combined.accumulate(values, axis=axis)
    axes = tuple(int(axis) for axis in op.axes.get_values())
    return lambda values: combined.reduce(values, axis=axes, keepdims=op.keepdims is not None)


def rounded_up(op: Operation, name: str, given: Sequence[Array], result: Array) -> Array:
    """The results of an operator that is called so, the smallest number for each 0 that comes near it."""
    wide = [each.astype(np.longdouble) for each in given]
    if isinstance(op, ops.SoftmaxOp):
        near = np.exp(wide[0] - np.max(wide[0], axis=op.axis.value.data, keepdims=True, initial=-np.inf))
    elif name in _POWERS:
        near = np.abs(_POWERS[name](*wide))
    else:
        return result
    smallest = _limits(op).smallest_subnormal
    return np.where((result == 0) & (near >= np.longdouble(smallest) / 4), smallest, result)


def _limits(op: Operation) -> Any:
    """Those of the numbers in which results are computed."""
    return np.finfo(numpy_dtypes[compute_dtype(dtype_of(op.results[0].type))])
