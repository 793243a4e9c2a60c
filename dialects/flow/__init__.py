"""The flow dialect: structure and control of agentic programs."""

from xdsl.ir import Attribute, Dialect, Operation

from flowc.dialects.flow.attributes import EffectsAttr, JsonAttr, LimitsAttr, ParameterAttr
from flowc.dialects.flow.compute import (
    AbsentOp,
    ApplyOp,
    CastOp,
    ConstantOp,
    DeclassifyOp,
    DictOp,
    EndorseOp,
    FieldOp,
    ItemOp,
    ListOp,
    RecordOp,
    SelectOp,
    TupleOp,
)
from flowc.dialects.flow.control import (
    AttemptOp,
    ForOp,
    IfOp,
    LimitOp,
    MapOp,
    RaceOp,
    TransactionOp,
    VoteOp,
    WhileOp,
    YieldOp,
)
from flowc.dialects.flow.declarations import CallOp, EnumDeclOp, FuncOp, RecordDeclOp, ReturnOp
from flowc.dialects.flow.speculation import SpeculateOp
from flowc.dialects.flow.types import (
    BytesType,
    DictType,
    EnumType,
    IntType,
    JsonType,
    ListType,
    NoneType,
    OptionalType,
    PlanType,
    RecordType,
    StartedType,
    StrType,
    TupleType,
)

OPERATIONS: list[type[Operation]] = [
    AbsentOp,
    ApplyOp,
    AttemptOp,
    CallOp,
    CastOp,
    ConstantOp,
    DeclassifyOp,
    DictOp,
    EndorseOp,
    EnumDeclOp,
    FieldOp,
    ForOp,
    FuncOp,
    IfOp,
    ItemOp,
    LimitOp,
    ListOp,
    MapOp,
    RaceOp,
    RecordDeclOp,
    RecordOp,
    ReturnOp,
    SelectOp,
    SpeculateOp,
    TransactionOp,
    TupleOp,
    VoteOp,
    WhileOp,
    YieldOp,
]
ATTRIBUTES: list[type[Attribute]] = [
    BytesType,
    DictType,
    EffectsAttr,
    EnumType,
    IntType,
    JsonAttr,
    JsonType,
    LimitsAttr,
    ListType,
    NoneType,
    OptionalType,
    ParameterAttr,
    PlanType,
    RecordType,
    StartedType,
    StrType,
    TupleType,
]

Flow = Dialect("flow", OPERATIONS, ATTRIBUTES)

__all__ = ["ATTRIBUTES", "OPERATIONS", "Flow"]
