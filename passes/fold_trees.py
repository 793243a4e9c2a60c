"""A chain of calls of something `@associative` becomes a balanced tree of them.

`for x in xs: acc = merge(acc, x)` waits for each call before it begins the next. Where `merge` is declared
`@associative`, the loop only gathers what it would merge, its initial value first, and rounds behind it merge
neighbours, all pairs of a round side by side: as many calls, and about log2 of them one after the other. The
order of operands is kept, for an associative operation need not commute.
"""

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.agent.calls import GenerateOp, PromptOp, ToolCallOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow import compute, control
from flowc.dialects.flow.declarations import CallOp
from flowc.dialects.flow.effects import Effects
from flowc.dialects.flow.types import IntType, ListType
from flowc.passes.facts import callee_of, flows_of, reads
from flowc.passes.framework import place_before, place_last, replace_with
from flowc.passes.order import is_guarded

ASSOCIATIVE = "associative"
"""The setting of operations, and the attribute of flows, of which calls may be grouped in any way."""

ROUNDS = 64
"""More rounds than any list has neighbours to merge."""

Call = ToolCallOp | GenerateOp | CallOp


@frozen
class Chain:
    """A call of each round that takes what the round before gave: `call(carried, item)`, or the other way.

    `place` is the carried value's number; `preparing` are the operations that fill the prompt.
    """

    call: Call
    place: int
    item: SSAValue
    carried_first: bool
    preparing: tuple[Operation, ...]

    @property
    def name(self) -> str:
        """The operation's, or the flow's."""
        return callee_of(self.call)


def associative_names(module: ModuleOp) -> set[str]:
    """The operations and flows of which the program says that they are associative."""
    names = {
        op.sym_name.data
        for op in module.ops
        if isinstance(op, DeclarationOp) and op.setting.get(ASSOCIATIVE) is True
    }
    flows = {name for name, function in flows_of(module).items() if ASSOCIATIVE in function.attributes}
    return names | flows


def chains_of(op: control.ForOp) -> list[Chain]:
    """The chains of calls that the carried values of a loop go through, whatever their licence."""
    yields = control.yielded(op.body)
    found = (_chain(op.body.block, place, value) for place, value in enumerate(yields[1:]))
    return [chain for chain in found if chain is not None]


def _chain(block: Block, place: int, value: SSAValue) -> Chain | None:
    carried, call, last = block.args[place + 1], value.owner, block.last_op
    if not isinstance(call, Call) or call.parent_block() is not block or len(call.arguments) != 2:
        return None
    if any(argument.type != value.type for argument in call.arguments) or carried not in call.arguments:
        return None
    carried_first = call.arguments[0] is carried
    item = call.arguments[1 if carried_first else 0]
    preparing = _preparing(block, call.prompt, (carried, item)) if isinstance(call, GenerateOp) else ()
    if preparing is None or item is carried or last is None or carried in last.operands:
        return None
    own = {call, *preparing}
    waiting = {carried}
    for op in block.ops:
        if op is not last and any(read in waiting for read in reads(op)):
            if op not in own:
                return None
            waiting.update(op.results)
    if item in waiting or [read for read in last.operands if read in waiting] != [value]:
        return None
    return Chain(call, place, item, carried_first, preparing)


def _preparing(block: Block, prompt: SSAValue, arguments: Sequence[SSAValue]) -> tuple[Operation, ...] | None:
    """What fills a prompt from the arguments alone, in order; None where anything else goes into it."""
    found: set[Operation] = set()
    pending = [prompt]
    while pending:
        value = pending.pop()
        op = value.owner
        if value in arguments or op in found:
            continue
        if not isinstance(op, PURE):
            return None
        found.add(op)
        pending += op.operands
    return tuple(op for op in block.ops if op in found) if _all_in(block, found) else None


def _all_in(block: Block, found: Iterable[Operation]) -> bool:
    return all(op.parent_block() is block or isinstance(op, compute.ConstantOp) for op in found)


PURE = (PromptOp, compute.ConstantOp, compute.ApplyOp, compute.FieldOp, compute.ItemOp, compute.CastOp)
"""What may stand between the arguments of a call and its prompt."""


def against(op: control.ForOp, chain: Chain, effects: Effects) -> str:
    """Why a chain stays one, whatever is declared; empty where it may become a tree."""
    call, loop = effects.of(chain.call), effects.of(op)
    if not call.commutes_with_itself:
        return f"`{chain.name}` writes, asks a person or sleeps, and that keeps its order"
    if loop.unknown or loop.keeps_in_place(call):
        return "time goes by in each round" if loop.sleep else f"`{chain.name}` reads what the loop writes"
    if not loop.commutes_with_itself and is_guarded(op.body.block):
        return "the loop writes, and a failure in it is caught"
    return ""


def fold(op: control.ForOp, chain: Chain, width: int) -> control.ForOp:
    """Replaces a loop by one that gathers what the chain would have merged, and a tree behind it."""
    merged = chain.call.result.type
    first = place_before(op, compute.ListOp([op.carried[chain.place]], ListType(merged)))
    gathering = _gathering(op, chain, first.result)
    place_before(op, gathering)
    leaves = gathering.res[chain.place]
    if not chain.carried_first:
        leaves = place_before(op, compute.ApplyOp("reversed", [leaves], leaves.type)).result
    results: list[SSAValue] = list(gathering.res)
    results[chain.place] = _tree(op, chain, leaves, width)
    replace_with(op, results)
    return gathering


def _gathering(op: control.ForOp, chain: Chain, first: SSAValue) -> control.ForOp:
    """The loop with a list in the place of the carried value, and an append in the place of the call."""
    old = op.body.block
    carried = list(op.carried)
    carried[chain.place] = first
    region = control.region_of([old.args[0].type, *(value.type for value in carried)])
    block = region.block
    values: dict[SSAValue, SSAValue] = dict(zip(old.args, block.args, strict=True))
    for before, after in values.items():
        after.name_hint = before.name_hint
    skipped = _only_for(chain)
    *body, last = old.ops
    for each in body:
        if each not in skipped:
            block.add_op(each.clone(values))
    gathered = block.args[chain.place + 1]
    appended = place_last(
        block, compute.ApplyOp("append", [gathered, values.get(chain.item, chain.item)], gathered.type), op
    )
    values[chain.call.result] = appended.result
    block.add_op(last.clone(values))
    return control.ForOp(op.iterable, carried, region)


def _only_for(chain: Chain) -> set[Operation]:
    """The call, and what fills its prompt and nothing else."""
    gone: set[Operation] = {chain.call}
    for op in reversed(chain.preparing):
        if all(use.operation in gone for result in op.results for use in result.uses):
            gone.add(op)
    return gone


def _tree(op: control.ForOp, chain: Chain, leaves: SSAValue, width: int) -> SSAValue:
    """Rounds that merge neighbours until one value is left."""
    test, body = control.region_of([leaves.type]), control.region_of([leaves.type])
    one = place_last(test.block, compute.ConstantOp(1, IntType()), op).result
    count = place_last(test.block, compute.ApplyOp("len", [test.block.args[0]], IntType()), op).result
    more = place_last(test.block, compute.ApplyOp("gt", [count, one], i1), op).result
    place_last(test.block, control.YieldOp(more), op)
    _round(body.block, op, chain, width)
    bound = place_before(op, compute.ConstantOp(ROUNDS, IntType())).result
    tree = place_before(op, control.WhileOp(bound, [leaves], test, body))
    first = place_before(op, compute.ConstantOp(0, IntType())).result
    taken = compute.ApplyOp("get_item", [tree.results[0], first], chain.call.result.type)
    return place_before(op, taken).result


def _round(block: Block, op: control.ForOp, chain: Chain, width: int) -> None:
    """Merges the first value with the second, the third with the fourth; an odd one at the end stays."""
    (values,) = block.args

    def put(new: Operation) -> SSAValue:
        return place_last(block, new, op).results[0]

    def number(value: int) -> SSAValue:
        return put(compute.ConstantOp(value, IntType()))

    def sliced(*bounds: SSAValue) -> SSAValue:
        return put(compute.ApplyOp("slice", [values, *bounds], values.type))

    count = put(compute.ApplyOp("len", [values], IntType()))
    odd = put(compute.ApplyOp("mod", [count, number(2)], IntType()))
    paired = put(compute.ApplyOp("sub", [count, odd], IntType()))
    two = number(2)
    merged = _pairs(op, chain, sliced(number(0), paired, two), sliced(number(1), paired, two), width)
    place_last(block, merged, op)
    left = sliced(paired, count)
    following = put(compute.ApplyOp("add", [merged.result, left], values.type))
    place_last(block, control.YieldOp(put(compute.ConstantOp(False, i1)), following), op)


def _pairs(op: control.ForOp, chain: Chain, lefts: SSAValue, rights: SSAValue, width: int) -> control.MapOp:
    """The call for each pair of neighbours."""
    merged = chain.call.result.type
    region = control.region_of([merged, merged])
    left, right = region.block.args
    carried = op.body.block.args[chain.place + 1]
    own, other = (left, right) if chain.carried_first else (right, left)
    values: Mapping[SSAValue, SSAValue] = {carried: own, chain.item: other}
    mapper = dict(values)
    for each in (*chain.preparing, chain.call):
        region.block.add_op(each.clone(mapper))
    place_last(region.block, control.YieldOp(mapper[chain.call.result]), op)
    return control.MapOp([lefts, rights], merged, region, width=width)


def explained(chain: Chain) -> str:
    """What a program would have to say for a chain to become a tree."""
    return f"`@associative` on `{chain.name}` would make a tree of the chain"
