"""dce: removes operations whose results nobody reads, if they do nothing else.

An effect is never removed, nor is a failure: what may end the run stays, so that a program fails at -O2
where it fails at -O0. Symbols stay, for any flow may be run.
"""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation
from xdsl.traits import SymbolOpInterface

from flowc.dialects.flow.effects import Effects
from flowc.passes.facts import blocks_inside, is_terminator, is_total
from flowc.passes.framework import FlowPass, Report


def eliminate_dead_code(module: ModuleOp) -> int:
    """Removes dead operations, innermost blocks first; gives how many."""
    effects = Effects()
    blocks = list(blocks_inside(module))
    return sum(_sweep(block, effects) for block in reversed(blocks))


def _sweep(block: Block, effects: Effects) -> int:
    """From the last operation to the first: what only dead operations read is dead when it is reached."""
    removed = 0
    op = block.last_op
    while op is not None:
        earlier = op.prev_op
        if _is_dead(op, effects):
            block.erase_op(op)
            removed += 1
        op = earlier
    return removed


def _is_dead(op: Operation, effects: Effects) -> bool:
    if any(result.first_use is not None for result in op.results):
        return False
    if is_terminator(op) or op.has_trait(SymbolOpInterface):
        return False
    return is_total(op, effects)


@dataclass(frozen=True)
class DcePass(FlowPass):
    """Removes what has neither a use nor an effect."""

    name = "dce"

    def run(self, module: ModuleOp) -> Report:
        """Runs `eliminate_dead_code`."""
        return Report(eliminate_dead_code(module))
