"""What passes ask of operations: whether they can fail, whether they may be dropped, what is inside them."""

from collections.abc import Iterable

from xdsl.dialects.builtin import ModuleOp, f64
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import IsTerminator

from flowc.dialects.agent.calls import AskOp, EmbedOp, ExecuteOp, GenerateOp, SleepOp, ToolCallOp
from flowc.dialects.array import ops as array
from flowc.dialects.array.kernel import LaunchOp
from flowc.dialects.flow import compute
from flowc.dialects.flow.control import LimitOp, RaceOp, VoteOp
from flowc.dialects.flow.declarations import CallOp, FuncOp
from flowc.dialects.flow.effects import Effects
from flowc.dialects.flow.types import IntType, ListType, RecordType, StrType

_TOTAL = (
    "eq ne not and or xor is is_not is_none is_not_none in not_in where or_else len count contains",
    "keys values items get put append concat flatten reversed enumerate zip unique any all",
    "str format python_str python_format lower upper strip lines sentences",
    "startswith endswith find join replace",
)

TOTAL_FUNCTIONS = frozenset(name for line in _TOTAL for name in line.split())
"""Functions of `flow.apply` that give a value for all arguments of their types."""

TOTAL_ON_SIMPLE = frozenset(["lt", "le", "gt", "ge", "add", "sub", "neg", "minimum", "maximum"])
"""Functions that give a value where all operands are of one type, and that in `_SIMPLE` or a list."""

_SIMPLE = (IntType(), f64, StrType())

DISPATCHED = (ToolCallOp, GenerateOp, AskOp, SleepOp, EmbedOp, ExecuteOp, LaunchOp, CallOp)
"""Operations that take long enough to be worth running beside others."""

Named = GenerateOp | ToolCallOp | AskOp | CallOp
"""Calls of what a program declares under a name."""

_FALLIBLE_ARRAYS = (
    array.ArgReduceOp,
    array.BroadcastOp,
    array.ConcatOp,
    array.ContractOp,
    array.ElementwiseOp,
    array.GatherOp,
    array.IndexOp,
    array.IotaOp,
    array.ReduceOp,
    array.TopKOp,
)


def may_fail(op: Operation) -> bool:
    """Whether an operation by itself can end a run. A tool may raise, a pure one too: it may be a check."""
    match op:
        case compute.ApplyOp():
            name, types = op.function.data, set(op.operand_types)
            alike = len(types) == 1 and (types <= set(_SIMPLE) or isinstance(next(iter(types)), ListType))
            return name not in TOTAL_FUNCTIONS and not (name in TOTAL_ON_SIMPLE and alike)
        case compute.FieldOp():
            return not isinstance(op.source.type, RecordType)
        case compute.CastOp() | LimitOp() | VoteOp() | RaceOp():
            return True
    return isinstance(op, DISPATCHED + _FALLIBLE_ARRAYS)


def is_total(op: Operation, effects: Effects) -> bool:
    """Whether an operation, with all inside it, neither does anything outside nor can fail."""
    if not effects.of(op).pure:
        return False
    return not any(may_fail(inner) for inner in op.walk())


def is_dispatched(op: Operation) -> bool:
    """Whether an operation, or anything inside it, is worth running beside others."""
    return any(isinstance(inner, DISPATCHED) for inner in op.walk())


def is_terminator(op: Operation) -> bool:
    """Whether an operation ends a block."""
    return op.has_trait(IsTerminator)


def blocks_inside(op: Operation) -> Iterable[Block]:
    """The blocks of an operation's regions and of all inside them, outermost first, without recursion."""
    pending = [block for region in op.regions for block in region.blocks]
    while pending:
        block = pending.pop()
        yield block
        for inner in block.ops:
            for region in inner.regions:
                pending.extend(region.blocks)


def operations_inside(function: FuncOp) -> list[Operation]:
    """The operations of a flow, outermost blocks first; a list, for passes change what they go over."""
    return [op for block in blocks_inside(function) for op in block.ops]


def flows_of(module: ModuleOp) -> dict[str, FuncOp]:
    """The flows of a module by name."""
    return {op.sym_name.data: op for op in module.ops if isinstance(op, FuncOp)}


def blocks_of_flows(module: ModuleOp) -> list[Block]:
    """The blocks of all flows."""
    return [block for function in flows_of(module).values() for block in blocks_inside(function)]


def operations_of_flows(module: ModuleOp) -> list[Operation]:
    """The operations of all flows."""
    return [op for function in flows_of(module).values() for op in operations_inside(function)]


def reads(op: Operation) -> list[SSAValue]:
    """The values an operation reads, those that its regions read too."""
    if not op.regions:
        return list(op.operands)
    return [value for inner in op.walk() for value in inner.operands]


def callee_of(op: Named) -> str:
    """The name of what an operation calls."""
    return op.callee.root_reference.data


def name_of(op: Operation) -> str:
    """A call as remarks speak of it."""
    if isinstance(op, Named):
        return f"`{callee_of(op)}`"
    return {"agent.execute": "the plan", "agent.embed": "`embed`", "agent.sleep": "`sleep`"}.get(
        op.name, "it"
    )
