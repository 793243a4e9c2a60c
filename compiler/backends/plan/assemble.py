"""Assembly: from the text form of a plan, the plan dialect, to the value that the runtime executes.

Slots are numbered region by region. A constant of an outer region is a constant of the inner one too; any
other outer value is captured, through each region between.
"""

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field
from xdsl.dialects.builtin import FileLineColLoc, ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from flowc.compiler.lower.limits import runtime_limits
from flowc.compiler.lower.types import runtime_type
from flowc.dialects import plan
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow.attributes import EffectsAttr, Json, JsonAttr, ParameterAttr
from flowc.dialects.flow.declarations import EnumDeclOp, RecordDeclOp
from flowc.dialects.flow.speculation import EARLY
from flowc.runtime.plan import Effect, Function, Node, Parameter, Plan, Region
from flowc.runtime.plan import Operation as PlanOperation
from flowc.runtime.types import Type

SPECULATE = "speculate"
"""The instruction that starts branches early."""


def assemble(module: ModuleOp, *, source: str = "", optimisation: int = 2) -> Plan:
    """The plan that a module in the plan dialect describes."""
    functions = {op.sym_name.data: _function(op) for op in module.ops if isinstance(op, plan.FuncOp)}
    declared = declarations(module, source=source, optimisation=optimisation)
    return evolve(declared, functions=functions)


def declarations(module: ModuleOp, *, source: str = "", optimisation: int = 2) -> Plan:
    """What a module declares, as a plan without flows; its flows may still be in the flow dialect."""
    ops = list(module.ops)
    return Plan(
        source=source,
        functions={},
        operations={op.sym_name.data: _operation(op) for op in ops if isinstance(op, DeclarationOp)},
        records={op.sym_name.data: _fields(op) for op in ops if isinstance(op, RecordDeclOp)},
        enums={
            op.sym_name.data: tuple(member.data for member in op.members)
            for op in ops
            if isinstance(op, EnumDeclOp)
        },
        optimisation=optimisation,
    )


def position(op: Operation) -> tuple[int, int]:
    """The line and column of an operation; zeros where it has none."""
    location = op.location
    if isinstance(location, FileLineColLoc):
        return location.line.data, location.column.data
    return 0, 0


def _fields(op: RecordDeclOp) -> tuple[tuple[str, Type], ...]:
    pairs = zip(op.fields, op.types, strict=True)
    return tuple((name.data, runtime_type(type_)) for name, type_ in pairs)


def _parameters(attributes: Sequence[ParameterAttr], types: Sequence[Type]) -> tuple[Parameter, ...]:
    result = []
    for attribute, type_ in zip(attributes, types, strict=True):
        default = attribute.default
        if isinstance(default, JsonAttr):
            result.append(Parameter(attribute.parameter.data, type_, default.value, True))
        else:
            result.append(Parameter(attribute.parameter.data, type_))
    return tuple(result)


def _effects(attribute: EffectsAttr) -> tuple[Effect, ...]:
    found = tuple(Effect(item.kind, item.resource, item.idempotent, item.undo) for item in attribute.data)
    return found or (Effect("pure"),)


KINDS: Mapping[str, str] = {
    "agent.llm": "llm",
    "agent.tool": "tool",
    "agent.human": "human",
    "agent.event": "event",
}


def _operation(op: DeclarationOp) -> PlanOperation:
    setting = op.setting

    def text(name: str) -> str | None:
        value = setting.get(name)
        return value if isinstance(value, str) else None

    temperature, most = setting.get("temperature"), setting.get("max_tokens")
    latency = setting.get("latency")
    return PlanOperation(
        kind=KINDS[op.name],
        name=op.sym_name.data,
        parameters=_parameters(op.parameters.data, [runtime_type(type_) for type_ in op.types]),
        result=runtime_type(op.result_type),
        effects=_effects(op.effects),
        limits=runtime_limits(op.limits),
        model=text("model"),
        temperature=float(temperature) if isinstance(temperature, int | float) else None,
        max_tokens=most if isinstance(most, int) else None,
        cached=setting.get("cached") is True,
        pruned=op.pruned,
        latency=float(latency) if isinstance(latency, int | float) else None,
        module=text("module"),
        function=text("function"),
        documentation=text("documentation") or "",
        line=position(op)[0],
    )


def _function(op: plan.FuncOp) -> Function:
    block = op.body.block
    documentation = op.documentation.value if op.documentation is not None else ""
    return Function(
        name=op.sym_name.data,
        parameters=_parameters(op.parameters.data, [runtime_type(argument.type) for argument in block.args]),
        result=runtime_type(op.result_type),
        body=_Frame(None).region(block),
        limits=runtime_limits(op.limits),
        effects=_effects(op.effects),
        documentation=str(documentation),
        line=position(op)[0],
    )


def _numbered(block: Block) -> list[plan.NodeOp]:
    """The nodes of a block in order, what starts branches early last: it must not number the others anew,
    since the number of a step is part of its name, on which simulated answers depend.
    """
    nodes = [op for op in block.ops if isinstance(op, plan.NodeOp)]
    return sorted(nodes, key=lambda op: op.instruction.data == SPECULATE)


def _early(block: Block) -> list[Json]:
    """The numbers of the nodes of a branch that may start before it."""
    return [index for index, op in enumerate(_numbered(block)) if EARLY in op.attributes]


@define
class _Frame:
    """The slots of a region while it is assembled."""

    outer: "_Frame | None"
    slots: dict[SSAValue, int] = field(factory=dict)
    captures: list[tuple[int, int]] = field(factory=list)
    constants: list[tuple[int, Json]] = field(factory=list)
    size: int = 0

    def new(self, value: SSAValue) -> int:
        """A slot for a value of this region."""
        slot = self.slots[value] = self.size
        self.size += 1
        return slot

    def slot(self, value: SSAValue) -> int:
        """The slot in which a value is read here."""
        found = self.slots.get(value)
        if found is not None:
            return found
        owner = value.owner
        if isinstance(owner, plan.ConstantOp):
            slot = self.new(value)
            self.constants.append((slot, owner.value.value))
            return slot
        if self.outer is None:
            raise ValueError("a value is read outside the regions that can see it")
        source = self.outer.slot(value)
        slot = self.new(value)
        self.captures.append((source, slot))
        return slot

    def region(self, block: Block) -> Region:
        """The region of a block."""
        parameters = tuple(self.new(argument) for argument in block.args)
        numbered = _numbered(block)
        indexes: dict[Operation, int] = {op: index for index, op in enumerate(numbered)}
        nodes: dict[Operation, Node] = {}
        results: tuple[int, ...] = ()
        for op in block.ops:
            if isinstance(op, plan.YieldOp):
                results = tuple(self.slot(value) for value in op.operands)
            elif isinstance(op, plan.NodeOp):
                nodes[op] = self._node(op, indexes)
        ordered = tuple(nodes[op] for op in numbered)
        return Region(self.size, parameters, tuple(self.captures), tuple(self.constants), ordered, results)

    def _node(self, op: plan.NodeOp, indexes: Mapping[Operation, int]) -> Node:
        inputs = tuple(self.slot(value) for value in op.data)
        regions = tuple(_Frame(self).region(body.block) for body in op.bodies)
        line, column = position(op)
        settings = op.settings.value if op.settings is not None else {}
        early: list[Json] = [_early(body.block) for body in op.bodies]
        if isinstance(settings, dict) and any(early):
            settings = {**settings, "early": early}
        return Node(
            op=op.instruction.data,
            name=op.label.data,
            inputs=inputs,
            outputs=tuple(
                self.new(value) for value in op.outputs if not isinstance(value.type, plan.TokenType)
            ),
            settings=settings if isinstance(settings, dict) else {},
            regions=regions,
            after=tuple(indexes[token.owner] for token in op.waits if isinstance(token.owner, Operation)),
            rank=op.rank.value.data if op.rank is not None else 0.0,
            line=line,
            column=column,
        )
