"""What a kernel does, counted by kind of work and by kind of access, as products of its extents.

Counted once for a kernel after fusion; with the extents of a call it gives that call's features in
microseconds (`kernel_features`).
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from attrs import frozen
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, kinds, ops, products
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.array_account import Traffic, traffic_of
from flowc.passes.array_costs import bytes_of
from flowc.passes.array_extents import Expression, ExtentAnalysis

ACCESS = ("plain", "transposed", "strided", "repeated", "picked")
"""How a loop goes through what it reads: along its memory, across it, with gaps, the same again and again, or
here and there, as positions say."""

_IRREGULAR: Mapping[type[Operation], str] = {
    ops.CastOp: "cast",
    ops.GatherOp: "gather",
    ops.ArgReduceOp: "argreduce",
    ops.SoftmaxOp: "softmax",
    ops.TopKOp: "topk",
    ops.ContractOp: "product",
    ops.ConcatOp: "concat",
    irregular.TakeAlongOp: "take_along",
    irregular.ScatterOp: "scatter",
    irregular.SegmentOp: "segment",
    irregular.HistogramOp: "histogram",
    irregular.ScanOp: "scan",
    irregular.SortOp: "sort",
    irregular.ArgsortOp: "argsort",
    irregular.OrderStatisticsOp: "order_statistics",
    irregular.TruePositionsOp: "true_positions",
    irregular.PickOp: "pick",
    irregular.SearchSortedOp: "search",
    irregular.RandomOp: "random",
    products.AttentionOp: "attention",
    products.ConvolveOp: "convolution",
}

_BY_ROWS = ("scan", "sort", "argsort", "order_statistics", "argreduce")
"""What goes along the rows of a matrix in another way than along a whole array."""
OPERATORS = (
    *kinds.arity,
    *("reduce", "reduce_rows", "reduce_columns"),
    *_IRREGULAR.values(),
    *(f"{name}_rows" for name in _BY_ROWS),
    "other",
)
"""Names of what is counted: elementwise operators, reductions of all axes, of the last, of others, ..."""

MULTIPLYING = frozenset({"product", "attention", "convolution"})
"""Operators counted in multiplications and additions, not in elements."""


UNKNOWN = 1 << 20
"""What an extent is taken to be that only a call says: extents that a program names are mostly small."""


@frozen
class Product:
    """A number times the product of some extents."""

    factor: float
    extents: tuple[Expression, ...]


@frozen
class LoopWork:
    """One loop nest: amounts of work by operator, bytes read by kind of access, bytes written, bytes among
    which elements are picked; the elements of the largest array in it, and how many of them are a row; the
    bytes of the widest element, whether it works on integers alone, and whether it reduces anything."""

    work: tuple[tuple[str, Product], ...]
    read: tuple[tuple[str, Product], ...]
    written: tuple[Product, ...]
    picked_from: tuple[Product, ...]
    elements: Product
    inner: Product
    element_bytes: int
    integers: bool
    reduced: bool


@frozen
class KernelWork:
    """The loops of a kernel and, in `arguments`, the bytes of its arrays, each once."""

    loops: tuple[LoopWork, ...]
    arguments: tuple[Product, ...]


def kernel_work(kernel: KernelOp, groups: Sequence[tuple[Operation, ...]]) -> KernelWork:
    """The work of a fused kernel whose operators are computed in these groups."""
    extents = ExtentAnalysis(kernel)
    loops = (_loop(extents, each) for each in traffic_of(kernel, groups))
    ends = [*kernel.body.block.args, *dict.fromkeys(kernel.returned)]
    return KernelWork(
        tuple(loop for loop in loops if loop is not None),
        tuple(_bytes(extents, value) for value in ends if shape_of(value.type)),
    )


def _loop(extents: ExtentAnalysis, traffic: Traffic) -> LoopWork | None:
    if not traffic.read and not traffic.written:
        return None
    looked_at = [value for op in traffic.members for value in _looked_at(op)]
    largest = _largest(extents, looked_at)
    shape = tuple(extents.shape(largest))
    dtypes = [dtype_of(value.type) for op in traffic.members for value in op.results]
    return LoopWork(
        tuple((_name(op), _amount(extents, op)) for op in traffic.members if not ops.is_view(op)),
        tuple(_reading(extents, traffic, value) for value in traffic.read),
        tuple(_bytes(extents, value) for value in traffic.written),
        tuple(_bytes(extents, value) for value in traffic.read if _picks(traffic, value)),
        Product(1, shape),
        Product(1, shape if _is_flat(extents, traffic, shape) else shape[-1:]),
        max(map(bytes_of, (*traffic.read, *traffic.written))),
        not any(map(is_float, dtypes)),
        any(isinstance(op, ops.ReduceOp | ops.ArgReduceOp) for op in traffic.members),
    )


def _is_flat(extents: ExtentAnalysis, traffic: Traffic, shape: tuple[Expression, ...]) -> bool:
    """Whether a loop goes through arrays of this shape as if they had one axis."""
    for op in traffic.members:
        if isinstance(op, ops.ReduceOp):
            if len(op.axes.get_values()) < len(extents.shape(op.source)):
                return False
        elif not isinstance(op, ops.ElementwiseOp | ops.CastOp | ops.ConstantOp | ops.DimOp):
            return False
    arrays = [value for op in traffic.members for value in _looked_at(op) if shape_of(value.type)]
    return all(tuple(extents.shape(value)) == shape for value in arrays)


def _looked_at(op: Operation) -> Sequence[SSAValue]:
    """What an operator goes through whole: all that it reads and gives, but not what it picks from."""
    picks = isinstance(op, ops.GatherOp | ops.IndexOp | irregular.TakeAlongOp)
    return [*op.operands[1 if picks else 0 :], *op.results]


def _largest(extents: ExtentAnalysis, values: Iterable[SSAValue]) -> SSAValue:
    return max(values, key=lambda value: (len(shape_of(value.type)), _static(extents, value)))


def _reading(extents: ExtentAnalysis, traffic: Traffic, value: SSAValue) -> tuple[str, Product]:
    """How a loop reads a value, and how many bytes of it."""
    picking = _picks(traffic, value)
    if picking:
        picked = _largest(extents, (user.results[0] for user in picking))
        return "picked", Product(bytes_of(value), tuple(extents.shape(picked)))
    how = "transposed" if _turns(traffic) else _access(traffic, value)
    return how, _bytes(extents, value)


def _turns(traffic: Traffic) -> bool:
    """Whether a loop transposes what it computes: it reads along the memory and writes across it, or the
    other way round."""
    made = {result for op in traffic.members if not ops.is_view(op) for result in op.results}
    return any(isinstance(op, ops.TransposeOp) and op.operands[0] in made for op in traffic.members)


def _picks(traffic: Traffic, value: SSAValue) -> Sequence[Operation]:
    """What picks elements of a value by their positions, where nothing in the loop goes through all of it."""
    users = [use.operation for use in value.uses if use.operation in traffic.members]
    picking = [user for user in users if value not in _looked_at(user)]
    return picking if len(picking) == len(users) else ()


def _static(extents: ExtentAnalysis, value: SSAValue) -> int:
    return prod(extent if isinstance(extent, int) else UNKNOWN for extent in extents.shape(value))


def _bytes(extents: ExtentAnalysis, value: SSAValue) -> Product:
    return Product(bytes_of(value), tuple(extents.shape(value)))


def _name(op: Operation) -> str:
    match op:
        case ops.ElementwiseOp():
            return op.kind.data
        case ops.ReduceOp():
            rank, axes = len(shape_of(op.source.type)), op.axes.get_values()
            return "reduce" if len(axes) == rank else f"reduce_{'rows' if rank - 1 in axes else 'columns'}"
    name = _IRREGULAR.get(type(op), "other")
    in_rows = name in _BY_ROWS and len(shape_of(op.operands[0].type)) > 1
    return f"{name}_rows" if in_rows else name


def _amount(extents: ExtentAnalysis, op: Operation) -> Product:
    """The operations of a product, else the elements of the largest array that an operator looks at."""
    match op:
        case ops.ContractOp():
            return Product(2, (*extents.shape(op.result), extents.shape(op.left)[-1]))
        case products.AttentionOp():
            return Product(4, (*extents.shape(op.operands[0]), extents.shape(op.operands[1])[-2]))
        case products.ConvolveOp():
            return Product(2, (*extents.shape(op.results[0]), *extents.shape(op.operands[1])[1:]))
    return Product(1, tuple(extents.shape(_largest(extents, _looked_at(op)))))


def _access(traffic: Traffic, value: SSAValue) -> str:
    """The worst way in which the members reach a value through views."""
    pending: list[tuple[SSAValue, str]] = [(value, "plain")]
    found = "plain"
    while pending:
        reached, how = pending.pop()
        for use in reached.uses:
            user = use.operation
            if user not in traffic.members:
                continue
            now = how
            if isinstance(user, ops.TransposeOp):
                return "transposed"
            if isinstance(user, ops.SliceOp) and how == "plain":
                now = "strided"
            elif _repeats(reached, user):
                now = "repeated"
            if ops.is_view(user):
                pending += [(result, now) for result in user.results]
            found = max(found, now, key=ACCESS.index)
    return found


def _repeats(value: SSAValue, user: Operation) -> bool:
    """Whether a user takes elements of a value more than once, as it does if the result has more axes."""
    if isinstance(user, ops.BroadcastOp | ops.ExpandOp):
        return True
    return isinstance(user, ops.ElementwiseOp) and len(shape_of(value.type)) < len(shape_of(user.result.type))
