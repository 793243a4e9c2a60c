"""Kernels of the array dialect on arrays of symbolic elements: extents are numbers, elements anything.

Floats are real numbers where a rewrite may change the order of rounding, and IEEE numbers where it may not.
Whole numbers wrap, positions are numbers. An operator without a meaning here is an unknown function of its
operands: what holds then holds for every operator.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import z3
from attrs import define, field
from xdsl.dialects.builtin import FloatAttr
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.irregular import ScanOp
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import bits, dtype_of, is_float, shape_of
from tests.validation import scalar_meaning
from tests.validation.machine import Term
from tests.validation.prover import prove, same

Array = Any
"""A NumPy array of terms."""


@define
class Symbolic:
    """Runs kernels. `extents` are those of named axes; `exact` floats are IEEE numbers, of a
    format so small that z3 is quick: they compare and round as those of all formats do."""

    extents: Mapping[str, int]
    exact: bool = False
    values: dict[SSAValue, Array] = field(factory=dict)

    def sort(self, dtype: str) -> z3.SortRef:
        """The sort of an element."""
        if is_float(dtype):
            return z3.FPSort(3, 4) if self.exact else z3.RealSort()
        return z3.BoolSort() if dtype == "bool" else z3.BitVecSort(bits(dtype))

    def results(self, kernel: KernelOp) -> list[Array]:
        """The results of a kernel for any elements of its arguments."""
        for name, value in zip(kernel.arg_names, kernel.body.block.args, strict=True):
            self.values[value] = self.leaf(name, value)
        for op in kernel.body.block.ops:
            if isinstance(op, ReturnOp):
                return [self.values[value] for value in op.operands]
            self.values[op.results[0]] = self._result(op, [self.values[value] for value in op.operands])
        raise ValueError("a kernel without an end")

    def leaf(self, name: str, value: SSAValue) -> Array:
        """An array of which nothing is known but its extents."""
        shape = [self.extents[each] if isinstance(each, str) else each for each in shape_of(value.type)]
        sort = self.sort(dtype_of(value.type))
        found = np.empty(shape, object)
        for at in np.ndindex(*shape):
            found[at] = z3.Const(f"{name}{list(at)}", sort)
        return found

    def _result(self, op: Operation, given: Sequence[Array]) -> Array:
        match op:
            case ops.ConstantOp():
                return _scalar(self._constant(op))
            case ops.ElementwiseOp():
                return self._elementwise(op.kind.data, dtype_of(op.result.type), given)
            case ops.CastOp():
                source, target = dtype_of(op.source.type), dtype_of(op.result.type)
                return _map(lambda x: self._cast(x, source, target), given)
            case ops.TransposeOp():
                return np.transpose(given[0], [int(axis) for axis in op.permutation.get_values()])
            case ops.SliceOp():
                named = [_number(each) for each in given[1:]]
                axes = [
                    slice(_bound(each.start, named), _bound(each.stop, named), each.step)
                    for each in op.slices.axes
                ]
                return given[0][tuple(axes)]
            case ops.IndexOp():
                return np.asarray(np.take(given[0], _number(given[1]), op.axis.value.data), object)
            case ops.ExpandOp():
                return np.expand_dims(given[0], op.axis.value.data)
            case ops.ContractOp():
                return self._contracted(*given)
            case ops.ReduceOp():
                axes = tuple(int(axis) for axis in op.axes.get_values())
                return self._reduced(op, given[0], axes)
            case ops.ArgReduceOp():
                keeps = op.keepdims is not None
                return _along(
                    given[0], (op.axis.value.data,), keeps, lambda x: self._position(op.kind.data, x)
                )
            case ops.SoftmaxOp():
                return self._softmax(given[0], op.axis.value.data)
            case ScanOp():
                kind, axis = op.kind.data, op.axis.value.data
                line = np.moveaxis(given[0], axis, -1)
                for k in range(1, line.shape[-1]):
                    line = line.copy()
                    line[..., k] = self._elementwise(_STEP[kind], "f32", [line[..., k - 1], line[..., k]])
                return np.moveaxis(line, -1, axis)
        raise ValueError(f"no meaning for {op.name}")

    def _constant(self, op: ops.ConstantOp) -> Term:
        number, sort = op.value.value.data, self.sort(dtype_of(op.result.type))
        if isinstance(op.value, FloatAttr):
            return z3.FPVal(number, sort) if self.exact else z3.RealVal(str(number))
        return z3.BoolVal(bool(number)) if z3.BoolSort() == sort else z3.BitVecVal(number, sort)

    def _elementwise(self, kind: str, dtype: str, given: Sequence[Array]) -> Array:
        def one(*xs: Term) -> Term:
            if kind == "where":
                return z3.If(*xs)
            if z3.is_bool(xs[0]):
                return scalar_meaning._BOOL[kind](*xs)
            if z3.is_fp(xs[0]) and kind in scalar_meaning._FLOAT:
                return scalar_meaning._FLOAT[kind](*xs)
            if kind in _PLAIN and not z3.is_fp(xs[0]):
                return _PLAIN[kind](*xs)
            return z3.Function(kind, *(x.sort() for x in xs), self.sort(dtype))(*xs)

        return _map(one, given)

    def _cast(self, value: Term, source: str, target: str) -> Term:
        if source == target or (is_float(source) and is_float(target)):
            return value
        if is_float(source) or is_float(target) or "bool" in (source, target):
            return z3.Function(f"{source} as {target}", value.sort(), self.sort(target))(value)
        more = bits(target) - bits(source)
        if more > 0:
            return (z3.ZeroExt if source == "u8" else z3.SignExt)(more, value)
        return z3.Extract(bits(target) - 1, 0, value)

    def _contracted(self, left: Array, right: Array) -> Array:
        """Sums of products, as NumPy's `matmul` pairs them."""
        if left.ndim == 1:
            return self._contracted(left[None], right)[..., 0, :]
        if right.ndim == 1:
            return self._contracted(left, right[:, None])[..., 0]
        products = _map(
            lambda x, y: x * y, [left[..., :, None, :], np.swapaxes(right, -1, -2)[..., None, :, :]]
        )
        zero = z3.BitVecVal(0, left.flat[0].sort()) if left.size and z3.is_bv(left.flat[0]) else z3.RealVal(0)
        return _along(products, (products.ndim - 1,), False, lambda xs: sum(xs, zero))

    def _reduced(self, op: ops.ReduceOp, source: Array, axes: tuple[int, ...]) -> Array:
        kind, dtype = op.kind.data, dtype_of(op.result.type)
        wide = _map(lambda x: self._cast(x, dtype_of(op.source.type), dtype), [source])

        def line(xs: Sequence[Term]) -> Term:
            if not xs:
                return z3.Const(f"{kind} of nothing", self.sort(dtype))
            step = _STEP["sum" if kind == "mean" else kind]
            total = reduce(lambda a, b: self._elementwise(step, dtype, [_scalar(a), _scalar(b)])[()], xs)
            return total / len(xs) if kind == "mean" else total

        return _along(wide, axes, op.keepdims is not None, line)

    def _softmax(self, source: Array, axis: int) -> Array:
        power = z3.Function("exp", z3.RealSort(), z3.RealSort())
        highest = _along(source, (axis,), True, lambda xs: reduce(_PLAIN["maximum"], xs))
        powers = _map(lambda x, top: power(x - top), [source, highest])
        total = _along(powers, (axis,), True, lambda xs: reduce(_PLAIN["add"], xs))
        return _map(lambda x, whole: x / whole, [powers, total])

    def _position(self, kind: str, xs: Sequence[Term]) -> Term:
        """The first of the extreme elements, or the first that is no number."""
        first = z3.BitVecVal(0, 64)
        for k in reversed(range(len(xs))):
            others = [z3.Or(_strange(xs[k]), _unbeaten(kind, xs[k], x)) for x in xs]
            some = z3.Or(_strange(xs[k]), z3.And(*others, *(z3.Not(_strange(x)) for x in xs)))
            first = z3.If(some, z3.BitVecVal(k, 64), first)
        return first


_STEP = {"sum": "add", "prod": "mul", "min": "minimum", "max": "maximum", "any": "or", "all": "and"}
_PLAIN: dict[str, Callable[..., Term]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b, "neg": lambda a: -a,
    "minimum": lambda a, b: z3.If(a <= b, a, b), "maximum": lambda a, b: z3.If(a >= b, a, b),
    "eq": lambda a, b: a == b, "le": lambda a, b: a <= b, "ge": lambda a, b: a >= b,
}  # fmt: skip


def _strange(x: Term) -> Term:
    return z3.fpIsNaN(x) if z3.is_fp(x) else z3.BoolVal(False)


def _unbeaten(kind: str, x: Term, other: Term) -> Term:
    if z3.is_fp(x):
        return (z3.fpLEQ if kind == "argmin" else z3.fpGEQ)(x, other)
    return x <= other if kind == "argmin" else x >= other


def _scalar(term: Term) -> Array:
    found = np.empty((), object)
    found[()] = term
    return found


def _map(function: Callable[..., Term], given: Sequence[Array]) -> Array:
    """The function of each element of arrays that are stretched to one shape."""
    arrays = np.broadcast_arrays(*given)
    found = np.empty(arrays[0].shape, object)
    for at in np.ndindex(*found.shape):
        found[at] = function(*(array[at] for array in arrays))
    return found


def _along(
    source: Array, axes: tuple[int, ...], keeps: bool, line: Callable[[Sequence[Term]], Term]
) -> Array:
    """The function of all elements along some axes."""
    kept = [axis for axis in range(source.ndim) if axis not in axes]
    turned = np.transpose(source, [*kept, *axes])
    found = np.empty(turned.shape[: len(kept)], object)
    for at in np.ndindex(*found.shape):
        found[at] = line(list(turned[at].flat) if axes else [turned[at]])
    return np.expand_dims(found, axes) if keeps else found


def _number(position: Array) -> int:
    """A position that is known."""
    return int(z3.simplify(position[()]).as_signed_long())


def _bound(bound: int | str | None, named: Sequence[int]) -> int | None:
    return named[int(bound[1:])] if isinstance(bound, str) else bound


def prove_kernels(
    before: KernelOp,
    after: KernelOp,
    extents: Mapping[str, int],
    exact: bool = False,
    given: Callable[[Symbolic], Sequence[Term]] = lambda _: (),
) -> None:
    """Two kernels give the same for all elements of arrays with these extents."""
    first, second = Symbolic(extents, exact), Symbolic(extents, exact)
    for was, now in zip(first.results(before), second.results(after), strict=True):
        assert was.shape == now.shape, f"{was.shape} became {now.shape}"
        claims = [same(a, b, zeros_alike=True) for a, b in zip(was.flat, now.flat, strict=True)]
        name = f"with extents {dict(extents)}\n{before}\nwhich then is\n{after}\nand"
        prove(z3.And(*claims), given(first), name=name)
