"""What a model of choices looks at: a kernel for some extents, and by what another way of it differs.

Taken from the operators as fusion left them, before any loop is made: all choices are known by then.
"""

from collections.abc import Iterable, Sequence
from math import log2, prod

from attrs import frozen
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.kernel import ReturnOp
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.array_account import Sizes
from flowc.passes.array_costs import bytes_of, operations
from flowc.passes.array_extents import Expression, ExtentAnalysis
from flowc.passes.array_walks import lazy_owner
from flowc.passes.fuse_array import evaluations
from flowc.passes.kernel_alternatives import Way, changed

Floats = Sequence[float]

_KINDS = (
    "rows", "columns", "whole", "places", "softmax", "picking", "sorting", "sorting rows", "ranking",
    "grouping", "scanning", "scanning rows", "products", "views",
)  # fmt: skip
"""Operators that are not elementwise, by what they go through."""

_SORTING = irregular.SortOp | irregular.ArgsortOp | irregular.OrderStatisticsOp
_GROUPING = irregular.SegmentOp | irregular.HistogramOp | irregular.ScatterOp

FEATURES = (
    "elements", "row", "rows", "arguments", "results", "kept", "kept in a row", "kept in a column",
    "operations an element", "bytes an element", "float", "product rows", "inner", "product columns", "right",
    *_KINDS,
    "recompute", "strip", "near", "changed", "recomputed", "dearest", "work more an element",
    "bytes more an element", "row of changed", "column of changed",
    *(f"read by {kind}" for kind in (*_KINDS, "elementwise")),
)  # fmt: skip
"""Names of the features in order; sizes are binary logarithms."""


@frozen
class _Array:
    """An array by its shape and the bytes of an element, and what else is counted of it."""

    shape: tuple[Expression, ...]
    bytes: int
    weight: float = 1.0


@frozen
class Outline:
    """What is looked at of a kernel in its usual way, and of a way beside it; arrays still by expressions."""

    swept: tuple[_Array, ...]
    arguments: tuple[_Array, ...]
    results: tuple[_Array, ...]
    kept: tuple[_Array, ...]
    product: tuple[Expression, ...]
    fixed: tuple[float, ...]


@frozen
class Difference:
    """What is looked at of a way: operators that it treats differently, `weight` the operations more that it
    takes for each of their elements."""

    changed: tuple[_Array, ...]
    recomputed: tuple[bool, ...]
    fixed: tuple[float, ...]
    near: int


def outline(usual: Way) -> Outline:
    """The outline of a kernel in its usual way."""
    kernel = usual.kernel
    extents = ExtentAnalysis(kernel)

    def array(value: SSAValue, weight: float = 1.0) -> _Array:
        return _Array(tuple(extents.shape(value)), bytes_of(value), weight)

    operators = [op for op in kernel.walk() if op.results and shape_of(_largest(op).type)]
    computing = [op for op in operators if not ops.is_view(op) and not isinstance(op, ops.ConstantOp)]
    products = [op for op in operators if isinstance(op, ops.ContractOp)]
    returned = set(kernel.returned)
    arguments = [argument for argument in kernel.body.block.args if shape_of(argument.type)]
    kinds = {kind for op in kernel.walk() for kind in _kinds(op)}
    return Outline(
        tuple(array(_largest(op), operations(op)) for op in computing),
        tuple(map(array, arguments)),
        tuple(array(value) for value in returned if shape_of(value.type)),
        tuple(
            array(op.results[0])
            for op in computing
            if lazy_owner(op.results[0]) is None and op.results[0] not in returned
        ),
        _matrix(extents, products[0]) if products else (1, 1, 1),
        (
            max((bytes_of(op.results[0]) for op in computing), default=4),
            float(any(is_float(dtype_of(op.results[0].type)) for op in computing)),
            *(float(kind in kinds) for kind in _KINDS),
        ),
    )


def difference(usual: Way, way: Way) -> Difference:
    """What makes a way another than the usual one."""
    extents = ExtentAnalysis(way.kernel)
    found = changed(usual, way)
    users = {kind for op, _ in found for use in op.results[0].uses for kind in _kinds(use.operation)}
    plain = any(
        not list(_kinds(use.operation)) and not isinstance(use.operation, ReturnOp)
        for op, _ in found
        for use in op.results[0].uses
    )
    return Difference(
        tuple(
            _Array(
                tuple(extents.shape(op.results[0])),
                bytes_of(op.results[0]),
                max(evaluations(op.results[0]) - 1, 0) * _cost(op) * (1 if inline else -1),
            )
            for op, inline in found
        ),
        tuple(inline for _, inline in found),
        (
            float(way.choices.recompute if way.choice == "recompute" else 4),
            log2(way.choices.strip),
            float(max((operations(each) for op, _ in found for each in _chain(op)), default=0)),
            *(float(kind in users) for kind in _KINDS),
            float(plain),
        ),
        way.choices.near,
    )


def row(kernel: Outline, way: Difference, sizes: Sizes) -> list[float]:
    """The features of a way for some extents, in the order of FEATURES."""

    def count(shape: Iterable[Expression]) -> float:
        return float(prod(max(extent if isinstance(extent, int) else sizes(extent), 1) for extent in shape))

    def total(arrays: Iterable[_Array]) -> float:
        return sum(count(each.shape) * each.bytes for each in arrays)

    def lines(arrays: Iterable[_Array], last: bool) -> float:
        return sum(count(each.shape[-1:] if last else each.shape[:1]) * each.bytes for each in arrays)

    largest = max(kernel.swept, key=lambda each: count(each.shape), default=_Array((1,), 4))
    elements, inner = count(largest.shape), count(largest.shape[-1:])
    m, k, n = (count([extent]) for extent in kernel.product)
    right = k * n * kernel.fixed[0] if k * n > 1 else 1.0
    recompute, strip, dearest, *users = way.fixed
    more = sum(each.weight * count(each.shape) for each in way.changed) / elements
    bytes_more = (
        sum(
            count(each.shape) * each.bytes * (-1 if inline else 1)
            for each, inline in zip(way.changed, way.recomputed, strict=True)
        )
        / elements
    )
    return [
        log2(elements), log2(inner), log2(elements / inner), log2(1 + total(kernel.arguments)),
        log2(1 + total(kernel.results)), log2(1 + total(kernel.kept)), log2(1 + lines(kernel.kept, True)),
        log2(1 + lines(kernel.kept, False)),
        sum(each.weight * count(each.shape) for each in kernel.swept) / elements,
        *kernel.fixed[:2], log2(m), log2(k), log2(n), log2(right), *kernel.fixed[2:],
        recompute, strip, log2(1 + way.near) - log2(right), float(len(way.changed)),
        float(sum(way.recomputed)), dearest, more, bytes_more, log2(1 + lines(way.changed, True)),
        log2(1 + lines(way.changed, False)), *users,
    ]  # fmt: skip


def _cost(op: Operation) -> int:
    """The operations of an element, those included that are recomputed for it."""
    return sum(map(operations, _chain(op)))


def _chain(op: Operation) -> set[Operation]:
    """An operator, and those that are recomputed for it."""
    pending, seen = [op], set[Operation]()
    while pending:
        here = pending.pop()
        if here not in seen:
            seen.add(here)
            pending += [owner for value in here.operands if (owner := lazy_owner(value)) is not None]
    return seen


def _largest(op: Operation) -> SSAValue:
    return max((*op.results, *op.operands), key=lambda value: len(shape_of(value.type)))


def _matrix(extents: ExtentAnalysis, op: ops.ContractOp) -> tuple[Expression, ...]:
    left, right = extents.shape(op.left), extents.shape(op.right)
    return left[-2] if len(left) > 1 else 1, left[-1], right[-1] if len(right) > 1 else 1


def _kinds(op: Operation) -> Iterable[str]:
    match op:
        case ops.ReduceOp():
            rank, axes = len(shape_of(op.source.type)), op.axes.get_values()
            yield "whole" if len(axes) == rank else "rows" if rank - 1 in axes else "columns"
        case ops.ArgReduceOp():
            yield "places"
        case ops.SoftmaxOp():
            yield "softmax"
        case ops.TopKOp():
            yield "ranking"
        case ops.ContractOp():
            yield "products"
        case irregular.ScanOp():
            yield "scanning rows" if len(shape_of(op.source.type)) > 1 else "scanning"
        case _ if isinstance(op, _SORTING):
            yield "sorting rows" if len(shape_of(op.operands[0].type)) > 1 else "sorting"
        case _ if isinstance(op, _GROUPING):
            yield "grouping"
        case ops.GatherOp() | irregular.TakeAlongOp() | ops.IndexOp():
            yield "picking"
        case _ if ops.is_view(op):
            yield "views"
