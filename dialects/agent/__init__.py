"""The agent dialect: models, tools, people and plans, the outside world of a program."""

from xdsl.ir import Attribute, Dialect, Operation

from flowc.dialects.agent.calls import (
    AskOp,
    EmbedOp,
    ExecuteOp,
    GenerateBatchOp,
    GenerateOp,
    PromptOp,
    PromptType,
    SleepOp,
    ToolCallOp,
)
from flowc.dialects.agent.declarations import EventOp, HumanOp, LlmOp, ToolOp

OPERATIONS: list[type[Operation]] = [
    AskOp,
    EmbedOp,
    EventOp,
    ExecuteOp,
    GenerateBatchOp,
    GenerateOp,
    HumanOp,
    LlmOp,
    PromptOp,
    SleepOp,
    ToolCallOp,
    ToolOp,
]
ATTRIBUTES: list[type[Attribute]] = [PromptType]

Agent = Dialect("agent", OPERATIONS, ATTRIBUTES)

__all__ = ["ATTRIBUTES", "OPERATIONS", "Agent"]
