"""Lowering straight-line code: operators in order, each into the place that wants its value, a temporary or
nothing."""

from collections.abc import Callable, Mapping, Sequence, Set

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import irregular, ops, products
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops.attention import lower_attention
from flowc.passes.array_to_loops.builder import Index, Range, whole
from flowc.passes.array_to_loops.checks import Checks
from flowc.passes.array_to_loops.conditions import check
from flowc.passes.array_to_loops.contract import lower_contract, lower_with_epilogue
from flowc.passes.array_to_loops.convolution import lower_convolution
from flowc.passes.array_to_loops.elements import Lowering, Place
from flowc.passes.array_to_loops.groups import Group, group_stages
from flowc.passes.array_to_loops.irregular import is_irregular, lower_irregular
from flowc.passes.array_to_loops.overlap import scatters_in_place
from flowc.passes.array_to_loops.products import shared_of, with_products_apart
from flowc.passes.array_to_loops.selection import lower_topk
from flowc.passes.array_to_loops.stages import Stage, reads_of, stage_of
from flowc.passes.array_to_loops.tiles import lower_either, lower_group
from flowc.passes.array_to_loops.ways import Ways, ways_of
from flowc.passes.array_walks import is_lazy

COPIED, COPY_PICOSECONDS = 1 << 16, 100
"""Elements that a thread copies before it gets more, and what one takes."""


def lower_segment(
    s: Lowering, checks: Checks, operations: Sequence[Operation], destinations: Mapping[SSAValue, Place]
) -> None:
    """Lowers pure operators that follow one another without control flow between them.

    A value in `destinations` is stored there, and is read from there afterwards; any other is in a register,
    in a temporary, or recomputed where it is used.
    """
    waiting: list[Stage] = []
    for op in operations:
        s.b.location = s.top.location = op.location
        if waiting and (awaited := _awaited(s, op, waiting)):
            _lower_stages(s, checks, waiting, destinations, awaited)
            waiting = []
            s.b.location = s.top.location = op.location
        check(s, checks, op)
        if is_stage(op, destinations):
            waiting.append(ways_of(s).stage(op))
    _lower_stages(s, checks, waiting, destinations)


def is_stage(op: Operation, destinations: Mapping[SSAValue, Place]) -> bool:
    """Whether the operator's value is computed where the operator stands, not where it is used."""
    if isinstance(op, ops.ConstantOp | ops.DimOp) or not op.results:
        return False
    if ops.is_view(op):
        scalar = isinstance(op, ops.IndexOp) and not shape_of(op.result.type)
        return scalar or op.results[0] in destinations
    return "inline" not in op.properties or op.results[0] in destinations


def _awaited(s: Lowering, op: Operation, waiting: Sequence[Stage]) -> set[SSAValue]:
    """The values, still to be computed, on which positions or extents of an operator depend."""
    match op:
        case ops.GatherOp() | irregular.TakeAlongOp():
            needed = [op.indices]
        case ops.SliceOp():
            needed = list(op.bounds)
        case ops.BroadcastOp():
            needed = list(op.extents)
        case _ if is_irregular(op):
            needed = list(op.operands)
        case ops.ArrayOperation():
            needed = [op.operands[position] for position in op.INTEGER_OPERANDS]
        case _:
            needed = list(op.operands)
    if not needed:
        return set()
    members = {value for stage in waiting for value in stage.op.results}
    return {value for value, _ in reads_of(s, [(operand, None) for operand in needed], members)} & members


def _lower_stages(
    s: Lowering,
    checks: Checks,
    stages: Sequence[Stage],
    destinations: Mapping[SSAValue, Place],
    awaited: Set[SSAValue] = frozenset(),
) -> None:
    """Computes the stages; those in `awaited` are wanted even if nothing reads what they were awaited for."""
    s.scattered = {value for value, place in destinations.items() if not place.dense}
    s.number_places = {value: place for value, place in destinations.items() if not shape_of(value.type)}
    live = ways_of(s).ready(s, _live(stages, {*destinations, *awaited}))
    computed = {stage.op for stage in live}
    for group in group_stages(s, live):
        inside = {stage.op for stage in group.stages}
        s.groups.append(tuple(stage.op for stage in group.stages))
        s.b.location = s.top.location = group.stages[0].op.location
        if group.stages[0].space is None:
            _lower_alone(s, checks, group.stages[0], destinations)
            continue
        places: dict[SSAValue, Place] = {
            value: _place(s, value, destinations)
            for stage in group.stages
            for value in stage.op.results
            if shape_of(value.type)
            and (value in destinations or value in awaited or _used_outside(value, inside, computed))
        }
        ways_of(s).together(s, checks, group, places)
    for stage in stages:
        for value in stage.op.results:
            if value in destinations and not shape_of(value.type):  # a number stays where it is too
                ways_of(s).number(s, value, destinations[value])


def lower_together(s: Lowering, checks: Checks, group: Group, places: Mapping[SSAValue, Place]) -> None:
    """A group, or its stages with a product on its own, where it turns out that the product gains nothing."""
    shared = shared_of(s, group)
    if shared is None:
        lower_group(s, group, places)
        return

    def alone() -> None:
        _lower_stages(s, checks, shared.alone, places)

    lower_either(s, group, places, shared.pays, lambda: lower_group(s, shared.group, places), alone)


def _live(stages: Sequence[Stage], wanted: Set[SSAValue]) -> list[Stage]:
    """The stages whose values are wanted or read, were it only by another of them."""
    computed, dead = {stage.op for stage in stages}, set[Operation]()
    for stage in reversed(stages):
        if not any(value in wanted or _used_outside(value, dead, computed) for value in stage.op.results):
            dead.add(stage.op)
    return [stage for stage in stages if stage.op not in dead]


def _used_outside(value: SSAValue, inside: Set[Operation], computed: Set[Operation]) -> bool:
    """Whether something other than the operators `inside` reads a value, or recomputes from it."""
    pending, seen = [value], set()
    while pending:
        for use in pending.pop().uses:
            user = use.operation
            if user in inside or user in seen or isinstance(user, ops.DimOp):
                continue
            if user in computed or not is_lazy(user):
                return True
            seen.add(user)
            pending += user.results
    return False


def _lower_alone(s: Lowering, checks: Checks, stage: Stage, destinations: Mapping[SSAValue, Place]) -> None:
    """An operator with a form of its own, which computes the whole of its results."""
    op = stage.op
    if stage.product is not None:
        place = _place(s, stage.result, destinations)
        ways_of(s).finished_product(s, stage.product, op, place)
        s.settle(stage.result, place)
        return
    if isinstance(op, irregular.ScatterOp) and scatters_in_place(op):
        places: list[SSAValue | None] = [s.buffers[op.base]]
    else:
        places = [_buffer(s, value, destinations) for value in op.results]
    ways_of(s).alone(s, checks, op, places)
    for value, buffer in zip(op.results, places, strict=True):
        if buffer is not None:
            s.settle(value, Place(buffer))
            if value in destinations and not destinations[value].whole:
                copy(s, value, destinations[value])


def lower_alone(s: Lowering, checks: Checks, op: Operation, places: Sequence[SSAValue | None]) -> None:
    """Computes the whole of an operator's results into the memory given for each; a number has none."""
    first = places[0]
    match op:
        case ops.ContractOp():
            lower_contract(s, op, first)
        case _ if first is not None and is_irregular(op):
            lower_irregular(s, checks, op, first)
        case products.AttentionOp() if first is not None:
            lower_attention(s, op, first)
        case products.ConvolveOp() if first is not None:
            lower_convolution(s, op, first)
        case ops.TopKOp() if first is not None and places[1] is not None:
            lower_topk(s, op, first, places[1])
        case _:
            raise ValueError(f"{op.name} has no loops")


def _place(s: Lowering, value: SSAValue, destinations: Mapping[SSAValue, Place]) -> Place:
    """Where the whole of a value goes: where it is wanted, or a temporary in the form values are held in."""
    if value in destinations:
        return destinations[value]
    return s.temporary(value)


def _buffer(s: Lowering, value: SSAValue, destinations: Mapping[SSAValue, Place]) -> SSAValue | None:
    """Memory that holds an array and nothing else; None for a number."""
    if not shape_of(value.type):
        return None
    if value in destinations and destinations[value].whole:
        return destinations[value].buffer
    return s.temporary(value).buffer


def copy(s: Lowering, value: SSAValue, place: Place) -> None:
    """Stores all elements of a value."""
    ways_of(s).sweep(s, s.sizes(value), lambda at: s.store(s.element(value, at), place, at))


def sweep(s: Lowering, sizes: Sequence[Index], body: Callable[[tuple[Index, ...]], None]) -> None:
    """Runs `body` at all positions; outside of the kernel's own loops, threads share the work."""
    if s.nested or not sizes:
        s.b.nest(sizes, body)
        return
    each = s.b.product(sizes[1:])
    work = s.b.quotient(s.b.mul(s.b.mul(sizes[0], each), COPY_PICOSECONDS), 1000)
    s.b.parallel(
        sizes[0],
        s.b.ceiling(COPIED, s.b.max(each, 1)),
        work,
        lambda low, high: s.b.sweep([Range(low, high), *map(whole, sizes[1:])], body),
    )


def store_number(s: Lowering, value: SSAValue, place: Place) -> None:
    """Stores a number that is in a register."""
    s.store(s.registers[value], place, ())


PROCESSOR = Ways(
    stage_of,
    with_products_apart,
    lower_together,
    lower_alone,
    lower_with_epilogue,
    sweep,
    store_number,
)
"""How code for the threads of a processor is made."""
