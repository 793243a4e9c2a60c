"""How a block of statements ends, and how the ends of several regions become one.

A region may fall through, return, break or continue; which, may be known only at run time. `Exit` says so with
flags that are constants where the text decides. Regions that differ yield the flags, the returned value, and the
variables they changed; `merge` adds those yields and reads the results.
"""

from collections.abc import Callable, Sequence

from attrs import define, evolve, field
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
    """The end of a block: its flags, the value it returned, the variables as they are then."""

    variables: dict[str, SSAValue]
    changed: set[str] = field(factory=set)
    returned: Flag = False
    broke: Flag = False
    continued: Flag = False
    value: SSAValue | None = None

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags in the order of `FLAGS`."""
        return self.returned, self.broke, self.continued

    @property
    def falls_through(self) -> bool:
        """Whether what follows is certainly reached."""
        return not any(isinstance(flag, SSAValue) or flag for flag in self.flags)

    @property
    def leaves(self) -> bool:
        """Whether what follows is certainly not reached."""
        return any(flag is True for flag in self.flags)


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


Make = Callable[[Sequence[Attribute]], Operation]
"""Makes the operation around the regions, given the types of its results."""


def merge(frame: Frame, places: Sequence[tuple[Frame, Exit]], make: Make) -> Exit:
    """Ends the regions, adds the operation that holds them to `frame`, and gives its end.

    Ends in which a variable is missing drop it: the checker has seen that nothing reads it then.
    """
    exits = [end for _, end in places]
    dynamic = [name for position, name in enumerate(FLAGS) if len({_key(end.flags[position]) for end in exits}) > 1
               or isinstance(exits[0].flags[position], SSAValue)]  # fmt: skip
    needs_value = any(end.returned is not False for end in exits)
    names = _merged_names(exits)
    types = [_variable_type(exits, name) for name in names]
    results = [i1] * len(dynamic) + ([frame.result_type] if needs_value else []) + types
    for place, end in places:
        place.span = frame.span
        values = [as_value(place, getattr(end, name)) for name in dynamic]
        if needs_value:
            values.append(end.value if end.value is not None else place.emit(AbsentOp(frame.result_type)))
        for name, type_ in zip(names, types, strict=True):
            known = end.variables.get(name) if not end.leaves else None
            values.append(place.converted(known, type_) if known is not None else place.emit(AbsentOp(type_)))
        place.add(YieldOp(*values))
    op = frame.add(make(results))
    return _after(frame, exits, dynamic, names, needs_value, list(op.results))


def _after(
    frame: Frame,
    exits: Sequence[Exit],
    dynamic: Sequence[str],
    names: Sequence[str],
    needs_value: bool,
    results: list[SSAValue],
) -> Exit:
    end = Exit(frame.variables, frame.changed)
    for position, name in enumerate(FLAGS):
        flag = results.pop(0) if name in dynamic else exits[0].flags[position]
        end = evolve(end, **{name: flag})
    if needs_value:
        end.value = results.pop(0)
    for name, value in zip(names, results, strict=True):
        frame.assign(name, value)
    return end


def _key(flag: Flag) -> object:
    return id(flag) if isinstance(flag, SSAValue) else flag


def _merged_names(exits: Sequence[Exit]) -> list[str]:
    """The variables that regions changed and every region that can go on knows, in a fixed order."""
    going_on = [end for end in exits if not end.leaves]
    changed = set().union(*(end.changed for end in going_on))
    return [name for name in sorted(changed) if all(name in end.variables for end in going_on)]


def _variable_type(exits: Sequence[Exit], name: str) -> Attribute:
    types = [end.variables[name].type for end in exits if not end.leaves]
    result = types[0]
    for type_ in types[1:]:
        result = meet(result, type_)
    return result
