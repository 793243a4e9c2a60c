"""Calls of the outside world: prompts, model calls, tools, people, embeddings, plans, time.

A call carries the effects of its declaration, so that a pass need not look them up.
"""

from collections.abc import Sequence
from typing import TypeGuard

from xdsl.dialects.builtin import StringAttr, SymbolRefAttr, f64
from xdsl.ir import Attribute, Operation, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.flow.attributes import EffectItem, EffectsAttr, Json, JsonAttr
from flowc.dialects.flow.control import ElementwiseOp, IfOp
from flowc.dialects.flow.effects import DeclaredEffects
from flowc.dialects.flow.types import ListType, NoneType, PlanType, StrType

OUTSIDE = "operands `)` `effects` `` $effects attr-dict `:` functional-type(operands, results)"

LLM = EffectsAttr((EffectItem("llm"),))
SLEEP = EffectsAttr((EffectItem("sleep"),))


@irdl_attr_definition
class PromptType(ParametrizedAttribute, TypeAttribute):
    """A prompt whose holes are filled: segments of text, of which the compiler knows the static ones."""

    name = "agent.prompt_value"


@irdl_op_definition
class PromptOp(IRDLOperation):
    """Text and holes in order; the operands fill the holes in turn. A hole has the name of what fills it."""

    name = "agent.prompt"
    segments = prop_def(JsonAttr)
    values = var_operand_def()
    result = result_def(PromptType)
    traits = traits_def(Pure())
    assembly_format = "$segments `(` $values `)` attr-dict `:` functional-type($values, $result)"

    def __init__(self, segments: Sequence[Json], values: Sequence[SSAValue]) -> None:
        super().__init__(
            operands=[values],
            properties={"segments": JsonAttr.of(list(segments))},
            result_types=[PromptType()],
        )

    @property
    def parts(self) -> list[str | dict[str, str]]:
        """The segments: text, or `{"hole": name}`."""
        return [part for part in _list(self.segments) if isinstance(part, str) or _is_hole(part)]

    def verify_(self) -> None:
        """Text and holes, a value a hole."""
        parts = _list(self.segments)
        if len(parts) != len(self.parts):
            raise VerifyException("a segment is a text or a hole")
        holes = sum(isinstance(part, dict) for part in parts)
        if holes != len(self.values):
            raise VerifyException(f"this prompt has {holes} holes and {len(self.values)} values")


def _list(segments: JsonAttr) -> list[Json]:
    value = segments.value
    return value if isinstance(value, list) else [None]


def _is_hole(part: Json) -> TypeGuard[dict[str, str]]:
    return isinstance(part, dict) and list(part) == ["hole"] and isinstance(part["hole"], str)


class PromptedCall(IRDLOperation):
    """What calls of models and people share: the declaration, the prompt, the arguments."""

    callee = prop_def(SymbolRefAttr)
    effects = prop_def(EffectsAttr)
    prompt = operand_def(PromptType)
    arguments = var_operand_def()
    result = result_def()
    traits = traits_def(DeclaredEffects())
    assembly_format = "$callee `(` " + OUTSIDE

    def __init__(
        self,
        callee: str,
        prompt: SSAValue,
        arguments: Sequence[SSAValue],
        result: Attribute,
        effects: EffectsAttr,
    ) -> None:
        super().__init__(
            operands=[prompt, arguments],
            result_types=[result],
            properties={"callee": SymbolRefAttr(callee), "effects": effects},
        )


@irdl_op_definition
class GenerateOp(PromptedCall):
    """A call of a model: the declared `agent.llm`, its prompt and its arguments."""

    name = "agent.generate"


@irdl_op_definition
class GenerateBatchOp(ElementwiseOp):
    """Questions to models for each element of lists, one after the other in an element.

    Beside `agent.generate` the body holds only branches, and what fills prompts and takes answers apart.
    """

    name = "agent.generate_batch"

    def verify_(self) -> None:
        """As a map, with a question, and nothing beside it that waits."""
        super().verify_()
        inside = [op for op in self.walk() if op is not self]
        if not any(isinstance(op, GenerateOp) for op in inside):
            raise VerifyException(f"{self.name} needs an agent.generate")
        if other := next(filter(_is_no_packaging, inside), None):
            raise VerifyException(f"{self.name} cannot hold {other.name}")


def _is_no_packaging(op: Operation) -> bool:
    if isinstance(op, GenerateOp | IfOp):
        return False
    return bool(op.regions) or "effects" in op.properties


@irdl_op_definition
class AskOp(PromptedCall):
    """A question to a person: the declared `agent.human`; or what an `agent.event` waits for."""

    name = "agent.ask"


@irdl_op_definition
class ToolCallOp(IRDLOperation):
    """A call of a declared `agent.tool`."""

    name = "agent.tool_call"
    callee = prop_def(SymbolRefAttr)
    effects = prop_def(EffectsAttr)
    arguments = var_operand_def()
    result = result_def()
    traits = traits_def(DeclaredEffects())
    assembly_format = "$callee `(` " + OUTSIDE

    def __init__(
        self, callee: str, arguments: Sequence[SSAValue], result: Attribute, effects: EffectsAttr
    ) -> None:
        super().__init__(
            operands=[arguments],
            result_types=[result],
            properties={"callee": SymbolRefAttr(callee), "effects": effects},
        )


@irdl_op_definition
class EmbedOp(IRDLOperation):
    """The embeddings of texts, one row each. Equal texts have equal embeddings."""

    name = "agent.embed"
    effects = prop_def(EffectsAttr)
    model = opt_prop_def(JsonAttr)
    texts = operand_def(ListType(StrType()))
    result = result_def()
    traits = traits_def(DeclaredEffects())
    assembly_format = "(`model` $model^)? `(` " + OUTSIDE

    def __init__(self, texts: SSAValue, result: Attribute, model: str | None = None) -> None:
        chosen = None if model is None else JsonAttr.of(model)
        super().__init__(
            operands=[texts], result_types=[result], properties={"effects": LLM, "model": chosen}
        )


@irdl_op_definition
class ExecuteOp(IRDLOperation):
    """Runs a plan that a model wrote, with the tools its type names. `effects` are theirs together."""

    name = "agent.execute"
    effects = prop_def(EffectsAttr)
    plan = operand_def(PlanType)
    result = result_def(ListType)
    traits = traits_def(DeclaredEffects())
    assembly_format = "`(` " + OUTSIDE

    def __init__(self, plan: SSAValue, result: Attribute, effects: EffectsAttr) -> None:
        super().__init__(operands=[plan], result_types=[result], properties={"effects": effects})


@irdl_op_definition
class SleepOp(IRDLOperation):
    """Waits until so many seconds have gone by."""

    name = "agent.sleep"
    effects = prop_def(EffectsAttr)
    seconds = operand_def(f64)
    result = result_def(NoneType)
    traits = traits_def(DeclaredEffects())
    assembly_format = "`(` " + OUTSIDE

    def __init__(self, seconds: SSAValue) -> None:
        super().__init__(operands=[seconds], result_types=[NoneType()], properties={"effects": SLEEP})


def tools_of(op: ExecuteOp) -> tuple[StringAttr, ...]:
    """The tools that the plan of an `agent.execute` may use."""
    return op.plan.type.tools.data if isinstance(op.plan.type, PlanType) else ()
