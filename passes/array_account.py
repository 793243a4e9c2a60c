"""How much a kernel does for given arguments: the loops it became, the bytes that go through memory, the
operations."""

from collections.abc import Callable, Iterable, Sequence
from math import prod

from attrs import frozen
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_costs import bytes_of, operations
from flowc.passes.array_extents import Expression, ExtentAnalysis
from flowc.passes.array_walks import evaluated, is_lazy, lazy_owner

Sizes = Callable[[Expression], int]
"""The number that an extent is in a call."""

Shapes = Callable[[SSAValue], tuple[int, ...]]
"""The shape that a value has in a call."""


@frozen
class Traffic:
    """One loop nest: its operators in order, recomputed ones included; the values it reads and writes."""

    members: tuple[Operation, ...]
    read: tuple[SSAValue, ...]
    written: tuple[SSAValue, ...]


@frozen
class LoopAccount:
    """One loop nest: its operators by name, recomputed ones included; bytes read and written; operations."""

    operators: tuple[str, ...]
    read: int
    written: int
    operations: int


@frozen
class Account:
    """What a call of a kernel does; `least` are the bytes of its arguments and results, each moved once.

    It is not `complete` where the kernel has control flow: how often a part runs is for the run to say.
    """

    loops: tuple[LoopAccount, ...]
    least: int
    complete: bool

    @property
    def moved(self) -> int:
        """Bytes that go through memory, were no loop to find in the cache what another left there."""
        return sum(loop.read + loop.written for loop in self.loops)

    @property
    def operations(self) -> int:
        """Cheap operations: an exponential counts as many as it takes."""
        return sum(loop.operations for loop in self.loops)


def account(kernel: KernelOp, groups: Sequence[tuple[Operation, ...]], sizes: Sizes) -> Account:
    """The account of a fused kernel whose operators were lowered in these groups."""
    extents = ExtentAnalysis(kernel)

    def shape(value: SSAValue) -> tuple[int, ...]:
        return tuple(sizes(extent) for extent in extents.shape(value))

    loops = tuple(_loop(traffic, shape) for traffic in traffic_of(kernel, groups))
    arrays = tuple(loop for loop in loops if loop.read or loop.written)
    complete = not any(op.regions for op in kernel.body.block.ops)
    return Account(
        arrays, _bytes([*kernel.body.block.args, *dict.fromkeys(kernel.returned)], shape), complete
    )


def _with_products(
    kernel: KernelOp, groups: Sequence[tuple[Operation, ...]]
) -> Iterable[tuple[Operation, ...]]:
    """The groups, each with the products that are computed tile by tile in the loops of what reads them."""
    known = {op for group in groups for op in group}
    for group in groups:
        read = {value for op in group for value, _ in _sources(op)}
        products = [
            op
            for op in kernel.walk()
            if isinstance(op, ops.ContractOp) and op not in known and op.result in read
        ]
        yield (*products, *group)


def _bytes(values: Iterable[SSAValue], shape: Shapes) -> int:
    """Bytes of all arrays among values."""
    return sum(prod(shape(value)) * bytes_of(value) for value in values if shape_of(value.type))


def _loop(traffic: Traffic, shape: Shapes) -> LoopAccount:
    return LoopAccount(
        tuple(_name(op) for op in traffic.members if not ops.is_view(op)),
        _bytes(traffic.read, shape),
        _bytes(traffic.written, shape),
        sum(
            (1 if isinstance(op, ops.ContractOp) else operations(op)) * _times(op, shape)
            for op in traffic.members
        ),
    )


def traffic_of(kernel: KernelOp, groups: Sequence[tuple[Operation, ...]]) -> Iterable[Traffic]:
    """What each loop nest of a fused kernel computes and moves, if its operators are lowered so."""
    order = {op: number for number, op in enumerate(kernel.walk())}
    for group in _with_products(kernel, groups):
        made = {value for op in group for value in op.results}
        read: dict[SSAValue, None] = {}
        found = set(group)
        for op in group:
            for value, inline in _sources(op):
                if inline is not None:
                    found.add(inline)
                elif value not in made:
                    read[value] = None
        members = sorted(found, key=lambda op: order[op])
        written = [value for op in group for value in op.results if _is_used_outside(value, set(group))]
        yield Traffic(tuple(members), tuple(read), tuple(written))


def _sources(op: Operation) -> Iterable[tuple[SSAValue, Operation | None]]:
    """The values that an operator reads, and beside one that is recomputed the operator that gives it."""
    return (
        (value, lazy_owner(value))
        for value in evaluated(op)
        if not isinstance(value.owner, ops.ConstantOp | ops.DimOp)
    )


def _is_used_outside(value: SSAValue, group: set[Operation]) -> bool:
    pending = [value]
    while pending:
        for use in pending.pop().uses:
            user = use.operation
            if isinstance(user, ReturnOp):
                return True
            if is_lazy(user):
                pending += user.results
            elif user not in group:
                return True
    return False


def _times(op: Operation, shape: Shapes) -> int:
    """How often an operator's work is done: once for each element that it looks at."""
    if isinstance(op, ops.ContractOp):
        return 2 * prod(shape(op.result)) * shape(op.left)[-1]
    return max((prod(shape(value)) for value in (*op.operands, *op.results)), default=0)


def _name(op: Operation) -> str:
    kind = getattr(op, "kind", None)
    return str(kind.data) if kind is not None and hasattr(kind, "data") else op.name.removeprefix("array.")
