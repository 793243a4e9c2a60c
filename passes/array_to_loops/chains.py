"""Recurrences such as `y[i] = a * x[i] + b * y[i - 1]`: of the two products it is the later one, which waits
for the round before, that becomes one operation with the sum. LLVM would take either; then a round waits for
a product and a sum.
"""

from collections.abc import Iterator

from xdsl.dialects import arith, func, math, memref, scf
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import Rewriter

from flowc.passes.array_to_loops.builder import CONTRACT
from flowc.passes.array_to_loops.nests import nested


def fuse_chains(function: func.FuncOp) -> None:
    """Fuses products with sums on the way from one round of a loop to the next, if they may be contracted."""
    for loop in nested(function):
        for region in loop.regions if isinstance(loop, scf.ForOp | scf.WhileOp) else ():
            sums = [op for op in region.block.ops if isinstance(op, arith.AddfOp | arith.SubfOp)]
            if any(_has_two(op) for op in sums):
                late = _late(region.block)
                for op in sums:
                    _fuse(op, late)


def _has_two(op: arith.AddfOp | arith.SubfOp) -> bool:
    """Whether there is a choice: a sum, or a difference, of two products."""
    return op.fastmath == CONTRACT and all(_product(operand) is not None for operand in op.operands)


def _late(block: Block) -> set[SSAValue]:
    """The values of a round that depend on the round before: by a number, or by memory that it writes."""
    written = {op.memref for op in block.ops if isinstance(op, memref.StoreOp)}
    late = set[SSAValue](block.args[1:] if isinstance(block.parent_op(), scf.ForOp) else block.args)
    for op in block.ops:
        known = isinstance(op, memref.LoadOp) and op.memref in written
        if known or any(operand in late for operand in _read(op)):
            late.update(op.results)
    return late


def _read(op: Operation) -> Iterator[SSAValue]:
    for each in op.walk():
        yield from each.operands


def _fuse(op: arith.AddfOp | arith.SubfOp, late: set[SSAValue]) -> None:
    left, right = (_product(operand) for operand in op.operands)
    if op.fastmath != CONTRACT or left is None or right is None:
        return
    if (left.result in late) == (right.result in late):
        return
    product, other = (left, op.rhs) if left.result in late else (right, op.lhs)
    early, last = sorted(product.operands, key=lambda factor: factor in late)
    made: list[Operation] = []

    def negated(value: SSAValue) -> SSAValue:
        made.append(arith.NegfOp(value))
        return made[-1].results[0]

    if isinstance(op, arith.SubfOp) and product is right:
        early = negated(early)
    elif isinstance(op, arith.SubfOp):
        other = negated(other)
    made.append(math.FmaOp(early, last, other, CONTRACT))
    for each in made:
        each.location = op.location
    Rewriter.replace_op(op, made)
    Rewriter.erase_op(product)


def _product(value: SSAValue) -> arith.MulfOp | None:
    """The product that a value is, if it may be fused and is of no other use."""
    op = value.owner
    alone = isinstance(op, arith.MulfOp) and op.fastmath == CONTRACT and len(list(value.uses)) == 1
    return op if alone and isinstance(op, arith.MulfOp) else None
