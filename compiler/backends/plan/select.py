"""Instruction selection: each operation of a flow becomes a node of the plan dialect, with what it waits for.

A flow marked `parallel` is ordered by data and effects alone; any other runs in program order.
"""

from collections.abc import Sequence

from attrs import define, field
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from flowc.compiler.backends.plan.forms import keeps_form
from flowc.compiler.backends.plan.settings import shape_of_node
from flowc.dialects import plan
from flowc.dialects.agent.calls import PromptOp
from flowc.dialects.array.kernel import KernelOp, LaunchOp
from flowc.dialects.array.ops import ConstantOp as NumberOp
from flowc.dialects.flow import compute
from flowc.dialects.flow.attributes import Json, JsonAttr
from flowc.dialects.flow.control import YieldOp
from flowc.dialects.flow.declarations import FuncOp, ReturnOp
from flowc.dialects.flow.effects import Effects
from flowc.dialects.flow.speculation import EARLY
from flowc.passes.hedge import HEDGE
from flowc.passes.order import EffectOrder, GuardedOrder, Order, ProgramOrder, catches_failures
from flowc.passes.stream_items import AHEAD, STREAM


def select(module: ModuleOp) -> ModuleOp:
    """The module in the plan dialect; declarations stay, kernels travel elsewhere."""
    operations: list[Operation] = []
    for op in module.ops:
        if isinstance(op, FuncOp):
            operations.append(_function(op))
        elif not isinstance(op, KernelOp):
            operations.append(op.clone())
    result = ModuleOp(operations)
    result.location = module.location
    return result


def _function(op: FuncOp) -> plan.FuncOp:
    block = op.body.block
    region = Region(Block(arg_types=block.arg_types))
    selector = _Selector(Effects(), "parallel" in op.attributes)
    selector.block(block, region.block, catches_failures(op))
    made = plan.FuncOp(
        op.sym_name.data,
        op.parameters.data,
        op.result_type,
        region,
        effects=op.effects,
        limits=op.limits,
        documentation=str(op.documentation.value) if op.documentation is not None else None,
    )
    made.location = op.location
    return made


@define
class _Selector:
    """The state of selecting one flow: the plan's value for each value."""

    effects: Effects
    parallel: bool
    values: dict[SSAValue, SSAValue] = field(factory=dict)

    def block(self, source: Block, target: Block, guarded: bool) -> None:
        """Selects the operations of a block in order; `guarded` where the program goes on if they fail."""
        for old, new in zip(source.args, target.args, strict=True):
            self.values[old] = new
            new.name_hint, new.location = old.name_hint, old.location
        order: Order = ProgramOrder()
        if self.parallel:
            order = GuardedOrder(self.effects) if guarded else EffectOrder(self.effects)
        waits = Waits(target)
        for op in source.ops:
            if isinstance(op, YieldOp | ReturnOp):
                _add(target, plan.YieldOp(*(self.values[value] for value in op.operands)), op)
            elif not self._without_node(op, target):
                self._node(op, target, order, waits, guarded)
        waits.settle()

    def _without_node(self, op: Operation, target: Block) -> bool:
        """Constants, and operations that change nothing at run time."""
        match op:
            case compute.ConstantOp():
                self._bind(op, _add(target, plan.ConstantOp(op.value, op.result.type), op))
            case compute.AbsentOp():
                self._bind(op, _add(target, plan.ConstantOp(JsonAttr.of(None), op.result.type), op))
            case NumberOp() if all(isinstance(use.operation, LaunchOp) for use in op.result.uses):
                self._bind(op, _add(target, plan.ConstantOp(_number(op), op.result.type), op))
            case compute.EndorseOp() | compute.DeclassifyOp():
                self.values[op.result] = self.values[op.source]
            case compute.CastOp() if keeps_form(op.source.type, op.result.type):
                self.values[op.result] = self.values[op.source]
            case PromptOp():
                pass
            case _:
                return False
        return True

    def _bind(self, op: Operation, made: Operation) -> None:
        for old, new in zip(op.results, made.results, strict=False):
            self.values[old] = new
            new.name_hint = old.name_hint

    def _node(self, op: Operation, target: Block, order: Order, waits: "Waits", guarded: bool) -> None:
        shape = shape_of_node(op)
        inputs = [self.values[value] for value in shape.inputs]
        if isinstance(op, NumberOp):
            inputs = [_add(target, plan.ConstantOp(_number(op), op.result.type), op).results[0]]
        needed = () if _is_total(op) else order.before(op)
        bodies = []
        for region in op.regions:
            body = Region(Block(arg_types=region.block.arg_types))
            self.block(region.block, body.block, guarded or catches_failures(op))
            bodies.append(body)
        made = shape.kind(
            shape.instruction,
            shape.label,
            inputs,
            [result.type for result in op.results],
            settings=shape.settings | _marks(op),
            rank=_figure(op, "rank"),
            cost=_figure(op, "cost"),
            bodies=bodies,
        )
        if EARLY in op.attributes:
            made.attributes[EARLY] = op.attributes[EARLY]
        _add(target, made, op)
        self._bind(op, made)
        waits.remember(op, made, needed)


class Waits:
    """Turns the order between operations into tokens between nodes, once a block is complete."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._nodes: dict[Operation, plan.NodeOp] = {}
        self._needed: dict[plan.NodeOp, tuple[Operation, ...]] = {}

    def remember(self, op: Operation, node: plan.NodeOp, needed: tuple[Operation, ...]) -> None:
        """Notes the node of an operation and the operations that it waits for."""
        self._nodes[op] = node
        if needed:
            self._needed[node] = needed

    def settle(self) -> None:
        """Gives a token to each node that is waited for and no data link says so already."""
        edges: dict[plan.NodeOp, list[plan.NodeOp]] = {}
        waited: set[plan.NodeOp] = set()
        for node, needed in self._needed.items():
            linked = {value.owner for value in node.inputs}
            earlier = [
                self._nodes[op] for op in needed if op in self._nodes and self._nodes[op] not in linked
            ]
            edges[node] = earlier
            waited.update(earlier)
        final: dict[plan.NodeOp, plan.NodeOp] = {}
        for node in [*self._nodes.values()]:
            earlier = edges.get(node, [])
            if earlier or node in waited:
                final[node] = _rebuilt(node, [final[each].results[-1] for each in earlier], node in waited)


def _rebuilt(node: plan.NodeOp, tokens: Sequence[SSAValue], waited: bool) -> plan.NodeOp:
    types: list[Attribute] = [result.type for result in node.results]
    bodies = [node.detach_region(0) for _ in range(len(node.regions))]
    made = type(node).create(
        operands=[*node.inputs, *tokens],
        result_types=[*types, *([plan.TokenType()] if waited else [])],
        properties=node.properties,
        attributes=node.attributes,
        location=node.location,
        regions=bodies,
    )
    block = node.parent_block()
    if block is None:
        raise ValueError("a node stands in a block")
    block.insert_op_before(made, node)
    for old, new in zip(node.results, made.results, strict=False):
        new.name_hint = old.name_hint
        old.replace_all_uses_with(new)
    block.erase_op(node)
    return made


def _add(block: Block, made: Operation, origin: Operation) -> Operation:
    made.location = origin.location
    block.add_op(made)
    return made


def _number(op: NumberOp) -> JsonAttr:
    value = op.value.value.data
    return JsonAttr.of(bool(value) if str(op.result.type) == "i1" else value)


def _marks(op: Operation) -> dict[str, Json]:
    """What a pass has noted for the runtime."""
    found = op.attributes.get(HEDGE)
    marks: dict[str, Json] = {HEDGE: found.value} if isinstance(found, JsonAttr) else {}
    return marks | {name: True for name in (STREAM, AHEAD) if name in op.attributes}


def _figure(op: Operation, name: str) -> float:
    found = op.attributes.get(name)
    if isinstance(found, FloatAttr | IntegerAttr):
        return float(found.value.data)
    return 0.0


def _is_total(op: Operation) -> bool:
    return isinstance(
        op,
        compute.ListOp
        | compute.DictOp
        | compute.TupleOp
        | compute.RecordOp
        | compute.ItemOp
        | compute.SelectOp,
    )
