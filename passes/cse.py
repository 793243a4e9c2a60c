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
from flowc.passes.framework import FlowPass, Report

COMMUTATIVE = frozenset({"add", "mul", "eq", "ne", "and", "or", "xor"})
"""Functions whose numeric operands may change places; on texts and lists `add` joins, and order counts."""


def eliminate_common_subexpressions(module: ModuleOp) -> int:
    """Replaces later equal expressions by the first; gives how many."""
    removed = 0
    pending: list[tuple[Block, dict[Hashable, Operation]]] = [(module.body.block, {})]
    while pending:
        block, outer = pending.pop()
        known = _Scope(outer)
        for op in list(block.ops):
            if not op.regions:
                removed += _visit(op, known)
            for region in op.regions:
                visible = {} if op.has_trait(IsolatedFromAbove) else known.snapshot()
                pending.extend((inner, visible) for inner in region.blocks)
    return removed


class _Scope:
    """Expressions known in a block: its own, and those of the blocks around it."""

    def __init__(self, outer: dict[Hashable, Operation]) -> None:
        self._outer = outer
        self._own: dict[Hashable, Operation] = {}
        self._frozen: dict[Hashable, Operation] | None = None

    def first(self, key: Hashable, op: Operation) -> Operation:
        """The first operation with this key, `op` itself if it is the first."""
        found = self._own.get(key) or self._outer.get(key)
        if found is None:
            self._own[key] = found = op
            self._frozen = None
        return found

    def snapshot(self) -> dict[Hashable, Operation]:
        """What is known so far, for a region; regions that stand together share it."""
        if self._frozen is None:
            self._frozen = {**self._outer, **self._own}
        return self._frozen


def _visit(op: Operation, known: _Scope) -> int:
    if not op.results or is_terminator(op) or not is_side_effect_free(op):
        return 0
    first = known.first(expression_key(op), op)
    if first is op:
        return 0
    for old, new in zip(op.results, first.results, strict=True):
        old.replace_all_uses_with(new)
    op.detach()
    op.erase()
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

    name = "flow-cse"

    def run(self, module: ModuleOp) -> Report:
        """Runs `eliminate_common_subexpressions`."""
        return Report(eliminate_common_subexpressions(module))
