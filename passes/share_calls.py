"""Which calls the runs of a batch may share: part of merge-calls.

The arguments are known only at run time, so a call that may be shared is marked, and the runtime makes each
operation once for equal arguments. Licensed are pure and `@cached` tools, reads of what no call of the
program writes, embeddings, models at temperature 0 or `@cached`, and idempotent writes of what all writers
write so. The runs of a batch have no order among themselves, which makes any of them the first.
"""

from collections.abc import Iterable

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from flowc.dialects.agent.calls import AskOp, EmbedOp, ExecuteOp, GenerateOp, SleepOp, ToolCallOp
from flowc.dialects.agent.declarations import LlmOp, ToolOp
from flowc.dialects.flow.control import RaceOp
from flowc.dialects.flow.declarations import CallOp
from flowc.dialects.flow.effects import Effects, declared
from flowc.passes.facts import callee_of, flows_of, name_of, operations_inside, operations_of_flows
from flowc.passes.framework import Findings, line_of
from flowc.passes.inline import callees_first

SHARE = "share"
BATCH = StringAttr("batch")


def share_calls(module: ModuleOp, models: set[str], cached: set[str], findings: Findings) -> None:
    """Marks the calls that the runs of a batch may share; says once of each operation whether they may."""
    operations = operations_of_flows(module)
    world = _World.of(operations)
    said: set[str] = set()
    for op in operations:
        if not isinstance(op, ToolCallOp | GenerateOp | EmbedOp):
            continue
        is_cached = isinstance(op, ToolCallOp) and callee_of(op) in cached
        against = "" if is_cached else _against(op, models, world)
        if not against:
            op.attributes[SHARE] = BATCH
        name = name_of(op)
        if name not in said:
            said.add(name)
            findings.remark(op, f"{name}: {against or 'the runs of a batch share equal calls'}")


@define
class _World:
    """What the program writes: for each resource a call that does, and one that may not be repeated; and a
    `sleep` of it.
    """

    effects: Effects
    writers: dict[str, Operation] = field(factory=dict)
    once: dict[str, Operation] = field(factory=dict)
    sleep: Operation | None = None

    @staticmethod
    def of(operations: Iterable[Operation]) -> "_World":
        """The writes of all calls, wherever they stand."""
        world = _World(Effects())
        for op in operations:
            if op.regions or isinstance(op, CallOp):
                continue
            if isinstance(op, SleepOp):
                world.sleep = world.sleep or op
            for resource in world.effects.of(op).writes:
                world.writers.setdefault(resource, op)
                if not is_idempotent(op) or _is_undone(op):
                    world.once.setdefault(resource, op)
        return world


def _against(op: Operation, models: set[str], world: _World) -> str:
    """Why each run of a batch makes this call for itself; empty where they may share it."""
    if isinstance(op, GenerateOp):
        alone = "may answer differently each time: each run of a batch asks for itself"
        known = callee_of(op) in models
        return "" if known else f"{alone}; they share at temperature 0 or with @cached"
    summary = world.effects.of(op)
    for resource in sorted(summary.reads & world.writers.keys()):
        writer = world.writers[resource]
        return f"reads {resource}, which line {line_of(writer)} writes: each run of a batch reads for itself"
    if summary.reads and world.sleep is not None:
        return f"time goes by on line {line_of(world.sleep)}: each run of a batch reads for itself"
    for resource in sorted(summary.writes & world.once.keys()):
        writer = world.once[resource]
        where = "" if writer is op else f" as line {line_of(writer)} does"
        return f"writes {resource}{where}: each run of a batch writes for itself unless all are `idempotent`"
    return ""


def is_idempotent(op: Operation) -> bool:
    """Whether a call only reads and writes, and all its writes are declared to be the same twice as once."""
    items = declared(op)
    if not isinstance(op, ToolCallOp) or not all(item.kind in ("reads", "writes") for item in items):
        return False
    writes = [item for item in items if item.kind == "writes"]
    return bool(writes) and all(item.idempotent for item in writes)


def _is_undone(op: Operation) -> bool:
    return any(item.undo is not None for item in declared(op))


def cached_tools(module: ModuleOp) -> set[str]:
    """The tools whose equal calls may be answered once, whatever happens in between."""
    tools = [op for op in module.ops if isinstance(op, ToolOp)]
    return {op.sym_name.data for op in tools if op.setting.get("cached") is True}


def steady_models(module: ModuleOp) -> set[str]:
    """The models that give the same answer to the same question."""
    settings = {op.sym_name.data: op.setting for op in module.ops if isinstance(op, LlmOp)}
    return {name for name, each in settings.items() if each.get("cached") or each.get("temperature") == 0}


def steady_flows(module: ModuleOp, models: set[str]) -> set[str]:
    """The flows that give the same for the same arguments as long as what they read stays as it is."""
    inside = {name: operations_inside(function) for name, function in flows_of(module).items()}
    calls = {name: [op for op in ops if isinstance(op, CallOp)] for name, ops in inside.items()}
    steady: set[str] = set()
    for name in callees_first(calls):
        if all(_is_steady(op, models, steady) for op in inside[name]):
            steady.add(name)
    return steady


def _is_steady(op: Operation, models: set[str], flows: set[str]) -> bool:
    match op:
        case GenerateOp():
            return callee_of(op) in models
        case CallOp():
            return callee_of(op) in flows
        case ToolCallOp():
            return all(item.kind == "reads" for item in declared(op))
    return not isinstance(op, AskOp | ExecuteOp | RaceOp | SleepOp)
