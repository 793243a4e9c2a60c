"""What a program reads of a record: the fields, and whether the record goes anywhere as a whole.

A record is followed through lists that maps make of it, through the elements taken out of them again, and
through blocks under limits and transactions. Anything else that takes it whole lets it escape.
"""

from attrs import define, field
from xdsl.ir import Operation, SSAValue

from flowc.dialects.flow import compute, control


@define
class Reading:
    """The fields read of a value, the values that hold it, and the operation through which it escapes."""

    fields: set[str] = field(factory=set)
    values: list[SSAValue] = field(factory=list)
    escape: Operation | None = None


def reading_of(value: SSAValue) -> Reading:
    """Follows a record from where it is made."""
    reading = Reading()
    pending = [value]
    while pending:
        at = pending.pop()
        if at in reading.values:
            continue
        reading.values.append(at)
        for use in at.uses:
            user = use.operation
            if isinstance(user, compute.FieldOp):
                reading.fields.add(user.field.data)
                continue
            further = _further(user, use.index)
            if further is None:
                reading.escape = reading.escape or user
            else:
                pending += further
    return reading


def _further(user: Operation, index: int) -> list[SSAValue] | None:
    """The values through which a record that is operand `index` goes on; None where it escapes."""
    match user:
        case control.YieldOp():
            return _yielded(user, index)
        case control.ElementwiseOp():
            return [user.body.block.args[index]]
        case control.ForOp() if index == 0:
            return [user.body.block.args[0]]
        case compute.ApplyOp() if user.function.data == "len":
            return []
        case compute.ApplyOp() if user.function.data in ("get_item", "reversed") and index == 0:
            return [user.result]
        case compute.Relabelling():
            return [user.result]
    return None


def _yielded(user: control.YieldOp, index: int) -> list[SSAValue] | None:
    outer = user.parent_op()
    match outer:
        case control.ElementwiseOp() if index == len(user.operands) - 1:
            return [outer.result]
        case control.LimitOp() | control.TransactionOp():
            return [outer.res[index]]
        case control.IfOp():
            branches = [control.yielded(region)[index] for region in (outer.then_region, outer.else_region)]
            absent = [value for value in branches if isinstance(value.owner, compute.AbsentOp)]
            if len(absent) == 1 and absent[0].has_one_use():
                return [*absent, outer.res[index]]
    return None
