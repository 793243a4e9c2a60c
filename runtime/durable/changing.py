"""Calls with other arguments than the program gives them: what a fork sets in place of a parameter.

A value of the program may be read by many calls, and only one of them is changed. So the slots of its frame
stay as they are, and the call is made with a copy of them.
"""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowc.runtime.durable.codec import unpacked
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.blocks import BODY, Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame

Changes = Mapping[str, Mapping[str, Any]]
"""By step the values that are set in place of its parameters."""

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def changes_of(head: Mapping[str, Any], blob: Callable[[bytes], bytes]) -> Changes:
    """What a run sets: nothing, unless it is a fork."""
    written: Mapping[str, Mapping[str, Any]] = head.get("forked", {}).get("set", {})
    return {
        step: {name: unpacked(value, blob) for name, value in values.items()}
        for step, values in written.items()
    }


def names_of(instruction: Instruction) -> list[str]:
    """What the inputs of a call are called: its parameters, or the holes of its prompt; "" where they have no
    name of their own.
    """
    names = [""] * len(instruction.inputs)
    operation = instruction.operation
    if operation is None:
        return names
    if operation.kind == "tool":
        return [parameter.name for parameter in operation.parameters]
    segments: Any = instruction.node.settings.get("segments", [])
    for segment in segments:
        if isinstance(segment, Mapping) and _PATH.fullmatch(segment["name"]):
            names[segment["input"]] = segment["name"]
    return names


def settable(instruction: Instruction) -> list[str]:
    """The parameters of a call in place of which a value can be set."""
    operation: Operation | None = instruction.operation
    read = {name.split(".")[0] for name in names_of(instruction)}
    return [] if operation is None else [each.name for each in operation.parameters if each.name in read]


def changed_values(instruction: Instruction, values: Sequence[Any], given: Mapping[str, Any]) -> list[Any]:
    """The inputs of a call, with what is `given` in place of some of its parameters."""
    return [
        _member(given[name.split(".")[0]], name) if name.split(".")[0] in given else value
        for value, name in zip(values, names_of(instruction), strict=True)
    ]


def _member(value: Any, name: str) -> Any:
    for field in name.split(".")[1:]:
        value = value[field] if isinstance(value, Mapping) else getattr(value, field)
    return value


def changed_call(instruction: Instruction, given: Mapping[str, Any]) -> Instruction:
    """The call, made with these values of its parameters."""
    changed = copy.copy(instruction)
    act = instruction.act
    if instruction.kind == BODY:
        changed.act = lambda slots: act(_InTurn(_inputs(instruction, slots, given)))
        return changed

    async def call(engine: Engine, frame: Frame, _: Instruction) -> Any:
        return await act(engine, *shown(frame, instruction, given))

    changed.act = call
    return changed


def shown(frame: Frame, instruction: Instruction, given: Mapping[str, Any]) -> tuple[Frame, Instruction]:
    """A frame and a call for one that waits: with copies of its inputs behind the other slots."""
    values = _inputs(instruction, frame.slots, given)
    other, call = copy.copy(frame), copy.copy(instruction)
    first = len(frame.slots)
    other.slots = [*frame.slots, *values]
    call.inputs = tuple(range(first, first + len(values)))
    return other, call


def _inputs(instruction: Instruction, slots: Sequence[Any], given: Mapping[str, Any]) -> list[Any]:
    return changed_values(instruction, [slots[slot] for slot in instruction.inputs], given)


class _InTurn(list[Any]):
    """In place of the slots of a body: gives the inputs in turn, in which order a body reads them."""

    def __init__(self, values: list[Any]) -> None:
        super().__init__(values)
        self.next = iter(values).__next__

    def __getitem__(self, slot: Any) -> Any:
        return self.next()
