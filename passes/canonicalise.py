"""canonicalise: brings operations into their simplest form.

Branches on constants, reading back what was just packed, conversions there and back, loops that carry what
they never change, branches so cheap that choosing between two ready values is simpler.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.flow import compute, control
from flowc.dialects.flow.declarations import RecordDeclOp
from flowc.dialects.flow.effects import Effects
from flowc.dialects.flow.types import IntType, OptionalType
from flowc.passes.absence import Place, may_be_absent
from flowc.passes.facts import is_dispatched, is_terminator, is_total
from flowc.passes.framework import (
    FlowPass,
    Report,
    Rules,
    inline_block,
    place_before,
    rewrite,
)

CHEAP = 4
"""A branch of at most this many operations, none of which fails or does anything, is computed beforehand."""

HOLDING = (
    compute.ListOp,
    compute.TupleOp,
    compute.RecordOp,
    compute.DictOp,
    compute.SelectOp,
    compute.Relabelling,
)
"""What takes any values, absent ones too: it looks at none of them."""

Values = Sequence[SSAValue] | None


def canonicalise(module: ModuleOp) -> int:
    """Simplifies until nothing more can be; gives the number of simplifications."""
    present: set[Place] = set()
    cheap = partial(_if_cheap, present=present)
    return rewrite(module, {**RULES, control.IfOp: (_if_constant, _if_unused, cheap)})


def constant_of(value: SSAValue) -> object:
    """The value of a constant; the value itself, which equals no constant, where it is none."""
    return value.owner.value.value if isinstance(value.owner, compute.ConstantOp) else value


def _if_constant(op: Operation) -> Values:
    """A branch whose condition is known is its region."""
    if not isinstance(op, control.IfOp):
        return None
    condition = constant_of(op.condition)
    if not isinstance(condition, bool):
        return None
    return inline_block(op, (op.then_region if condition else op.else_region).block, ())


def _if_cheap(op: Operation, present: set[Place]) -> Values:
    """Two cheap regions are computed, and one of their values is chosen."""
    if not isinstance(op, control.IfOp):
        return None
    effects = Effects()
    blocks = [region.block for region in op.regions]
    if not all(_is_cheap(block, effects, present) for block in blocks):
        return None
    first, second = (inline_block(op, block, ()) for block in blocks)
    return [_chosen(op, a, b) for a, b in zip(first, second, strict=True)]


def _is_cheap(block: Block, effects: Effects, present: set[Place]) -> bool:
    operations = [op for op in block.ops if not is_terminator(op)]
    if len(operations) > CHEAP:
        return False
    if any(op.regions or is_dispatched(op) or not is_total(op, effects) for op in operations):
        return False
    looking = (op for op in operations if not isinstance(op, HOLDING))
    return not any(may_be_absent(value, present) for op in looking for value in op.operands)


def _chosen(op: control.IfOp, first: SSAValue, second: SSAValue) -> SSAValue:
    if first == second or isinstance(second.owner, compute.AbsentOp):
        return first
    if isinstance(first.owner, compute.AbsentOp):
        return second
    if _says_condition(op.condition, first, second):
        return op.condition
    return place_before(op, compute.SelectOp(op.condition, first, second)).result


def _says_condition(condition: SSAValue, first: SSAValue, second: SSAValue) -> bool:
    """Whether a choice is its condition: true where that holds, else false, and no more than a bool."""
    return constant_of(first) is True and constant_of(second) is False and first.type == condition.type


def _if_unused(op: Operation) -> Values:
    """Results that nobody reads, or that are the same value on both sides, are not yielded."""
    if not isinstance(op, control.IfOp) or not op.res:
        return None
    then, otherwise = (control.yielded(region) for region in op.regions)
    keep = [
        k
        for k, result in enumerate(op.res)
        if result.first_use is not None and not _same_outside(op, then[k], otherwise[k])
    ]
    if len(keep) == len(op.res):
        return None
    _yield_only(op, keep)
    regions = [op.detach_region(0), op.detach_region(0)]
    new = control.IfOp(op.condition, [op.res[k].type for k in keep], regions[0], regions[1])
    _replace_op(op, new)
    results: list[SSAValue] = list(then)
    for position, k in enumerate(keep):
        results[k] = new.res[position]
    return [_visible(op, result) for result in results]


def _same_outside(op: Operation, first: SSAValue, second: SSAValue) -> bool:
    return first == second and not _is_inside(op, first)


def _is_inside(op: Operation, value: SSAValue) -> bool:
    owner = value.owner
    block = owner if isinstance(owner, Block) else owner.parent_block()
    while block is not None:
        parent = block.parent_op()
        if parent is op:
            return True
        block = parent.parent_block() if parent is not None else None
    return False


def _visible(op: Operation, value: SSAValue) -> SSAValue:
    """A value that may stand for an unused result: itself if it is visible here, else nothing at all."""
    owner = value.owner
    block = owner if isinstance(owner, Block) else owner.parent_block()
    here: Block | None = op.parent_block()
    while here is not None:
        if here is block:
            return value
        parent = here.parent_op()
        here = parent.parent_block() if parent is not None else None
    return place_before(op, compute.AbsentOp(value.type)).result


def _yield_only(op: Operation, keep: Sequence[int]) -> None:
    for region in op.regions:
        last = region.block.last_op
        if last is not None:
            last.operands = [last.operands[k] for k in keep]


def _replace_op(op: Operation, new: Operation) -> None:
    new.attributes = dict(op.attributes)
    place_before(op, new)


def _for_invariant(op: Operation) -> Values:
    """A carried value that every round hands on unchanged is not carried."""
    if not isinstance(op, control.ForOp | control.WhileOp):
        return None
    yields = control.yielded(op.body)
    arguments = op.body.block.args[len(op.body.block.args) - len(op.carried) :]
    constant = [k for k in range(len(op.carried)) if yields[k + 1] == arguments[k]]
    if not constant:
        return None
    return _without_carried(op, constant)


def _without_carried(op: control.ForOp | control.WhileOp, gone: Sequence[int]) -> list[SSAValue]:
    initial = list(op.carried)
    keep = [k for k in range(len(initial)) if k not in gone]
    for region in op.regions:
        shift = len(region.block.args) - len(initial)
        for k in reversed(gone):
            argument = region.block.args[k + shift]
            argument.replace_all_uses_with(initial[k])
            region.block.erase_arg(argument)
    last = op.body.block.last_op
    if last is not None:
        last.operands = [last.operands[0], *(last.operands[k + 1] for k in keep)]
    carried = [initial[k] for k in keep]
    regions = [op.detach_region(0) for _ in range(len(op.regions))]
    new: control.ForOp | control.WhileOp
    if isinstance(op, control.ForOp):
        new = control.ForOp(op.iterable, carried, regions[0])
    else:
        new = control.WhileOp(op.bound, carried, regions[0], regions[1])
    _replace_op(op, new)
    results = list(initial)
    for position, k in enumerate(keep):
        results[k] = new.res[position]
    return results


def _select(op: Operation) -> Values:
    if not isinstance(op, compute.SelectOp):
        return None
    condition = constant_of(op.condition)
    if isinstance(condition, bool):
        return [op.first if condition else op.second]
    if op.first == op.second:
        return [op.first]
    if _says_condition(op.condition, op.first, op.second):
        return [op.condition]
    return None


def _not(op: Operation) -> Values:
    if not isinstance(op, compute.ApplyOp) or op.function.data != "not":
        return None
    inner = op.arguments[0].owner
    if isinstance(inner, compute.ApplyOp) and inner.function.data == "not":
        return [inner.arguments[0]]
    return None


def _item(op: Operation) -> Values:
    """What was packed is read back."""
    match op:
        case compute.ItemOp() if isinstance(op.source.owner, compute.TupleOp):
            return [op.source.owner.items[op.index.value.data]]
        case compute.ApplyOp() if op.function.data == "get_item" and len(op.arguments) == 2:
            source, position = op.arguments[0].owner, constant_of(op.arguments[1])
            if isinstance(source, compute.ListOp) and isinstance(position, int):
                count = len(source.items)
                if -count <= position < count and source.items[position].type == op.result.type:
                    return [source.items[position]]
    return None


def _field(op: Operation) -> Values:
    """The field of a record that was just made."""
    if not isinstance(op, compute.FieldOp) or not isinstance(op.source.owner, compute.RecordOp):
        return None
    record = op.source.owner
    top: Operation = op
    while (parent := top.parent_op()) is not None:
        top = parent
    for each in top.regions[0].block.ops:
        if isinstance(each, RecordDeclOp) and each.sym_name == record.result.type.record:
            names = [name.data for name in each.fields]
            value = record.values[names.index(op.field.data)]
            return [value] if value.type == op.result.type else None
    return None


def _length(op: Operation) -> Values:
    """The length of a list that was just made, or of what a map makes from a list."""
    if not isinstance(op, compute.ApplyOp) or op.function.data != "len":
        return None
    source = op.arguments[0].owner
    if isinstance(source, compute.ListOp):
        return [place_before(op, compute.ConstantOp(len(source.items), IntType())).result]
    if isinstance(source, control.MapOp) and source.filtered is None:
        return [place_before(op, compute.ApplyOp("len", [source.inputs[0]], op.result.type)).result]
    return None


def _cast(op: Operation) -> Values:
    """No conversion where there is none, and none there and back."""
    if not isinstance(op, compute.CastOp):
        return None
    if op.source.type == op.result.type:
        return [op.source]
    inner = op.source.owner
    if isinstance(inner, compute.CastOp) and inner.source.type == op.result.type:
        middle = inner.result.type
        if isinstance(middle, OptionalType) and middle.inner == op.result.type:
            return [inner.source]
    return None


def _attempt(op: Operation) -> Values:
    """What cannot fail needs no second way. A call can fail, a pure tool's too."""
    if not isinstance(op, control.AttemptOp):
        return None
    effects = Effects()
    if all(
        is_terminator(inner) or (is_total(inner, effects) and not is_dispatched(inner))
        for inner in op.body.block.ops
    ):
        return inline_block(op, op.body.block, ())
    return None


RULES: Rules = {
    control.ForOp: (_for_invariant,),
    control.WhileOp: (_for_invariant,),
    control.AttemptOp: (_attempt,),
    compute.SelectOp: (_select,),
    compute.FieldOp: (_field,),
    compute.ItemOp: (_item,),
    compute.ApplyOp: (_not, _item, _length),
    compute.CastOp: (_cast,),
}


@dataclass(frozen=True)
class CanonicalisePass(FlowPass):
    """Brings operations into their simplest form."""

    name = "canonicalise"

    def run(self, module: ModuleOp) -> Report:
        """Runs `canonicalise`."""
        return Report(canonicalise(module))
