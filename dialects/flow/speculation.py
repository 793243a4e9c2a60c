"""Speculation: work of a branch that starts while the condition is still being found out.

`flow.speculate` stands before a `flow.if` of the same block, which takes what it gives. The operations of
the branches that are marked `early` run as soon as the operands of `flow.speculate` are there; the `flow.if`
keeps those of the branch that is taken and gives up the others. What they mean does not change: without the
speculation the same operations run once the branch is entered.
"""

from collections.abc import Sequence

from xdsl.ir import Operation, Region, SSAValue
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, result_def, traits_def, var_operand_def
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.flow.attributes import EffectsAttr, JsonAttr
from flowc.dialects.flow.control import IfOp
from flowc.dialects.flow.effects import DeclaredEffects
from flowc.dialects.flow.types import StartedType

EARLY = "early"
"""The attribute of operations of a branch that may start before the condition is known."""


@irdl_op_definition
class SpeculateOp(IRDLOperation):
    """Starts what is `early` in the branches of a `flow.if`. `effects` are its effects, none of them a write.

    `others` has a number for each budget around it: how many calls of models, beside those of the branches,
    draw on the budget. A call starts early only once each of them holds or has spent its share.
    """

    name = "flow.speculate"
    effects = prop_def(EffectsAttr)
    others = prop_def(JsonAttr)
    needs = var_operand_def()
    result = result_def(StartedType)
    traits = traits_def(DeclaredEffects())
    assembly_format = (
        "$others `(` $needs `)` `effects` `` $effects attr-dict `:` functional-type($needs, $result)"
    )

    def __init__(self, needs: Sequence[SSAValue], effects: EffectsAttr, others: Sequence[int] = ()) -> None:
        super().__init__(
            operands=[needs],
            properties={"effects": effects, "others": JsonAttr.of(list(others))},
            result_types=[StartedType()],
        )

    def verify_(self) -> None:
        """One `flow.if` of the same block reads the result; nothing that starts early writes or asks."""
        users = [use.operation for use in self.result.uses]
        if len(users) != 1 or not isinstance(users[0], IfOp) or users[0].parent is not self.parent:
            raise VerifyException("the result of flow.speculate belongs to one flow.if of its block")
        if any(item.kind in ("writes", "human", "sleep") for item in self.effects.data):
            raise VerifyException("flow.speculate must neither write nor ask a person, nor sleep")


def early_in(region: Region) -> tuple[Operation, ...]:
    """The operations of a branch that may start early."""
    return tuple(op for op in region.block.ops if EARLY in op.attributes)
