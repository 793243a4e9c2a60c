"""Which values may be absent: a branch that was split hands on values that are there on one side alone.

What is computed from such a value must stay on that side, even where it cannot fail.
"""

from xdsl.ir import Block, Operation, OpResult, SSAValue

from flowc.dialects.flow import compute, control

Path = tuple[int, ...]
"""Where in a value: the members of tuples, from the outermost; `EACH` stands for any element of a list."""

Place = tuple[SSAValue, Path]

EACH = -1


def may_be_absent(value: SSAValue, present: set[Place]) -> bool:
    """Whether a value may be one that `flow.absent` stands for, through branches, loops and maps.

    `present` holds what is known to be there, and takes in what this search finds to be.
    """
    pending: list[Place] = [(value, ())]
    seen = set(pending)
    while pending:
        at, path = pending.pop()
        if isinstance(at.owner, compute.AbsentOp):
            return True
        for further in _origins(at, path):
            if further not in seen and further not in present:
                seen.add(further)
                pending.append(further)
    present |= seen
    return False


def _origins(value: SSAValue, path: Path) -> list[Place]:
    """The values, and the places in them, that this place of a value may come from."""
    if not isinstance(value, OpResult):
        return _of_argument(value, value.owner, path) if isinstance(value.owner, Block) else []
    owner, position = value.owner, value.index
    match owner:
        case control.IfOp() | control.AttemptOp():
            return [(control.yielded(region)[position], path) for region in owner.regions]
        case control.ForOp() | control.WhileOp():
            return [(owner.carried[position], path), (control.yielded(owner.body)[position + 1], path)]
        case control.LimitOp() | control.TransactionOp():
            return [(control.yielded(owner.body)[position], path)]
        case control.ElementwiseOp() if path[1:] or (path and owner.filtered is None):  # else it was kept
            return [(control.yielded(owner.body)[-1], path[1:])]
        case compute.ItemOp():
            return [(owner.source, (owner.index.value.data, *path))]
        case compute.TupleOp() if path:
            return [(owner.items[path[0]], path[1:])]
        case compute.SelectOp():
            return [(owner.first, path), (owner.second, path)]
    return []


def _of_argument(value: SSAValue, block: Block, path: Path) -> list[Place]:
    """The same for what a loop or a map takes into its body."""
    outer: Operation | None = block.parent_op()
    position = block.args.index(value)
    match outer:
        case control.ForOp() if position == 0:
            return [(outer.iterable, (EACH, *path))]
        case control.ForOp() | control.WhileOp():
            carried = position - isinstance(outer, control.ForOp)
            return [(outer.carried[carried], path), (control.yielded(outer.body)[carried + 1], path)]
        case control.ElementwiseOp():
            return [(outer.inputs[position], (EACH, *path))]
    return []
