"""Reference semantics by NumPy: slow, obvious, and the oracle of every back end.

Between load and store the half formats are held in f32, so a value rounds once where it is stored or cast;
in precise kernels where it is computed.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import FloatAttr
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.faults import KernelFault, UnsaidExtent, extent_of
from flowc.dialects.array.inference import elementwise_operand_dtype
from flowc.dialects.array.interpreter import Evaluate, Interpreter
from flowc.dialects.array.irregular_reference import evaluators as irregular_evaluators
from flowc.dialects.array.kernel import PRECISE, KernelOp, LaunchOp
from flowc.dialects.array.kinds import COMPARISON, compute_dtype, reduction_dtype
from flowc.dialects.array.products_reference import evaluators as product_evaluators
from flowc.dialects.array.reshape import ReshapeOp
from flowc.dialects.array.slices import Bound
from flowc.dialects.array.types import RefType, dtype_of, is_float, promote, shape_of

NumpyArray = np.ndarray[Any, np.dtype[Any]]

numpy_dtypes: dict[str, np.dtype[Any]] = {
    "f64": np.dtype(np.float64),
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "i64": np.dtype(np.int64),
    "i32": np.dtype(np.int32),
    "i16": np.dtype(np.int16),
    "i8": np.dtype(np.int8),
    "u8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}


def evaluate_kernel(
    kernel: KernelOp, arguments: Sequence[object], pure: Evaluate | None = None
) -> tuple[NumpyArray, ...]:
    """The results of a kernel on NumPy arguments; raises KernelFault as the compiled kernel fails.

    Arguments that the kernel changes are arrays of their own dtype, and are changed. `pure` evaluates the
    operators that give values in place of `evaluate`. A precise kernel rounds what each operator gives.
    """

    def fresh(ref: SSAValue, extents: Sequence[int]) -> NumpyArray:
        return np.zeros(extents, numpy_dtypes[dtype_of(ref.type)])

    compute = pure or partial(evaluate, wide=PRECISE not in kernel.attributes)
    interpreter = Interpreter(_rounding(compute) if PRECISE in kernel.attributes else compute, fresh)
    for parameter, value in zip(kernel.body.block.args, arguments, strict=True):
        array = np.asarray(value, numpy_dtypes[dtype_of(parameter.type)])
        if isinstance(parameter.type, RefType):
            interpreter.refs[parameter] = array
        else:
            interpreter.values[parameter] = array
    types = kernel.function_type.outputs
    return tuple(
        stored(value, dtype_of(type_)) for value, type_ in zip(interpreter.run(kernel), types, strict=True)
    )


def evaluate(
    op: Operation,
    inputs: Sequence[object],
    *,
    wide: bool = False,
    kernels: Mapping[str, KernelOp] | None = None,
) -> tuple[NumpyArray, ...]:
    """The results of one array op on NumPy inputs, a tuple with an entry per result.

    With `wide`, f16 and bf16 results stay in f32. `kernels` is where a launch finds its callee.
    """
    arrays = [np.asarray(value) for value in inputs]
    if isinstance(op, LaunchOp):
        return evaluate_kernel((kernels or {})[op.kernel.root_reference.data], arrays)
    wide_arrays = [_widened(array) for array in arrays]
    with np.errstate(all="ignore"):
        results = _evaluators[type(op)](op, wide_arrays)
    dtypes = [dtype_of(value.type) for value in op.results]
    return tuple(
        stored(np.asarray(result), compute_dtype(dtype) if wide else dtype)
        for dtype, result in zip(dtypes, results, strict=True)
    )


def stored(array: NumpyArray, dtype: str) -> NumpyArray:
    """The array with elements of `dtype`; f64 becomes bf16 in one rounding, which ml_dtypes does in two."""
    if dtype == "bf16" and array.dtype == np.float64:
        with np.errstate(all="ignore"):
            near = array.astype(np.float32)
            pattern = near.view(np.uint32) - (np.abs(near) > np.abs(array)).astype(np.uint32)
            inexact = (near != array) & ~np.isnan(array)
            array = np.where(inexact, pattern | np.uint32(1), near.view(np.uint32)).view(np.float32)
    return array.astype(numpy_dtypes[dtype], copy=False)


def _rounding(compute: Evaluate) -> Evaluate:
    """Takes halves to what holds them, and rounds what is computed of them."""

    def at_once(op: Operation, inputs: Sequence[NumpyArray]) -> Sequence[NumpyArray]:
        results = zip(compute(op, [_widened(each) for each in inputs]), op.results, strict=True)
        return [stored(np.asarray(each), dtype_of(value.type)) for each, value in results]

    return at_once


def _widened(array: NumpyArray) -> NumpyArray:
    return array.astype(np.float32) if array.dtype in (numpy_dtypes["f16"], numpy_dtypes["bf16"]) else array


def _erf(x: NumpyArray) -> NumpyArray:
    from math import erf

    return np.vectorize(erf, otypes=[np.float64])(x.astype(np.float64)) if x.size else x


def _sigmoid(x: NumpyArray) -> NumpyArray:
    power = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, power, np.ones_like(power)) / (1 + power))


def _power(base: NumpyArray, exponent: NumpyArray) -> NumpyArray:
    """Powers; an integer to a negative power is what is left of the quotient after rounding towards zero."""
    if base.dtype.kind == "f":
        return np.asarray(np.power(base, exponent))
    positive = np.power(base, np.maximum(exponent, 0))
    odd = np.where(exponent % 2 == 0, 1, -1).astype(base.dtype)
    inverse = np.where(base == 1, 1, np.where(base == -1, odd, 0)).astype(base.dtype)
    return np.where(exponent < 0, inverse, positive)


_scalar_functions: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.mod,
    "pow": _power,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "cbrt": np.cbrt,
    "hypot": np.hypot,
    "erf": _erf,
    "sigmoid": _sigmoid,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.round,
    "bitand": np.bitwise_and,
    "bitor": np.bitwise_or,
    "bitxor": np.bitwise_xor,
    "shl": np.left_shift,
    "shr": np.right_shift,
    "invert": np.invert,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "where": np.where,
    "isnan": lambda x: np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, np.bool_),
    "is_finite": lambda x: np.isfinite(x) if x.dtype.kind == "f" else np.ones(x.shape, np.bool_),
}


def _as_computed(array: NumpyArray, dtype: str) -> NumpyArray:
    return array.astype(numpy_dtypes[compute_dtype(dtype)], copy=False)


def _require_equal_extents(op: Operation, inputs: Sequence[NumpyArray], skip: int = 0) -> None:
    """Only an extent written as 1 stretches; one that happens to be 1 does not."""
    found: dict[int, int] = {}
    for operand, array in zip(op.operands, inputs, strict=True):
        shape = shape_of(operand.type)
        for axis in range(len(shape) - skip):
            if (
                shape[axis] != 1
                and found.setdefault(len(shape) - axis, array.shape[axis]) != array.shape[axis]
            ):
                raise KernelFault(f"extents {found[len(shape) - axis]} and {array.shape[axis]} differ")


def _require_extents_that_meet(op: Operation, inputs: Sequence[NumpyArray]) -> None:
    """An extent that only the run knows stretches if it is 1 and another operand says the extent; between
    extents of which none is said, UnsaidExtent."""
    rank = len(shape_of(op.results[0].type))
    for axis in range(1, rank + 1):
        said: dict[bool, set[int]] = {True: set(), False: set()}
        for operand, array in zip(op.operands, inputs, strict=True):
            shape = shape_of(operand.type)
            if axis <= len(shape) and shape[-axis] != 1:
                said[shape[-axis] != ""].add(array.shape[-axis])
        found = said[True] | (said[False] - {1} if said[True] else said[False])
        if len(found) > 1:
            unsaid = not said[True] and len(found - {1}) == 1
            raise (UnsaidExtent if unsaid else KernelFault)(f"extents {sorted(found)} differ")


def _elementwise(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    _require_extents_that_meet(op, inputs)
    kind = op.kind.data
    dtype = elementwise_operand_dtype(kind, op.operand_types)
    if kind in COMPARISON or dtype != "bool" or kind not in ("sub", "neg", "sign"):
        first = 1 if kind == "where" else 0
        inputs = [*inputs[:first], *(_as_computed(array, dtype) for array in inputs[first:])]
    return [_scalar_functions[kind](*inputs)]


def _cast(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    target = dtype_of(op.result.type)
    source = inputs[0]
    if source.dtype.kind == "f" and not is_float(target) and target != "bool":
        limits = np.iinfo(numpy_dtypes[target])
        wide = source.astype(np.float64)
        clipped = np.clip(np.nan_to_num(np.trunc(wide), nan=0.0), float(limits.min), float(limits.max))
        whole = np.where(wide >= float(limits.max), limits.max, clipped.astype(np.int64, copy=False))
        return [whole.astype(numpy_dtypes[target])]
    return [stored(source, target).astype(numpy_dtypes[compute_dtype(target)])]


def _reduce(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    kind = op.kind.data
    axes = tuple(int(axis) for axis in op.axes.get_values())
    keep = op.keepdims is not None
    source = inputs[0]
    if kind in ("any", "all"):
        return [getattr(np, kind)(source, axis=axes, keepdims=keep)]
    if kind in ("min", "max"):
        if source.size == 0 and np.any(source, axis=axes).size:
            raise KernelFault("a minimum or maximum of nothing")
        return [
            getattr(np, kind)(source, axis=axes, keepdims=keep, initial=None)
            if source.size
            else np.any(source, axis=axes, keepdims=keep)
        ]
    wide = _as_computed(source, reduction_dtype(kind, dtype_of(op.source.type)))
    exact = wide.astype(np.float64) if wide.dtype.kind == "f" else wide
    if kind == "mean":
        # `np.mean` of nothing warns; 0 / 0 is the NaN that is meant.
        count = np.prod([exact.shape[axis] for axis in axes])
        return [np.sum(exact, axis=axes, keepdims=keep) / count]
    return [getattr(np, kind)(exact, axis=axes, keepdims=keep)]


def _argreduce(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    axis = op.axis.value.data
    source = inputs[0]
    if source.shape[axis] == 0 and np.any(source, axis=axis).size:
        raise KernelFault("the position of the extreme value of nothing")
    if source.size == 0:
        return [np.any(source, axis=axis, keepdims=op.keepdims is not None)]
    return [getattr(np, op.kind.data)(source, axis=axis, keepdims=op.keepdims is not None)]


def _contract(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    _require_equal_extents(op, inputs, skip=2)
    dtype = promote(dtype_of(op.left.type), dtype_of(op.right.type))
    if inputs[0].shape[-1] != inputs[1].shape[max(inputs[1].ndim - 2, 0)]:
        raise KernelFault(f"inner extents of {inputs[0].shape} @ {inputs[1].shape} differ")
    return [np.matmul(_as_computed(inputs[0], dtype), _as_computed(inputs[1], dtype))]


def _reshaped(inputs: Sequence[NumpyArray]) -> NumpyArray:
    source, *extents = inputs
    shape = tuple(max(int(extent), 0) for extent in extents)
    if np.prod(shape, dtype=np.int64) != source.size:
        raise KernelFault(f"{source.shape} cannot become {shape}")
    return source.reshape(shape)


def _slice(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    source, *bounds = inputs

    def resolved(bound: Bound) -> int | None:
        return int(bounds[int(bound[1:])]) if isinstance(bound, str) else bound

    axes = tuple(slice(resolved(axis.start), resolved(axis.stop), axis.step) for axis in op.slices.axes)
    return [source[axes]]


def _checked(positions: NumpyArray, extent: int) -> NumpyArray:
    if np.any((positions < -extent) | (positions >= extent)):
        raise KernelFault(f"a position outside an axis of {extent}")
    wide = positions.astype(np.int64)  # bytes do not hold every extent
    return np.where(wide < 0, wide + extent, wide)


def _index(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    axis = op.axis.value.data
    return [np.take(inputs[0], _checked(inputs[1], inputs[0].shape[axis]), axis=axis)]


def _gather(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    return [inputs[0][_checked(inputs[1], inputs[0].shape[0])]]


def _softmax(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    axis = op.axis.value.data
    source = _as_computed(inputs[0], dtype_of(op.result.type))
    if source.shape[axis] == 0:
        return [source]
    shifted = np.exp((source - source.max(axis=axis, keepdims=True)).astype(np.float64))
    return [shifted / shifted.sum(axis=axis, keepdims=True)]


def _topk(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    source, count = inputs[0], int(inputs[1])
    if not 0 <= count <= source.shape[-1]:
        raise KernelFault(f"the {count} largest of {source.shape[-1]}")
    flipped = source[..., ::-1]
    order = np.argsort(flipped, axis=-1, kind="stable")[..., ::-1][..., :count]
    positions = source.shape[-1] - 1 - order
    return [np.take_along_axis(source, positions, axis=-1), positions]


def _broadcast(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    """An extent that has a name stands for itself: it does not stretch where it happens to be 1."""
    source, extents = inputs[0], tuple(extent_of(extent) for extent in inputs[1:])
    declared = reversed(shape_of(op.source.type))
    for said, own, wanted in zip(declared, reversed(source.shape), reversed(extents), strict=False):
        if said not in (1, "") and own != wanted:
            raise KernelFault(f"extents {own} and {wanted} differ")
    return [np.broadcast_to(source, extents)]


def _concat(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    dtype = dtype_of(op.result.type)
    return [np.concatenate([_as_computed(array, dtype) for array in inputs], axis=op.axis.value.data)]


def _constant(op: Any, inputs: Sequence[NumpyArray]) -> Sequence[Any]:
    value = op.value.value.data
    dtype = dtype_of(op.result.type)
    exact = np.asarray(value).astype(numpy_dtypes[dtype]) if isinstance(op.value, FloatAttr) else value
    return [np.asarray(exact).astype(numpy_dtypes[compute_dtype(dtype)])]


def _single(
    evaluator: Callable[[Any, Sequence[NumpyArray]], NumpyArray], op: Any, inputs: Sequence[NumpyArray]
) -> Sequence[Any]:
    return [evaluator(op, inputs)]


_evaluators: dict[type[Operation], Callable[[Any, Sequence[NumpyArray]], Sequence[Any]]] = {
    ops.ConstantOp: _constant,
    ops.ElementwiseOp: _elementwise,
    ops.CastOp: _cast,
    ops.ReduceOp: _reduce,
    ops.ArgReduceOp: _argreduce,
    ops.ContractOp: _contract,
    ops.TransposeOp: lambda op, inputs: [
        np.transpose(inputs[0], [int(a) for a in op.permutation.get_values()])
    ],
    ops.SliceOp: _slice,
    ops.IndexOp: _index,
    ops.GatherOp: _gather,
    ReshapeOp: lambda op, inputs: [_reshaped(inputs)],
    ops.ExpandOp: lambda op, inputs: [np.expand_dims(inputs[0], op.axis.value.data)],
    ops.BroadcastOp: _broadcast,
    ops.SoftmaxOp: _softmax,
    ops.TopKOp: _topk,
    ops.ConcatOp: _concat,
    **{kind: partial(_single, evaluator) for kind, evaluator in irregular_evaluators.items()},
    **{kind: partial(_single, evaluator) for kind, evaluator in product_evaluators.items()},
    ops.IotaOp: lambda op, inputs: [np.arange(max(int(inputs[0]), 0))],
    ops.DimOp: lambda op, inputs: [np.asarray(inputs[0].shape[op.axis.value.data])],
}
