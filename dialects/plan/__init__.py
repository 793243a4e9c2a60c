"""The plan dialect: what the runtime does, node by node, in the form in which people read it.

A node waits for its operands. Among them are tokens of nodes that must end first although no data flows, so
the order of effects is as explicit as that of data. The text of `--emit=plan` is this dialect.
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import Float64Type, FloatAttr, StringAttr, f64
from xdsl.dialects.utils import AbstractYieldOperation
from xdsl.ir import Attribute, Dialect, Operation, ParametrizedAttribute, Region, SSAValue, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_region_def,
    var_result_def,
)
from xdsl.traits import IsTerminator, Pure, ReturnLike
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.flow.attributes import Json, JsonAttr
from flowc.dialects.flow.declarations import FunctionOp


@irdl_attr_definition
class TokenType(ParametrizedAttribute, TypeAttribute):
    """The end of a node, for nodes that must come later."""

    name = "plan.token"


@irdl_op_definition
class FuncOp(FunctionOp):
    """A flow as the runtime runs it."""

    name = "plan.func"


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """A value that is there from the start."""

    name = "plan.constant"
    value = prop_def(JsonAttr)
    result = result_def()
    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($result)"

    def __init__(self, value: JsonAttr, type_: Attribute) -> None:
        super().__init__(properties={"value": value}, result_types=[type_])


class NodeOp(IRDLOperation):
    """A node: the runtime's instruction, a name for people, settings, upward rank, expected milliseconds."""

    instruction = prop_def(StringAttr)
    label = prop_def(StringAttr)
    settings = opt_prop_def(JsonAttr)
    rank = opt_prop_def(FloatAttr[Float64Type])
    cost = opt_prop_def(FloatAttr[Float64Type])
    inputs = var_operand_def()
    outputs = var_result_def()
    bodies = var_region_def("single_block")
    assembly_format = (
        "$instruction $label (`settings` $settings^)? (`rank` $rank^)? (`cost` $cost^)? attr-dict"
        " `(` $inputs `)` `:` functional-type($inputs, $outputs) $bodies"
    )

    def __init__(
        self,
        instruction: str,
        label: str,
        inputs: Sequence[SSAValue],
        outputs: Sequence[Attribute],
        *,
        settings: dict[str, Json] | None = None,
        rank: float = 0.0,
        cost: float = 0.0,
        bodies: Sequence[Region] = (),
    ) -> None:
        super().__init__(
            operands=[inputs],
            result_types=[outputs],
            properties={
                "instruction": StringAttr(instruction),
                "label": StringAttr(label),
                "settings": JsonAttr.of(settings) if settings else None,
                "rank": FloatAttr(rank, f64) if rank else None,
                "cost": FloatAttr(cost, f64) if cost else None,
            },
            regions=[bodies],
        )

    @property
    def data(self) -> tuple[SSAValue, ...]:
        """The inputs that are values."""
        return tuple(value for value in self.inputs if not isinstance(value.type, TokenType))

    @property
    def waits(self) -> tuple[SSAValue, ...]:
        """The inputs that are tokens."""
        return tuple(value for value in self.inputs if isinstance(value.type, TokenType))

    def verify_(self) -> None:
        """At most one token, the last output; a region exactly where the kind of node has one."""
        tokens = [isinstance(type_, TokenType) for type_ in self.result_types]
        if any(tokens[:-1]):
            raise VerifyException(f"{self.name}: only the last output is a token")
        if bool(self.bodies) != isinstance(self, ForkOp | ScopeOp):
            raise VerifyException(
                f"{self.name}: regions belong to plan.fork and plan.scope, and they need one"
            )


@irdl_op_definition
class TaskOp(NodeOp):
    """A single step: a function, a tool, a model, a person, another flow."""

    name = "plan.task"


@irdl_op_definition
class KernelOp(NodeOp):
    """A call of native code."""

    name = "plan.kernel"


@irdl_op_definition
class ForkOp(NodeOp):
    """Regions that may run at the same time: a map, a race, a vote."""

    name = "plan.fork"


@irdl_op_definition
class ScopeOp(NodeOp):
    """Regions of which one runs at a time: a branch, a loop, an attempt, a limit."""

    name = "plan.scope"


@irdl_op_definition
class YieldOp(AbstractYieldOperation[Attribute]):
    """Ends a region, or a function, with its values."""

    name = "plan.yield"
    traits = traits_def(IsTerminator(), ReturnLike(), Pure())


OPERATIONS: list[type[Operation]] = [ConstantOp, ForkOp, FuncOp, KernelOp, ScopeOp, TaskOp, YieldOp]
ATTRIBUTES: list[type[Attribute]] = [TokenType]

Plan = Dialect("plan", OPERATIONS, ATTRIBUTES)
