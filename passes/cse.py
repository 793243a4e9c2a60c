"""cse: computes equal pure expressions once. A value of an outer region serves the regions inside.

Calls of the outside world are the business of merge-calls, which knows what their declarations license.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp, f64
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import IsolatedFromAbove, is_side_effect_free

from flowc.dialects.flow.compute import ApplyOp
from flowc.dialects.flow.types import IntType
from flowc.passes.facts import is_terminator
from flowc.passes.framework import FlowPass, Report, block_of

COMMUTATIVE = frozenset({"add", "mul", "eq", "ne", "and", "or", "xor"})
"""Functions whose numeric operands may change places; on texts and lists `add` joins, and order counts."""


def eliminate_common_subexpressions(module: ModuleOp) -> int:
    """Replaces later equal expressions by the first; gives how many."""
    return _in_block(module.body.block, {})


def _in_block(block: Block, known: dict[Hashable, Operation]) -> int:
    """`known` holds the expressions of the blocks around; those of this block leave it at the end."""
    removed = 0
    own: list[Hashable] = []
    for op in list(block.ops):
        if not op.regions:
            removed += _visit(op, known, own)
        inner = {} if op.has_trait(IsolatedFromAbove) else known
        removed += sum(_in_block(each, inner) for region in op.regions for each in region.blocks)
    for key in own:
        del known[key]
    return removed


def _visit(op: Operation, known: dict[Hashable, Operation], own: list[Hashable]) -> int:
    if not op.results or is_terminator(op) or not is_side_effect_free(op):
        return 0
    key = expression_key(op)
    first = known.setdefault(key, op)
    if first is op:
        own.append(key)
        return 0
    for old, new in zip(op.results, first.results, strict=True):
        old.replace_all_uses_with(new)
    block_of(op).erase_op(op)
    return 1


def expression_key(op: Operation) -> Hashable:
    """Equal for operations that compute the same: what they are, their operands and their attributes."""
    operands: tuple[SSAValue, ...] = tuple(op.operands)
    if isinstance(op, ApplyOp) and op.function.data in COMMUTATIVE and _is_numeric(operands):
        operands = tuple(sorted(operands, key=id))
    return (
        op.name,
        operands,
        tuple(op.result_types),
        frozenset(op.properties.items()),
        frozenset(op.attributes.items()),
    )


def _is_numeric(operands: tuple[SSAValue, ...]) -> bool:
    return all(isinstance(value.type, IntType) or value.type == f64 for value in operands)


@dataclass(frozen=True)
class CsePass(FlowPass):
    """Computes equal pure expressions once."""

    name = "cse"

    def run(self, module: ModuleOp) -> Report:
        """Runs `eliminate_common_subexpressions`."""
        return Report(eliminate_common_subexpressions(module))
