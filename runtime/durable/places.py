"""Where a step stands in a plan: the call behind a path, found without a run and without any code."""

from collections.abc import Callable, Mapping
from typing import Any

from flowc.runtime.plan import Operation, Plan
from flowc.runtime.scheduler.binding import Bindings
from flowc.runtime.scheduler.blocks import Block, Instruction


class _AnyKernel(dict[str, Callable[..., Any]]):
    """Code for every kernel, none of which is ever run."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Callable[..., Any]:
        return _never


def _never(*_: Any) -> Any:
    raise AssertionError("a plan that is only looked at calls nothing")


def _stand_in(operation: Operation) -> Callable[..., Any]:
    return _never


def outline(plan: Plan, kernels: Mapping[str, Callable[..., Any]] | None = None) -> Bindings:
    """A plan to look at, or, with code for its kernels, to replay: its tools are never called."""
    return Bindings(plan, {}, _AnyKernel() if kernels is None else kernels, stand_in=_stand_in)


def calls_to(bindings: Bindings, flow: str, step: str) -> list[Instruction]:
    """The calls that lead to a step, the outermost first and that of the step itself last. Of a step of a
    plan that a model wrote the last one is `execute`. Empty where the plan has no such step.
    """
    start = start_of(bindings, flow, step)
    return [] if start is None else _below(bindings, *start)


def start_of(bindings: Bindings, flow: str, step: str) -> tuple[Block, str] | None:
    """The body of a flow, and what is left of the path of a step in it."""
    if flow not in bindings.plan.functions or not step.startswith(flow):
        return None
    _, rest = _past_position(step[len(flow) :])
    return bindings.block(flow), rest


def _below(bindings: Bindings, block: Block, rest: str) -> list[Instruction]:
    """The calls that lead from a block to the step that is left of a path, as in "/5:notes[2]/1:judge"."""
    instruction = first_of(block, rest)
    if instruction is None:
        return []
    left = rest[1 + len(instruction.place) :]
    if not left or not has_blocks(instruction):
        return [instruction]
    there = inside(instruction, left)
    inner = None if there is None else block_of(bindings, instruction, there[0])
    if there is None or inner is None:
        return []
    found = _below(bindings, inner, there[2])
    return [instruction, *found] if found else []


def first_of(block: Block, rest: str) -> Instruction | None:
    """The call of a block with which a path begins."""
    for instruction in block.instructions:
        place = instruction.place
        begins = instruction.works and rest.startswith(place, 1)
        if begins and rest[1 + len(place) : 2 + len(place)] in ("", "/", "[", "."):
            return instruction
    return None


def inside(instruction: Instruction, left: str) -> tuple[int, str, str] | None:
    """The number of the block of a call in which a path goes on, how the path says so, and what is left of
    it.
    """
    said, rest = _past_position(left)
    if len(instruction.blocks) < 2:
        return 0, said, rest
    for number in range(len(instruction.blocks)):
        if rest.startswith(f".{number}/"):
            return number, f"{said}.{number}", rest[len(f".{number}") :]
    return None


def has_blocks(instruction: Instruction) -> bool:
    """Whether there are steps of the program below a call."""
    return bool(instruction.blocks) or instruction.node.op == "call"


def block_of(bindings: Bindings, instruction: Instruction, number: int) -> Block | None:
    """A block of a call: of a flow the flow's own."""
    if instruction.node.op == "call":
        return bindings.block(str(instruction.node.settings["function"]))
    return instruction.blocks[number] if number < len(instruction.blocks) else None


def _past_position(rest: str) -> tuple[str, str]:
    """The number of an element, a turn or a try, and what follows it."""
    end = rest.index("]") + 1 if rest.startswith("[") and "]" in rest else 0
    return rest[:end], rest[end:]
