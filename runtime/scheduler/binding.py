"""From a plan to blocks that can run: each node is bound to its behaviour, once, before the run."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import Factory, field, frozen

from flowc.runtime.coerce import Coercer, Mismatch, coercer
from flowc.runtime.copies import guarded
from flowc.runtime.device.enclosing import enclosing_limits
from flowc.runtime.device.following import ALONE, Following
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.functions import FUNCTIONS
from flowc.runtime.plan import Function, Limits, Node, Operation, Plan, Region
from flowc.runtime.reading import tables_of
from flowc.runtime.scheduler.batches import generate_batch
from flowc.runtime.scheduler.blocks import BODY, STRUCTURE, WAIT, Behaviour, Block, Instruction, Pace, Undo
from flowc.runtime.scheduler.bodies import (
    calling,
    dict_body,
    field_body,
    item_body,
    list_body,
    record_body,
    text_of,
    tuple_body,
)
from flowc.runtime.scheduler.choices import (
    enter_attempt,
    enter_limit,
    enter_limited_call,
    enter_race,
    enter_vote,
)
from flowc.runtime.scheduler.device_steps import device_step, following_kernels, may_use_device
from flowc.runtime.scheduler.early_steps import beginning_early
from flowc.runtime.scheduler.embeddings import Embed
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.models import Generate
from flowc.runtime.scheduler.persons import AskPerson
from flowc.runtime.scheduler.planned import ExecutePlan
from flowc.runtime.scheduler.prompts import Template, without
from flowc.runtime.scheduler.session import Kernels
from flowc.runtime.scheduler.sleeping import Sleep
from flowc.runtime.scheduler.speculation import enter_speculate
from flowc.runtime.scheduler.steady import steady
from flowc.runtime.scheduler.step_calls import PlanTools
from flowc.runtime.scheduler.streaming import ITEM, STEP, STREAM, Parts, Streamed
from flowc.runtime.scheduler.structure import enter_call, enter_for, enter_if, enter_map, enter_while
from flowc.runtime.scheduler.tools import bind_tool, is_async
from flowc.runtime.scheduler.transaction import enter_transaction
from flowc.runtime.scheduler.undoing import has_transactions, undo_of
from flowc.runtime.schema import wrapped
from flowc.runtime.types import JSON, NONE, STR, List, PlanOf, Record, Type, from_json

STRUCTURES: Mapping[str, Callable[[Engine, Frame, Instruction], None]] = {
    "speculate": enter_speculate,
    "if": enter_if,
    "map": enter_map,
    "for": enter_for,
    "while": enter_while,
    "race": enter_race,
    "vote": enter_vote,
    "attempt": enter_attempt,
    "limit": enter_limit,
    "transaction": enter_transaction,
}


@frozen(eq=False)
class Bindings:
    """A plan and what its nodes reach outside it: the functions of its tools, its compiled kernels, and by
    the identity of kernels' nodes the limits of memory around them, and what follows those that may use a
    GPU.

    `batch` says that many runs will go on side by side and share what they may, `steady` that kernels are to
    give the same bits in every process.
    """

    plan: Plan
    tools: Mapping[str, Callable[..., Any]]
    kernels: Kernels
    stand_in: Callable[[Operation], Callable[..., Any]] | None = None
    batch: bool = False
    steady: bool = False
    blocks: dict[str, Block] = field(factory=dict)
    paces: dict[str, Pace] = field(factory=dict)
    coercers: dict[Type, Coercer] = field(factory=dict)
    called: list[str] = field(factory=list)
    memory_limits: Mapping[int, int] = Factory(
        lambda self: enclosing_limits(self.plan) if any(map(may_use_device, self.kernels.values())) else {},
        takes_self=True,
    )
    transactions: bool = Factory(lambda self: has_transactions(self.plan), takes_self=True)
    undos: dict[str, Undo] = field(factory=dict)
    following: Mapping[int, Following] = Factory(
        lambda self: following_kernels(self.plan, self.kernels), takes_self=True
    )

    def block(self, name: str) -> Block:
        """The body of a flow, flattened on first use together with all that it calls.

        Calls are noted and followed here, not by recursion: chains of flows may be long.
        """
        if name not in self.blocks:
            self.blocks[name] = Block(self.plan.functions[name].body, self.bind)
        self._follow_calls()
        return self.blocks[name]

    def _follow_calls(self) -> None:
        while self.called:
            name = self.called.pop()
            if name not in self.blocks:
                self.blocks[name] = Block(self.plan.functions[name].body, self.bind)

    def entry(self, function: Function) -> Block:
        """What to run for `function`: its body, or a call of it where it has limits of its own."""
        if function.limits == Limits():
            return self.block(function.name)
        count = len(function.parameters)
        call = Node(
            "call",
            function.name,
            tuple(range(count)),
            (count,),
            settings={"function": function.name},
            line=function.line,
        )
        region = Region(count + 1, tuple(range(count)), (), (), (call,), (count,))
        block = Block(region, self.bind, synthetic=True)
        self._follow_calls()
        return block

    def convert(self, type_: Type) -> Coercer:
        """The coercer of a type, made once."""
        if type_ not in self.coercers:
            self.coercers[type_] = coercer(type_, tables_of(self.plan))
        return self.coercers[type_]

    def bind(self, node: Node) -> Behaviour:
        """The behaviour of a node; raises `FlowError` E0644 to E0646 or E0803 where it can have none."""
        if node.op in STRUCTURES:
            return Behaviour(STRUCTURE, STRUCTURES[node.op])
        try:
            return _BINDERS[node.op](self, node)
        except FlowError:
            raise
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise fail(
                "E0644",
                f"node `{node.name}` ({node.op}) of the plan cannot run",
                why=f"{type(error).__name__}: {error}",
                help="compile the program again",
                line=node.line,
            ) from None

    def pace(self, name: str, *, slow: bool = False) -> Pace:
        """The pace of an operation, shared by all of its calls; `slow` is what is believed before the
        first.
        """
        return self.paces.setdefault(name, Pace(slow))

    def function(self, operation: Operation) -> Callable[..., Any] | None:
        """The Python function behind a tool, which cannot change the values that it is given; where there is
        none, what stands in for it, if anything does.
        """
        function = self.tools.get(operation.name)
        if function is None:
            return None if self.stand_in is None else self.stand_in(operation)
        types = [parameter.type for parameter in operation.parameters]
        return guarded(function, types, tables_of(self.plan), waits=is_async(function))

    def operation(self, node: Node) -> Operation:
        """The declaration behind a call."""
        return self.plan.operations[text_of(node.settings["operation"])]


def _apply(bindings: Bindings, node: Node) -> Behaviour:
    name = text_of(node.settings["function"])
    if name not in FUNCTIONS:
        raise ValueError(f"there is no function `{name}`")
    return Behaviour(BODY, calling(FUNCTIONS[name], node.inputs))


def _record(bindings: Bindings, node: Node) -> Behaviour:
    fields = tuple(name for name, _ in bindings.plan.records[text_of(node.settings["record"])])
    return Behaviour(BODY, record_body(node, fields))


def _cast(bindings: Bindings, node: Node) -> Behaviour:
    return Behaviour(BODY, calling(bindings.convert(from_json(node.settings["type"])), node.inputs))


def _kernel(bindings: Bindings, node: Node) -> Behaviour:
    name = text_of(node.settings["kernel"])
    if name not in bindings.kernels:
        raise fail(
            "E0646",
            f"kernel `{name}` has no code for this machine",
            help="compile the program again on this machine",
            line=node.line,
        )
    kernel: Any = bindings.kernels[name]
    limit = bindings.memory_limits.get(id(node))
    if limit is not None and may_use_device(kernel):
        kernel = kernel.within(limit)
    body = calling(steady(kernel) if bindings.steady else kernel, node.inputs)
    if may_use_device(kernel):
        found = bindings.following.get(id(node), ALONE)
        stay = found.stay and limit is None  # what stays would count against the limit of what comes next
        body = device_step(kernel.in_plan(stay), node, found, bindings.kernels)
    return Behaviour(BODY, body, pace=bindings.pace(f"kernel {name}"))


def _call(bindings: Bindings, node: Node) -> Behaviour:
    name = text_of(node.settings["function"])
    limits = bindings.plan.functions[name].limits

    def enter(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        block = bindings.blocks[name]
        if limits == Limits():
            enter_call(engine, frame, instruction, block)
        else:
            enter_limited_call(engine, frame, instruction, block, limits)

    bindings.called.append(name)
    return Behaviour(STRUCTURE, enter)


def _tool(bindings: Bindings, node: Node) -> Behaviour:
    return _tool_call(bindings, node, _undos(bindings, bindings.operation(node)))


def _undos(bindings: Bindings, operation: Operation) -> tuple[Undo, ...]:
    """What takes back a call of a tool, where the program has a transaction that may want that."""
    names = dict.fromkeys(effect.undo for effect in operation.effects) if bindings.transactions else {}
    found = []
    for name in names:
        if name is not None:
            key = f"{operation.name} {name}"
            if key not in bindings.undos:
                bind = partial(_tool_call, bindings, undos=())
                bindings.undos[key] = undo_of(operation, bindings.plan.operations[name], bind)
            found.append(bindings.undos[key])
    return tuple(found)


def _tool_call(bindings: Bindings, node: Node, undos: tuple[Undo, ...]) -> Behaviour:
    operation = bindings.operation(node)
    function = bindings.function(operation)
    if function is None:
        raise fail(
            "E0803",
            f"tool `{operation.name}` has no Python function",
            why="the program declares it, and nothing says what it does",
            help=f'import it: from "tools.py" import {operation.name}; '
            "or run with --provider simulated, which stands in for it",
            line=operation.line or node.line,
        )
    convert = _nothing if operation.result == NONE else bindings.convert(operation.result)
    reaches_out = any(effect.kind != "pure" for effect in operation.effects)
    pace = bindings.pace(operation.name, slow=reaches_out or bindings.batch)
    return bind_tool(node, operation, function, convert, pace, batch=bindings.batch, undos=undos)


def _nothing(value: object) -> None:
    """A tool that gives nothing may return what it likes, but not its work still to be done."""
    if inspect.isawaitable(value) or inspect.isgenerator(value) or inspect.isasyncgen(value):
        raise Mismatch("none", value)


def _generate(bindings: Bindings, node: Node) -> Behaviour:
    operation = bindings.operation(node)
    schema = None if operation.result == STR else wrapped(operation.result, tables_of(bindings.plan))
    convert = bindings.convert(operation.result)
    if operation.pruned:
        convert = without(operation.pruned, convert)
    streamed = Streamed(_parts(bindings, operation)) if node.settings.get(STREAM) is True else None
    call = Generate(operation, Template.of(node), convert, schema, streamed=streamed)
    return Behaviour(WAIT, call, effectful=True, operation=operation)


def _parts(bindings: Bindings, operation: Operation) -> Parts:
    """The parts of an answer that may count before it is complete."""
    match operation.result:
        case List(element):
            return {(ITEM,): bindings.convert(element)}
        case PlanOf():
            return {STEP: bindings.convert(JSON)}
        case Record(name):
            fields = [each for each in bindings.plan.records[name] if each[0] not in operation.pruned]
            lists = [(field, type_.element) for field, type_ in fields if isinstance(type_, List)]
            return {
                **{(field,): bindings.convert(type_) for field, type_ in fields},
                **{(field, ITEM): bindings.convert(element) for field, element in lists},
            }
    return {}


def _generate_batch(bindings: Bindings, node: Node) -> Behaviour:
    return Behaviour(WAIT, generate_batch)


def _human(bindings: Bindings, node: Node) -> Behaviour:
    operation = bindings.operation(node)
    call = AskPerson(operation, Template.of(node), bindings.convert(operation.result))
    return Behaviour(WAIT, call, effectful=True, operation=operation)


def _sleep(bindings: Bindings, node: Node) -> Behaviour:
    return Behaviour(WAIT, Sleep())


def _embed(bindings: Bindings, node: Node) -> Behaviour:
    model = node.settings.get("model")
    return Behaviour(WAIT, Embed(model if isinstance(model, str) else None), effectful=True)


def _execute(bindings: Bindings, node: Node) -> Behaviour:
    names = node.settings.get("tools", [])
    if not isinstance(names, list):
        raise ValueError("`tools` must be a list")
    operations = {text_of(name): bindings.plan.operations[text_of(name)] for name in names}
    found = {name: bindings.function(operation) for name, operation in operations.items()}
    functions = {name: function for name, function in found.items() if function is not None}
    tools = PlanTools(operations, functions, bindings.convert)
    return Behaviour(WAIT, ExecutePlan(tools, beginning_early(operations)), effectful=True)


def _plain(make: Callable[[Node], Any]) -> Callable[[Bindings, Node], Behaviour]:
    return lambda bindings, node: Behaviour(BODY, make(node))


_BINDERS: Mapping[str, Callable[[Bindings, Node], Behaviour]] = {
    "apply": _apply,
    "record": _record,
    "field": _plain(field_body),
    "list": _plain(list_body),
    "dict": _plain(dict_body),
    "tuple": _plain(tuple_body),
    "item": _plain(item_body),
    "cast": _cast,
    "kernel": _kernel,
    "call": _call,
    "tool": _tool,
    "generate": _generate,
    "generate_batch": _generate_batch,
    "human": _human,
    "sleep": _sleep,
    "embed": _embed,
    "execute": _execute,
}
