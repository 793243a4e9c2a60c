"""What operations are expected to cost, in milliseconds: a small analytical model.

The figures are orders of magnitude, good for saying which of two ready nodes lies on the longer path. Every
one stands in a table, where a learned model can take its place.
"""

from collections.abc import Mapping

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.ir import Attribute, Operation, Region

from flowc.dialects.agent.calls import AskOp, EmbedOp, ExecuteOp, GenerateOp, PromptOp, ToolCallOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.array import ops as array
from flowc.dialects.array.kernel import KernelOp, LaunchOp
from flowc.dialects.array.types import bits, dtype_of, is_array_type, shape_of
from flowc.dialects.flow import compute, control
from flowc.dialects.flow import types as flow
from flowc.dialects.flow.declarations import CallOp, FuncOp
from flowc.passes.facts import callee_of, flows_of

APPLY_MS = 0.001
FIRST_TOKEN_MS = 300.0
PROMPT_TOKEN_MS = 0.05
OUTPUT_TOKEN_MS = 15.0
HOLE_TOKENS = 200
EMBED_MS = 50.0
PERSON_MS = 60_000.0
TOOL_MS: Mapping[str, float] = {"pure": 1.0, "reads": 100.0, "writes": 100.0}
ROUNDS = 10
"""How often a loop or map is taken to run where nothing says it."""
EXTENT = 256
"""The extent of an axis of which nothing is known."""
FLOPS_PER_MS = 2e7
BYTES_PER_MS = 1e7
LAUNCH_MS = 0.01


@define
class CostModel:
    """Expected costs in one module; those of kernels and flows are computed once."""

    declarations: Mapping[str, DeclarationOp]
    functions: Mapping[str, FuncOp]
    kernels: Mapping[str, KernelOp]
    known: dict[str, float] = field(factory=dict)
    nested: dict[Operation, float] = field(factory=dict)

    def cost(self, op: Operation) -> float:
        """The expected milliseconds of an operation, everything inside it included."""
        match op:
            case ToolCallOp():
                declared = self.declarations.get(callee_of(op))
                if declared is not None and isinstance(said := declared.setting.get("latency"), int | float):
                    return 1e3 * said
                kinds = {item.kind for item in op.effects.data} or {"pure"}
                return max(TOOL_MS.get(kind, 0.0) for kind in kinds)
            case GenerateOp():
                return self._generate(op)
            case AskOp():
                return PERSON_MS
            case EmbedOp():
                return EMBED_MS
            case ExecuteOp():
                return 5 * TOOL_MS["reads"]
            case CallOp():
                return self._function(callee_of(op))
            case LaunchOp():
                return self._kernel(op.kernel.root_reference.data)
            case compute.ConstantOp() | compute.AbsentOp() | PromptOp() | control.YieldOp():
                return 0.0
        if op.regions:
            found = self.nested.get(op)
            if found is None:
                found = self.nested[op] = self._control(op)
            return found
        return APPLY_MS

    def _generate(self, op: GenerateOp) -> float:
        prompt = op.prompt.owner
        tokens = 0.0
        if isinstance(prompt, PromptOp):
            tokens = sum(len(part) / 4 if isinstance(part, str) else HOLE_TOKENS for part in prompt.parts)
        output = output_tokens(op.result.type)
        declaration = self.declarations.get(callee_of(op))
        most = declaration.setting.get("max_tokens") if declaration is not None else None
        if isinstance(most, int):
            output = min(output, most)
        return FIRST_TOKEN_MS + tokens * PROMPT_TOKEN_MS + output * OUTPUT_TOKEN_MS

    def _function(self, name: str) -> float:
        if name not in self.known:
            self.known[name] = 0.0  # what calls itself cannot be priced, and the checker refuses it
            function = self.functions.get(name)
            self.known[name] = self.path(function.body) if function is not None else APPLY_MS
        return self.known[name]

    def _kernel(self, name: str) -> float:
        if name not in self.known:
            kernel = self.kernels.get(name)
            work = sum(map(_kernel_op_ms, kernel.body.block.ops)) if kernel is not None else 0.0
            self.known[name] = LAUNCH_MS + work
        return self.known[name]

    def _control(self, op: Operation) -> float:
        paths = [self.path(region) for region in op.regions]
        match op:
            case control.ElementwiseOp():
                return paths[0] * max(1.0, ROUNDS / op.width.value.data)
            case control.ForOp():
                return paths[0] * ROUNDS
            case control.WhileOp():
                bound = op.bound.owner
                rounds = bound.value.value if isinstance(bound, compute.ConstantOp) else ROUNDS
                return sum(paths) * (min(rounds, ROUNDS) if isinstance(rounds, int) else ROUNDS)
            case control.RaceOp():
                return min(paths)
            case control.AttemptOp():
                return paths[0]
        return max(paths, default=0.0)

    def path(self, region: Region) -> float:
        """The longest path through the data of a region."""
        finish: dict[Operation, float] = {}
        longest = 0.0
        for block in region.blocks:
            for op in block.ops:
                ready = max(
                    (
                        finish.get(value.owner, 0.0)
                        for value in op.operands
                        if isinstance(value.owner, Operation)
                    ),
                    default=0.0,
                )
                finish[op] = ready + self.cost(op)
                longest = max(longest, finish[op])
        return longest


def cost_model(module: ModuleOp) -> CostModel:
    """The model of a module."""
    return CostModel(
        {op.sym_name.data: op for op in module.ops if isinstance(op, DeclarationOp)},
        flows_of(module),
        {op.sym_name.data: op for op in module.ops if isinstance(op, KernelOp)},
    )


def output_tokens(type_: Attribute) -> float:
    """How many tokens an answer of a type takes."""
    match type_:
        case flow.StrType() | flow.JsonType():
            return 200
        case flow.ListType():
            return 3 * output_tokens(type_.element)
        case flow.RecordType() | flow.DictType() | flow.PlanType():
            return 120
        case flow.OptionalType():
            return output_tokens(type_.inner)
        case flow.EnumType() | flow.IntType():
            return 5
    return 5 if type_ == i1 else 10


def elements(type_: Attribute) -> float:
    """How many elements an array has, as far as that is known."""
    total = 1.0
    for extent in shape_of(type_):
        total *= extent if isinstance(extent, int) else EXTENT
    return total


def _kernel_op_ms(op: Operation) -> float:
    """Roofline: arithmetic or memory, whichever takes longer."""
    types = [value.type for value in (*op.operands, *op.results) if is_array_type(value.type)]
    moved = sum(elements(type_) * bits(dtype_of(type_)) / 8 for type_ in types)
    flops = max(map(elements, types), default=0.0)
    if isinstance(op, array.ContractOp):
        shape = shape_of(op.left.type)
        inner = shape[-1] if shape and isinstance(shape[-1], int) else EXTENT
        flops = 2 * elements(op.result.type) * inner
    return max(flops / FLOPS_PER_MS, moved / BYTES_PER_MS)
