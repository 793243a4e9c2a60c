"""Order among reads and writes: which values may be computed later than where they stand.

A value that is recomputed where it is used reads memory there, not where its operator stands. That is the
same only if nothing is written to that memory in between.
"""

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import memory, ops
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_walks import lazy_owner


def blocks_of(op: Operation) -> Iterator[Block]:
    """The blocks of an op and of all ops in it, outermost first."""
    for region in op.regions:
        for block in region.blocks:
            yield block
            for inner in block.ops:
                yield from blocks_of(inner)


def settle_reads(module: ModuleOp) -> int:
    """Copies what is read before a write and wanted after it; gives how many copies were needed."""
    copies = 0
    for kernel in module.ops:
        if isinstance(kernel, KernelOp):
            for block in list(blocks_of(kernel)):
                for op in list(block.ops):
                    if isinstance(op, memory.ReadOp) and _outlived(op):
                        _copy(op)
                        copies += 1
    return copies


def may_wait(value: SSAValue) -> bool:
    """Whether a value may be computed where it is used: in the same block, with no write in between to
    what it reads."""
    owner = value.owner
    if not isinstance(owner, Operation) or any(user.parent is not owner.parent for user in users_of(value)):
        return False
    refs = set(_refs(value))
    return not refs or not any(_changed(owner, user, refs) for user in _consumers(value))


def users_of(value: SSAValue) -> Iterator[Operation]:
    """The operators that use a value, seen through views."""
    for use in value.uses:
        if ops.is_view(use.operation) and shape_of(use.operation.results[0].type):
            yield from users_of(use.operation.results[0])
        else:
            yield use.operation


def _consumers(value: SSAValue) -> Iterator[Operation]:
    """The operators that may evaluate a value, were all between them recomputed."""
    seen: set[Operation] = set()
    pending = [value]
    while pending:
        for use in pending.pop().uses:
            if use.operation not in seen:
                seen.add(use.operation)
                yield use.operation
                pending += [result for result in use.operation.results if shape_of(result.type)]


def _refs(value: SSAValue) -> Iterator[SSAValue]:
    """The memory that a value reads where it is evaluated."""
    owner = value.owner
    if isinstance(owner, memory.ReadOp):
        yield owner.ref
    elif isinstance(owner, ops.ArrayOperation):
        for operand in owner.operands:
            read_there = isinstance(operand.owner, memory.ReadOp) or lazy_owner(operand) is not None
            if shape_of(operand.type) and read_there:
                yield from _refs(operand)


def _changed(first: Operation, last: Operation, refs: set[SSAValue]) -> bool:
    """Whether memory is written between two operators; within `last` too where it is nested."""
    block = first.parent
    nested = last.parent is not block
    while last.parent is not None and last.parent is not block:
        parent = last.parent_op()
        if parent is None:
            return True
        last = parent
    op = first.next_op
    while op is not None and op is not last:
        if writes(op, refs):
            return True
        op = op.next_op
    return nested and op is not None and writes(op, refs)


def writes(op: Operation, refs: set[SSAValue]) -> bool:
    """Whether an op, or one in it, writes to such memory."""
    if isinstance(op, memory.WriteOp):
        return op.ref in refs
    return any(writes(inner, refs) for region in op.regions for block in region.blocks for inner in block.ops)


def _outlived(read: memory.ReadOp) -> bool:
    return any(
        _changed(read, user, {read.ref})
        for user in users_of(read.result)
        if not (isinstance(user, memory.WriteOp) and memory.memory_of(user.target) is read)
    )


def _copy(read: memory.ReadOp) -> None:
    block = read.parent
    assert block is not None
    made = memory.variable(read.result)
    again = memory.read(made.result)
    for op in (made, again):
        op.location = read.location
    block.insert_ops_after([made, again], read)
    for use in list(read.result.uses):
        if use.operation is not made and not _names_target(use.operation, use.index):
            use.operation.operands[use.index] = again.result


def _names_target(op: Operation, position: int) -> bool:
    """Whether a use is on the way from a read to what a write names."""
    if isinstance(op, memory.WriteOp):
        return position == 1
    if not isinstance(op, memory.VIEWS) or position:
        return False
    return any(_names_target(use.operation, use.index) for use in op.results[0].uses)
