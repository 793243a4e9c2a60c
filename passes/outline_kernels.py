"""outline-kernels: moves connected array operators out of flows into kernels, and launches those.

A group may hold no value that some other op of the block needs before all of the group's operands exist, and
no path may leave a group and return to it. So each op gets a level: the number of times the data that reach
it have left the array operators. Connected operators of one level form a group, cut where program order
forbids one launch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.traits import SymbolOpInterface

from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp, LaunchOp, ReturnOp
from flowc.passes.facts import reads
from flowc.passes.framework import FlowPass, Report


def outline_kernels(module: ModuleOp) -> int:
    """Outlines the array operators of every block outside kernels; gives the number of new kernels.

    A new kernel is called after the flow that it is a part of: `main.0`, as nothing is that a person names.
    """
    outliner = _Outliner(module)
    for top in list(module.ops):
        if not isinstance(top, KernelOp):
            for block in _blocks(top):
                outliner.run(block, _symbol(top) or "module")
    return outliner.made


def _symbol(op: Operation) -> str | None:
    trait = op.get_trait(SymbolOpInterface)
    name = trait.get_sym_attr_name(op) if trait is not None else None
    return name.data if name is not None else None


def _blocks(op: Operation) -> list[Block]:
    return [block for inner in op.walk() for region in inner.regions for block in region.blocks]


NEVER = 1 << 60


class _Places:
    """The order of the ops of a block, kept while launches are put in between."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self.number = {op: number for number, op in enumerate(block.ops)}
        self._last = {number: op for op, number in self.number.items()}

    def of(self, value: SSAValue) -> int:
        """The place of the op of this block that makes a value, -1 for values from outside."""
        producer = _owner(value)
        return -1 if producer is None else self.number.get(producer, -1)

    def insert(self, op: Operation, place: int) -> None:
        """Puts an op right behind all that stand at a place."""
        last = self._last.get(place)
        Rewriter.insert_op(op, InsertPoint.at_start(self._block) if last is None else InsertPoint.after(last))
        self._last[place] = op
        self.number[op] = place


@define
class _Outliner:
    module: ModuleOp
    made: int = 0
    number: int = 0
    taken: set[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.taken = {name for op in self.module.ops if (name := _symbol(op)) is not None}

    def run(self, block: Block, flow: str) -> None:
        """Outlines the groups of one block of a flow."""
        candidates = [op for op in block.ops if _is_candidate(op)]
        if not candidates:
            return
        places = _Places(block)
        levels = _levels(block)
        for group in sorted(_groups(levels, candidates), key=lambda group: levels[group[0]]):
            for part in _cut(group, places, block):
                self._outline(part, places, block, flow)
        for op in reversed(candidates):
            if op.parent is not None and not any(result.uses for result in op.results):
                Rewriter.erase_op(op)
        for op in [op for op in block.ops if isinstance(op, ops.ConstantOp) and not op.result.uses]:
            Rewriter.erase_op(op)

    def _name(self, flow: str) -> str:
        while (name := f"{flow}.{self.number}") in self.taken:
            self.number += 1
        self.taken.add(name)
        self.number += 1
        return name

    def _outline(self, group: Sequence[Operation], places: "_Places", block: Block, flow: str) -> None:
        members = set(group)
        inputs = _inputs(group)
        outputs = [
            result
            for op in group
            for result in op.results
            if any(block.find_ancestor_op_in_block(use.operation) not in members for use in result.uses)
        ]
        if not outputs:
            return
        name = self._name(flow)
        self.made += 1
        kernel = KernelOp(name, ([value.type for value in inputs], [value.type for value in outputs]))
        kernel.location = group[0].location
        _fill(kernel, group, inputs, outputs)
        self.module.body.block.add_op(kernel)
        launch = LaunchOp(name, inputs, [value.type for value in outputs])
        launch.location = group[-1].location
        places.insert(launch, max(map(places.of, inputs), default=-1))
        for old, new in zip(outputs, launch.results, strict=True):
            new.name_hint = old.name_hint
            old.replace_uses_with_if(new, lambda use: use.operation is not launch)
        for op in reversed(group):
            Rewriter.erase_op(op)


def _is_candidate(op: Operation) -> bool:
    return isinstance(op, ops.ArrayOperation) and not isinstance(op, ops.ConstantOp)


def _owner(value: SSAValue) -> Operation | None:
    return value.owner if isinstance(value.owner, Operation) else None


def _groups(levels: dict[Operation, int], candidates: Sequence[Operation]) -> list[list[Operation]]:
    """Connected operators of one level, each group in program order."""
    leader: dict[Operation, Operation] = {op: op for op in candidates}

    def find(op: Operation) -> Operation:
        while leader[op] is not op:
            leader[op] = leader[leader[op]]
            op = leader[op]
        return op

    for op in candidates:
        for operand in op.operands:
            producer = _owner(operand)
            if producer in leader and levels[producer] == levels[op]:
                leader[find(op)] = find(producer)
    groups: dict[Operation, list[Operation]] = {}
    for op in candidates:
        groups.setdefault(find(op), []).append(op)
    return list(groups.values())


def _levels(block: Block) -> dict[Operation, int]:
    levels: dict[Operation, int] = {}
    for op in block.ops:
        level = 0
        for operand in reads(op):
            producer = _owner(operand)
            if producer is None or producer not in levels or isinstance(producer, ops.ConstantOp):
                continue
            crosses = _is_candidate(producer) and (not _is_candidate(op) or _sizes_result(op, operand))
            level = max(level, levels[producer] + crosses)
        levels[op] = level
    return levels


def _sizes_result(op: Operation, operand: SSAValue) -> bool:
    """Whether a computed operand sets an extent of the result: the caller must then know it before the
    launch."""
    if isinstance(operand.owner, ops.DimOp):
        return False
    match op:
        case ops.SliceOp():
            return operand in op.bounds
        case ops.TopKOp():
            return operand is op.count
        case ops.BroadcastOp():
            return operand in op.extents
        case ops.IotaOp():
            return True
    return False


def _cut(group: list[Operation], places: "_Places", block: Block) -> list[list[Operation]]:
    """Splits a group where an op outside needs a result before the last operand of the whole group exists."""
    members = set(group)
    parts: list[list[Operation]] = [[]]
    ready, needed = -1, NEVER
    for op in group:
        own = max(
            (places.of(operand) for operand in op.operands if _owner(operand) not in members), default=-1
        )
        if max(ready, own) >= needed:
            parts.append([])
            ready, needed = -1, NEVER
        parts[-1].append(op)
        ready, needed = max(ready, own), min(needed, _first_use(op, members, places, block))
    return parts


def _first_use(op: Operation, members: set[Operation], places: "_Places", block: Block) -> int:
    users = (block.find_ancestor_op_in_block(use.operation) for result in op.results for use in result.uses)
    outside = (user for user in users if user is not None and user not in members)
    return min((places.number.get(user, NEVER) for user in outside), default=NEVER)


def _inputs(group: Sequence[Operation]) -> list[SSAValue]:
    members = set(group)
    found = dict.fromkeys(operand for op in group for operand in op.operands)
    return [v for v in found if _owner(v) not in members and not isinstance(v.owner, ops.ConstantOp)]


def _fill(
    kernel: KernelOp, group: Sequence[Operation], inputs: Sequence[SSAValue], outputs: Sequence[SSAValue]
) -> None:
    body = kernel.body.block
    mapping: dict[SSAValue, SSAValue] = dict(zip(inputs, body.args, strict=True))
    for value, argument in zip(inputs, body.args, strict=True):
        argument.name_hint = value.name_hint
    for op in group:
        for operand in op.operands:
            if isinstance(operand.owner, ops.ConstantOp) and operand not in mapping:
                constant = operand.owner.clone()
                body.add_op(constant)
                mapping[operand] = constant.result
        body.add_op(op.clone(value_mapper=mapping))
    end = ReturnOp(*(mapping[value] for value in outputs))
    end.location = group[-1].location
    body.add_op(end)


@dataclass(frozen=True)
class OutlineKernelsPass(FlowPass):
    """Moves array operators of flows into kernels."""

    name = "outline-kernels"

    def run(self, module: ModuleOp) -> Report:
        """Runs `outline_kernels`."""
        return Report(outline_kernels(module))
