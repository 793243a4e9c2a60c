"""Conditions that a program states itself, beyond those that its operators have."""

from xdsl.dialects.builtin import StringAttr, i1
from xdsl.ir import SSAValue
from xdsl.irdl import IRDLOperation, irdl_op_definition, operand_def, prop_def, traits_def
from xdsl.traits import MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

REASONS = ("decomposition", "assertion", "extents", "position", "extent", "share", "nothing", "power")
"""What it can mean that a condition does not hold: a matrix is singular or not positive definite, the program
says so itself, two extents differ, a position lies outside, an extent is negative, a share is none of 0
to 1, there is nothing to reduce, or the exponent of a whole number is negative."""


@irdl_op_definition
class RequireOp(IRDLOperation):
    """Goes on only where a condition holds; elsewhere the kernel fails, for the reason named.

    It is said to write, so that no pass takes it for dead.
    """

    name = "array.require"
    condition = operand_def(i1)
    reason = prop_def(StringAttr)
    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$condition $reason attr-dict"

    def verify_(self) -> None:
        """Checks the reason."""
        if self.reason.data not in REASONS:
            raise VerifyException(f"`{self.reason.data}` is no reason for a kernel to fail")


def require(condition: SSAValue, reason: str) -> RequireOp:
    """Goes on only where `condition` holds."""
    return RequireOp.create(operands=[condition], properties={"reason": StringAttr(reason)})
