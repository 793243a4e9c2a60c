"""What operations are expected to cost, in milliseconds.

Where earlier runs have shown something, the expectations that the module carries are asked; else the figures
are orders of magnitude that follow from structure, good for saying which of two ready nodes lies on the
longer path.
"""

from collections.abc import Mapping

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.ir import Attribute, Operation, Region

from flowc.dialects.agent.calls import AskOp, EmbedOp, ExecuteOp, GenerateOp, PromptOp, SleepOp, ToolCallOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.array import ops as array
from flowc.dialects.array.kernel import KernelOp, LaunchOp
from flowc.dialects.array.types import bits, dtype_of, is_array_type, shape_of
from flowc.dialects.flow import compute, control
from flowc.dialects.flow import types as flow
from flowc.dialects.flow.declarations import CallOp, FuncOp
from flowc.passes.cost.learned import expectations_of, step_of
from flowc.passes.facts import callee_of, flows_of
from flowc.runtime.expectations import NOTHING, Expectations
from flowc.runtime.expected import (
    BY_STRUCTURE,
    EMBED_SECONDS,
    HOLE_TOKENS,
    PERSON_SECONDS,
    TOOL_SECONDS,
    call_of,
    law_of,
)
from flowc.runtime.history.names import EMBED

APPLY_MS = 0.001
FIRST_TOKEN_MS = 1e3 * BY_STRUCTURE.first
PROMPT_TOKEN_MS = 1e3 * BY_STRUCTURE.read
EMBED_MS = 1e3 * EMBED_SECONDS
PERSON_MS = 1e3 * PERSON_SECONDS
TOOL_MS: Mapping[str, float] = {kind: 1e3 * seconds for kind, seconds in TOOL_SECONDS.items()}
ROUNDS = 10
"""How often a loop or map is taken to run where nothing says it."""
EXTENT = 256
"""The extent of an axis of which nothing is known."""
LONGEST_MS = 1e15
"""Nothing takes longer, whatever a table of times says: rounds of rounds soon exceed all numbers."""
FLOPS_PER_MS = 2e7
BYTES_PER_MS = 1e7
LAUNCH_MS = 0.01


@define
class CostModel:
    """Expected costs in one module; those of kernels and flows are computed once.

    `expected` is what earlier runs have shown.
    """

    declarations: Mapping[str, DeclarationOp]
    functions: Mapping[str, FuncOp]
    kernels: Mapping[str, KernelOp]
    expected: Expectations = NOTHING
    known: dict[str, float] = field(factory=dict)
    nested: dict[Operation, float] = field(factory=dict)

    def cost(self, op: Operation) -> float:
        """The expected milliseconds of an operation, everything inside it included."""
        match op:
            case ToolCallOp() | AskOp() | EmbedOp():
                return self._outside(op)
            case SleepOp():
                seconds = op.seconds.owner
                known = seconds.value.value if isinstance(seconds, compute.ConstantOp) else None
                return min(LONGEST_MS, 1e3 * known) if isinstance(known, float) and known > 0 else PERSON_MS
            case GenerateOp():
                return self._generate(op)
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
                found = self.nested[op] = min(LONGEST_MS, self._control(op))  # also where that is no number
            return found
        return APPLY_MS

    def _outside(self, op: ToolCallOp | AskOp | EmbedOp) -> float:
        seen = call_of(EMBED if isinstance(op, EmbedOp) else callee_of(op), self.expected)
        if seen is not None and seen.seconds is not None:
            return 1e3 * seen.seconds.middle
        if not isinstance(op, ToolCallOp):
            return PERSON_MS if isinstance(op, AskOp) else EMBED_MS
        declared = self.declarations.get(callee_of(op))
        if declared is not None and isinstance(said := declared.setting.get("latency"), int | float):
            return 1e3 * said
        kinds = {item.kind for item in op.effects.data} or {"pure"}
        return max(TOOL_MS.get(kind, 0.0) for kind in kinds)

    def _generate(self, op: GenerateOp) -> float:
        declared = self.declarations.get(callee_of(op))
        alias = None if declared is None else declared.setting.get("model")
        seen = call_of(callee_of(op), self.expected)
        law = law_of(alias if isinstance(alias, str) else None, self.expected, seen=seen)
        prompt, answer = tokens(op, declared, self.expected)
        if seen is None or seen.answer is None:
            return 1e3 * law.seconds(prompt, answer)
        return 1e3 * law.seconds(prompt, answer, seen.beside) * seen.factor.middle

    def taken(self, op: control.IfOp, first: float = 0.5) -> tuple[float, int]:
        """How likely the first branch is taken, `first` where nothing is known, and from how many samples."""
        shown = step_of(op, self.expected)
        return (first, 0) if shown is None else (shown.taken, shown.samples)

    def rounds(self, op: Operation) -> float:
        """How often a map or loop is expected to run its inside each time."""
        shown = step_of(op, self.expected)
        if shown is not None and shown.count is not None:
            return shown.count.middle
        if isinstance(op, control.WhileOp):
            bound = op.bound.owner
            most = bound.value.value if isinstance(bound, compute.ConstantOp) else ROUNDS
            return min(most, ROUNDS) if isinstance(most, int) else ROUNDS
        return ROUNDS

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
                return paths[0] * max(min(1.0, self.rounds(op)), self.rounds(op) / op.width.value.data)
            case control.ForOp() | control.WhileOp():
                return sum(paths) * self.rounds(op)
            case control.RaceOp():
                return min(paths)
            case control.AttemptOp():
                return paths[0]
            case control.IfOp() if step_of(op, self.expected) is not None:
                likely, _ = self.taken(op)
                return likely * paths[0] + (1.0 - likely) * paths[1]
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
        expectations_of(module) or NOTHING,
    )


def tokens(
    op: GenerateOp, declared: DeclarationOp | None, expected: Expectations = NOTHING
) -> tuple[float, float]:
    """How many tokens the prompt and the answer of a call are expected to have."""
    seen = call_of(callee_of(op), expected)
    prompt = prompt_tokens(op) if seen is None or seen.prompt is None else seen.prompt.middle
    answer = output_tokens(op.result.type)
    if seen is not None and seen.answer is not None:
        answer = seen.answer.tokens(prompt).middle
    most = declared.setting.get("max_tokens") if declared is not None else None
    return prompt, (min(answer, most) if isinstance(most, int) else answer)


def prompt_tokens(op: GenerateOp) -> float:
    """How many tokens a prompt has by its text, four letters a token, and usual ones in its holes."""
    prompt = op.prompt.owner
    if not isinstance(prompt, PromptOp):
        return HOLE_TOKENS
    return sum(len(part) / 4 if isinstance(part, str) else HOLE_TOKENS for part in prompt.parts)


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
