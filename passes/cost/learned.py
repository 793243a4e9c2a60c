"""What a module's calls and steps are expected to take, kept on the module itself: passes read it there."""

from xdsl.dialects.builtin import FileLineColLoc, ModuleOp
from xdsl.ir import Operation

from flowc.dialects.agent.calls import GenerateBatchOp
from flowc.dialects.flow import control
from flowc.dialects.flow.attributes import JsonAttr
from flowc.runtime.expectations import NOTHING, Expectations, StepExpectation, step_key
from flowc.runtime.expectations_json import from_json, to_json

EXPECTED = "flow.expected"
"""The attribute of a module that holds the expectations of its program."""
_INSTRUCTIONS: tuple[tuple[type[Operation], str], ...] = (
    (GenerateBatchOp, "generate_batch"),
    (control.ElementwiseOp, "map"),
    (control.ForOp, "for"),
    (control.WhileOp, "while"),
    (control.VoteOp, "vote"),
    (control.IfOp, "if"),
    (control.AttemptOp, "attempt"),
)


def keep_expectations(module: ModuleOp, expectations: Expectations) -> None:
    """Puts expectations onto a module, for the passes and the plan, where there are any."""
    if expectations != NOTHING:
        module.attributes[EXPECTED] = JsonAttr.of(to_json(expectations))


def expectations_of(module: ModuleOp) -> Expectations | None:
    """The expectations that a module carries; raises ValueError where they are none."""
    found = module.attributes.get(EXPECTED)
    return from_json(found.value) if isinstance(found, JsonAttr) else None


def step_place(op: Operation) -> tuple[str, int, int] | None:
    """The instruction of a step of control flow, and its line and column; None for what is none."""
    location = op.location
    if not isinstance(location, FileLineColLoc):
        return None
    for kind, instruction in _INSTRUCTIONS:
        if isinstance(op, kind):
            return instruction, location.line.data, location.column.data
    return None


def step_of(op: Operation, expectations: Expectations) -> StepExpectation | None:
    """How often the inside of a step is expected to run; None where no run has shown it."""
    place = step_place(op) if expectations.steps else None
    return None if place is None else expectations.steps.get(step_key(*place))
