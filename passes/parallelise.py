"""parallelise: what neither data nor effects order, nothing orders.

Flows are marked, so that their operations wait for data and effects instead of for the line above. Maps
whose bodies commute with themselves get their width. Of a loop, the part of each round that needs nothing
of the rounds before becomes a map in front of it; where what remains only appends to lists, the loop is
gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from attrs import define, field
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, UnitAttr, i64
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.flow import compute, control
from flowc.dialects.flow.declarations import CallOp, FuncOp
from flowc.dialects.flow.effects import Effects, Summary, join
from flowc.dialects.flow.types import ListType
from flowc.passes.canonicalise import constant_of
from flowc.passes.facts import blocks_inside, is_dispatched
from flowc.passes.framework import (
    FlowPass,
    Remark,
    Report,
    block_of,
    line_of,
    place_before,
    replace_with,
    stamp,
)
from flowc.passes.inline import callees_first
from flowc.passes.order import GUARDED, is_guarded

PACKAGING = (compute.ConstantOp, compute.ListOp, compute.TupleOp, compute.RecordOp, compute.AbsentOp)
"""Operations that are cheaper done again than handed over."""

WIDTH = 64
"""How many elements of a map run at once."""


@dataclass(frozen=True)
class ParallelisePass(FlowPass):
    """Relaxes program order to the order of data and effects; `width` bounds each map."""

    name = "parallelise"
    width: int = WIDTH

    def run(self, module: ModuleOp) -> Report:
        """Runs `parallelise`."""
        return parallelise(module, self.width)


def parallelise(module: ModuleOp, width: int = WIDTH) -> Report:
    """Marks flows, widens maps and takes loops apart; says which loops stay as they are, and why."""
    state = _State(width)
    _mark_guarded(module)
    for function in module.ops:
        if isinstance(function, FuncOp):
            if "parallel" not in function.attributes:
                function.attributes["parallel"] = UnitAttr()
                state.fired += 1
            for block in blocks_inside(function):
                for op in list(block.ops):
                    if isinstance(op, control.ForOp):
                        _loop(op, state)
            _widen(function, state)
    return Report(state.fired, tuple(state.remarks))


def _mark_guarded(module: ModuleOp) -> None:
    """Marks the flows that are called, directly or through others, where a failure is no end."""
    functions = {op.sym_name.data: op for op in module.ops if isinstance(op, FuncOp)}
    calls = {
        name: [op for block in blocks_inside(function) for op in block.ops if isinstance(op, CallOp)]
        for name, function in functions.items()
    }
    for name in reversed(callees_first(calls)):
        for call in calls[name]:
            callee = functions.get(call.callee.root_reference.data)
            block = call.parent_block()
            if callee is not None and block is not None and is_guarded(block):
                callee.attributes[GUARDED] = UnitAttr()


@define
class _State:
    width: int
    fired: int = 0
    remarks: list[Remark] = field(factory=list)

    def remark(self, op: Operation, message: str) -> None:
        """Notes why a loop stays."""
        self.remarks.append(Remark("parallelise", line_of(op), message))


def _widen(function: FuncOp, state: _State) -> None:
    effects = Effects()
    for block in blocks_inside(function):
        for op in block.ops:
            if isinstance(op, control.MapOp) and op.width.value.data == 1:
                summary = effects.of_region(op.body)
                if summary.commutes_with_itself:
                    op.properties["width"] = IntegerAttr(state.width, i64)
                    state.fired += 1
                else:
                    state.remark(op, f"this comprehension runs in order: it {_doing(summary)}")


def _doing(summary: Summary) -> str:
    if summary.writes:
        return f"writes {', '.join(sorted(summary.writes))}"
    return "asks a person" if summary.human else "may do anything"


@define
class _Split:
    """The operations of a loop's body: those that need nothing of earlier rounds, and the others."""

    independent: list[Operation]
    dependent: list[Operation]


def _loop(op: control.ForOp, state: _State) -> None:
    """Moves the independent part of a loop into a map in front of it, where that is worth it and allowed."""
    block = op.body.block
    last = block.last_op
    if last is None:
        return
    split = _split(block)
    if not any(is_dispatched(inner) for inner in split.independent):
        return
    if constant_of(last.operands[0]) is not False:
        state.remark(op, "this loop runs in order: it may stop early, and later rounds must not start before")
        return
    effects = Effects()
    ahead = join(effects.of(inner) for inner in split.independent)
    behind = join(effects.of(inner) for inner in split.dependent)
    if not ahead.commutes_with_itself:
        state.remark(op, f"this loop runs in order: it {_doing(ahead)}")
        return
    if not behind.commutes_with_itself and is_guarded(op.body.block):
        state.remark(op, f"this loop runs in order: it {_doing(behind)}, and a failure in it is caught")
        return
    if ahead.reads & behind.writes or behind.unknown:
        what = ", ".join(sorted(ahead.reads & behind.writes)) or "something unknown"
        state.remark(op, f"this loop runs in order: it writes {what}, which the next round reads")
        return
    _take_apart(op, split, state)


def _split(block: Block) -> _Split:
    tainted: set[SSAValue] = set(block.args[1:])
    independent, dependent = [], []
    for op in block.ops:
        if op is block.last_op:
            break
        if any(value in tainted for value in _reads(op)):
            tainted.update(op.results)
            dependent.append(op)
        else:
            independent.append(op)
    return _near_their_readers(_Split(independent, dependent), block)


def _near_their_readers(split: _Split, block: Block) -> _Split:
    """Constants and packaging that only the later part reads belong to it: handing over costs more."""
    later = {*split.dependent, block.last_op}
    for op in reversed(split.independent):
        readers = {block.find_ancestor_op_in_block(use.operation) for r in op.results for use in r.uses}
        if isinstance(op, PACKAGING) and readers <= later:
            later.add(op)
    return _Split(
        [op for op in split.independent if op not in later],
        [op for op in block.ops if op in later and op is not block.last_op],
    )


def _reads(op: Operation) -> list[SSAValue]:
    """The values an operation reads, those inside its regions too."""
    if not op.regions:
        return list(op.operands)
    return [value for inner in op.walk() for value in inner.operands]


def _take_apart(op: control.ForOp, split: _Split, state: _State) -> None:
    """Puts a map before the loop, and a loop over what the map made in the loop's place."""
    wanted = _read_later(op.body.block, set(split.independent))
    fork = _map_of(op, split.independent, wanted, state.width)
    rest = _rest_of(op, split.dependent, wanted, fork.result)
    state.fired += 1
    results = _appended(rest, fork.result, state.width)
    if results is None:
        replace_with(op, list(rest.res))
    else:
        replace_with(op, results)
        block_of(rest).erase_op(rest)


def _read_later(block: Block, ahead: set[Operation]) -> list[SSAValue]:
    """Values of the independent part, the element among them, that the rest of the body reads."""
    found: dict[SSAValue, None] = {}
    for op in block.ops:
        if op not in ahead:
            found.update((v, None) for v in _reads(op) if v is block.args[0] or v.owner in ahead)
    return [value for value in found if not isinstance(value.owner, compute.ConstantOp)]


def _map_of(
    op: control.ForOp, operations: Sequence[Operation], wanted: Sequence[SSAValue], width: int
) -> control.MapOp:
    element = op.body.block.args[0]
    region = control.region_of([element.type])
    argument = region.block.args[0]
    argument.name_hint, argument.location = element.name_hint, element.location
    values: dict[SSAValue, SSAValue] = {element: argument}
    for each in operations:
        region.block.add_op(each.clone(values))
    handed = [values[value] for value in wanted]
    if len(handed) != 1:
        handed = [_add(region.block, compute.TupleOp(handed), op).results[0]]
    _add(region.block, control.YieldOp(*handed), op)
    fork = control.MapOp([op.iterable], handed[0].type, region, width=width)
    stamp(fork, op)
    block_of(op).insert_op_before(fork, op)
    return fork


def _rest_of(
    op: control.ForOp, operations: Sequence[Operation], wanted: Sequence[SSAValue], mapped: SSAValue
) -> control.ForOp:
    """The loop over the mapped list, with the dependent part of the body."""
    old = op.body.block
    element = mapped.type.element if isinstance(mapped.type, ListType) else mapped.type
    region = control.region_of([element, *(argument.type for argument in old.args[1:])])
    block = region.block
    values: dict[SSAValue, SSAValue] = dict(zip(old.args[1:], block.args[1:], strict=True))
    for before, after in values.items():
        after.name_hint = before.name_hint
    for position, value in enumerate(wanted):
        single = len(wanted) == 1
        item = (
            block.args[0] if single else _add(block, compute.ItemOp(block.args[0], position), op).results[0]
        )
        item.name_hint = value.name_hint
        values[value] = item
    shared = [op for op in old.ops if isinstance(op, compute.ConstantOp) and op not in operations]
    for each in (*shared, *operations, old.last_op):
        if each is not None:
            block.add_op(each.clone(values))
    rest = control.ForOp(mapped, list(op.carried), region)
    stamp(rest, op)
    block_of(op).insert_op_before(rest, op)
    return rest


def _add(block: Block, new: Operation, origin: Operation) -> Operation:
    stamp(new, origin)
    block.add_op(new)
    return new


def _appended(rest: control.ForOp, mapped: SSAValue, width: int) -> list[SSAValue] | None:
    """The results of a loop that only appends to lists, without the loop; None for any other loop."""
    block = rest.body.block
    yields = control.yielded(rest.body)
    added = [_added(block, k, yields[k + 1]) for k in range(len(rest.carried))]
    if any(value is None for value in added) or not _only_appends(block):
        return None
    results: list[SSAValue] = []
    for initial, value in zip(rest.carried, added, strict=True):
        if value is None:
            return None
        found = mapped if value is block.args[0] else _column(rest, mapped, value, width)
        if not (isinstance(initial.owner, compute.ListOp) and not initial.owner.items):
            join_ = compute.ApplyOp("add", [initial, found], initial.type)
            found = place_before(rest, join_).results[0]
        results.append(found)
    return results


def _added(block: Block, k: int, yielded: SSAValue) -> SSAValue | None:
    """The value that a round appends to the list carried as number `k`, if that is all it does to it."""
    carried = block.args[k + 1]
    op = yielded.owner
    if not isinstance(op, compute.ApplyOp) or len(op.arguments) != 2:
        return None
    if op.arguments[0] is not carried or not carried.has_one_use():
        return None
    if op.function.data == "append":
        return _element(block, op.arguments[1])
    made = op.arguments[1].owner
    if op.function.data in ("add", "concat") and isinstance(made, compute.ListOp) and len(made.items) == 1:
        return _element(block, made.items[0])
    return None


def _element(block: Block, value: SSAValue) -> SSAValue | None:
    """The value if it is what the map made, or an item of it."""
    packed = isinstance(value.owner, compute.ItemOp) and value.owner.source is block.args[0]
    return value if value is block.args[0] or packed else None


def _only_appends(block: Block) -> bool:
    allowed = {"add", "append", "concat"}
    return (
        all(
            isinstance(op, compute.ItemOp | compute.ListOp | compute.ConstantOp | control.YieldOp)
            or (isinstance(op, compute.ApplyOp) and op.function.data in allowed)
            for op in block.ops
        )
        and sum(isinstance(op, compute.ApplyOp) for op in block.ops) == len(block.args) - 1
    )


def _column(rest: control.ForOp, mapped: SSAValue, item: SSAValue, width: int) -> SSAValue:
    """One item of each tuple of a list, as a list."""
    owner = item.owner
    if not isinstance(owner, compute.ItemOp) or not isinstance(mapped.type, ListType):
        raise ValueError("a column is an item of each round")
    region = control.region_of([mapped.type.element])
    taken = _add(region.block, compute.ItemOp(region.block.args[0], owner.index.value.data), rest)
    _add(region.block, control.YieldOp(taken.results[0]), rest)
    return place_before(rest, control.MapOp([mapped], item.type, region, width=width)).results[0]
