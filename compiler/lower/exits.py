"""How a block of statements ends, and how the ends of several regions become one.

A region may fall through, return, break or continue; which, may be known only at run time. `Exit` says so
with flags that are constants where the text decides. Regions that differ yield the flags, the returned
value, and the variables they changed; `merge` adds those yields and reads the results.
"""

from collections.abc import Callable, Sequence

from attrs import define, field
from xdsl.dialects.builtin import i1
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.compiler.lower.frame import Frame
from flowc.compiler.lower.types import meet
from flowc.dialects.flow.compute import AbsentOp, SelectOp
from flowc.dialects.flow.control import YieldOp

Flag = bool | SSAValue
FLAGS = ("returned", "broke", "continued")


@define
class Exit:
    """The end of a block: its flags, the value it returned, the variables as they are then.

    `gone` marks an end that certainly leaves although only the run knows how.
    """

    variables: dict[str, SSAValue]
    changed: set[str] = field(factory=set)
    returned: Flag = False
    broke: Flag = False
    continued: Flag = False
    value: SSAValue | None = None
    gone: bool = False

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags in the order of `FLAGS`."""
        return self.returned, self.broke, self.continued

    @property
    def falls_through(self) -> bool:
        """Whether what follows is certainly reached."""
        return all(flag is False for flag in self.flags)

    @property
    def leaves(self) -> bool:
        """Whether what follows is certainly not reached."""
        return self.gone or any(flag is True for flag in self.flags)


def end_of(frame: Frame) -> Exit:
    """The end of a block that falls through here."""
    return Exit(frame.variables, frame.changed)


def either(frame: Frame, flags: Sequence[Flag]) -> Flag:
    """Whether one of the flags is set; constants cost nothing."""
    if any(flag is True for flag in flags):
        return True
    dynamic = [flag for flag in flags if isinstance(flag, SSAValue)]
    if not dynamic:
        return False
    result = dynamic[0]
    for flag in dynamic[1:]:
        result = frame.emit(SelectOp(result, frame.truth(True), flag))
    return result


def as_value(frame: Frame, flag: Flag) -> SSAValue:
    """The flag as a value."""
    return flag if isinstance(flag, SSAValue) else frame.truth(flag)


def value_or_absent(frame: Frame, value: SSAValue | None, type_: Attribute) -> SSAValue:
    """The value as `type_`, or a stand-in where there is none."""
    return frame.emit(AbsentOp(type_)) if value is None else frame.converted(value, type_)


Make = Callable[[Sequence[Attribute]], Operation]
"""Makes the operation around the regions, given the types of its results."""


def merge(frame: Frame, places: Sequence[tuple[Frame, Exit]], make: Make) -> Exit:
    """Ends the regions, adds the operation that holds them to `frame`, and gives its end."""
    exits = [end for _, end in places]
    dynamic = [
        name for position, name in enumerate(FLAGS) if _differs([end.flags[position] for end in exits])
    ]
    needs_value = any(end.returned is not False for end in exits)
    names = _merged_names(exits)
    types = [_variable_type(exits, name) for name in names]
    for place, end in places:
        place.span = frame.span
        values = [
            as_value(place, flag) for name, flag in zip(FLAGS, end.flags, strict=True) if name in dynamic
        ]
        if needs_value:
            values.append(value_or_absent(place, end.value, frame.result_type))
        for name, type_ in zip(names, types, strict=True):
            values.append(
                value_or_absent(place, None if end.returned is True else end.variables.get(name), type_)
            )
        place.add(YieldOp(*values))
    op = frame.add(make([i1] * len(dynamic) + [frame.result_type] * needs_value + types))
    results = list(op.results)
    returned, broke, continued = (
        results.pop(0) if name in dynamic else flag for name, flag in zip(FLAGS, exits[0].flags, strict=True)
    )
    end = Exit(frame.variables, frame.changed, returned, broke, continued)
    end.value = results.pop(0) if needs_value else None
    for name, value in zip(names, results, strict=True):
        frame.assign(name, value)
    end.gone = all(each.leaves for each in exits)
    return end


def _differs(flags: Sequence[Flag]) -> bool:
    return len(set(flags)) > 1 or isinstance(flags[0], SSAValue)


def _merged_names(exits: Sequence[Exit]) -> list[str]:
    """The variables that regions changed, in a fixed order.

    One that some region cannot give on its way on is dropped: the checker has seen that nothing reads it
    then. A region that breaks or continues need not have it, one that returns need not have any.
    """
    alive = [end for end in exits if end.returned is not True]
    going_on = [end for end in alive if not end.leaves] or alive
    changed: set[str] = set().union(*(end.changed for end in alive))
    return [name for name in sorted(changed) if all(name in end.variables for end in going_on)]


def _variable_type(exits: Sequence[Exit], name: str) -> Attribute:
    known = [end.variables[name].type for end in exits if end.returned is not True and name in end.variables]
    result = known[0]
    for type_ in known[1:]:
        result = meet(result, type_)
    return result
