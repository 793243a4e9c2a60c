"""constant-fold: functions of constants are computed by the compiler, as the runtime would compute them.

What would fail is left as it is, and so is what would grow large.
"""

import math
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp, f64, i1
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.dialects.flow.attributes import Json
from flowc.dialects.flow.compute import ApplyOp, CastOp, ConstantOp
from flowc.dialects.flow.types import IntType, JsonType, ListType, NoneType, OptionalType, StrType
from flowc.passes.framework import FlowPass, Report, Rules, place_before, rewrite
from flowc.runtime.functions import FUNCTIONS

LARGEST = 1000
"""Texts and lists longer than this, and integers with more bits, are left to the run."""


def constant_fold(module: ModuleOp) -> int:
    """Folds until nothing more can be; gives the number of operations folded."""
    return rewrite(module, RULES)


def _fold_apply(op: Operation) -> tuple[SSAValue] | None:
    if not isinstance(op, ApplyOp) or not op.arguments:
        return None
    arguments: list[Json] = []
    for value in op.arguments:
        if not isinstance(value.owner, ConstantOp):
            return None
        arguments.append(value.owner.value.value)
    name = op.function.data
    if name not in FUNCTIONS or not _is_small(name, arguments):
        return None
    try:
        found: Any = FUNCTIONS[name](*arguments)
    except Exception:  # whatever a function raises, the run must raise it, not the compiler
        return None
    if not is_constant(found, op.result.type):
        return None
    return (place_before(op, ConstantOp(found, op.result.type)).result,)


def _is_small(name: str, arguments: list[Json]) -> bool:
    if not all(_weight(argument) <= LARGEST for argument in arguments):
        return False
    numbers = [argument for argument in arguments if isinstance(argument, int | float)]
    if name == "range":
        return all(abs(number) <= LARGEST for number in numbers)
    if name == "pow":
        return all(abs(number) <= 64 for number in numbers)
    return name not in ("mul", "replace") or len(numbers) == len(arguments) == 2


def _weight(value: Json) -> int:
    match value:
        case str():
            return len(value)
        case bool() | None | float():
            return 1
        case int():
            return value.bit_length()
        case list():
            return 1 + sum(map(_weight, value))
        case dict():
            return 1 + sum(len(key) + _weight(item) for key, item in value.items())


def is_constant(value: object, type_: Attribute) -> bool:
    """Whether a value can stand in the program as a constant of this type, and is not too large for it."""
    match type_:
        case StrType():
            return isinstance(value, str) and len(value) <= LARGEST
        case IntType():
            return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= LARGEST
        case NoneType():
            return value is None
        case OptionalType():
            return value is None or is_constant(value, type_.inner)
        case ListType():
            fits = isinstance(value, list) and len(value) <= LARGEST
            return (
                fits and isinstance(value, list) and all(is_constant(item, type_.element) for item in value)
            )
        case JsonType():
            return value is None or (isinstance(value, bool | str) and _weight(value) <= LARGEST)
    if type_ == f64:
        return isinstance(value, float) and math.isfinite(value)
    return type_ == i1 and isinstance(value, bool)


def _fold_cast(op: Operation) -> tuple[SSAValue] | None:
    """An int constant as a float, a constant as an optional."""
    if not isinstance(op, CastOp) or not isinstance(op.source.owner, ConstantOp):
        return None
    value, type_ = op.source.owner.value.value, op.result.type
    if isinstance(op.source.type, IntType) and type_ == f64 and isinstance(value, int):
        value = float(value) if abs(value) < 1 << 53 else value
    if not is_constant(value, type_) or isinstance(type_, JsonType | ListType):
        return None
    return (place_before(op, ConstantOp(value, type_)).result,)


RULES: Rules = {ApplyOp: (_fold_apply,), CastOp: (_fold_cast,)}


@dataclass(frozen=True)
class ConstantFoldPass(FlowPass):
    """Computes functions of constants."""

    name = "constant-fold"

    def run(self, module: ModuleOp) -> Report:
        """Runs `constant_fold`."""
        return Report(constant_fold(module))
