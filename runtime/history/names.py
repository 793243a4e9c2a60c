"""Under which names samples are kept, so that other programs and later versions of a program find theirs."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise

from attrs import frozen

from flowc.runtime.expectations import step_key
from flowc.runtime.plan import Operation, Plan
from flowc.runtime.types import Dict, Enum, List, Optional, Record, Tuple, Type, text

DIGITS = 24
"""Hexadecimal digits of a name."""
_CONTINUES = (" ", "\t", ")", "]", "}", "#", "\n")
"""How lines begin that go on with what stands above them."""

ALIAS = "default"
"""The model of an operation that names none."""
EMBED = "embed"
"""The name of the operation that turns texts into vectors."""


def operation_name(operation: Operation, plan: Plan) -> str:
    """The name of an operation: equal ones of other programs share it. It says nothing about the prompt's
    words, which change often; how many tokens they are is part of each sample.
    """
    parameters = [[each.name, text(each.type)] for each in operation.parameters]
    types = (*(each.type for each in operation.parameters), operation.result)
    content = [operation.kind, operation.name, parameters, text(operation.result), operation.model]
    return _hash([*content, _members(types, plan)])


def embedding_name(model: str | None) -> str:
    """The name of all calls that ask a model for vectors."""
    return _hash([EMBED, model or ALIAS])


def _members(types: Iterable[Type], plan: Plan) -> Mapping[str, object]:
    """What the records and enums hold that can be reached from some types."""
    found: dict[str, object] = {}
    left = list(types)
    while left:
        match left.pop():
            case List(inner) | Dict(inner) | Optional(inner):
                left.append(inner)
            case Tuple(items):
                left.extend(items)
            case Record(name) if name not in found:
                fields = plan.records.get(name, ())
                found[name] = [[field, text(type_)] for field, type_ in fields]
                left.extend(type_ for _, type_ in fields)
            case Enum(name):
                found[name] = plan.enums.get(name, ())
            case _:
                pass
    return found


def _hash(content: object) -> str:
    written = json.dumps(content, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:DIGITS]


def _counts(line: str) -> bool:
    """Whether a line is more than a remark."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


@frozen
class Places:
    """Where steps stand in a program, by the text of the declaration around them: to edit one flow does not
    make strangers of the steps of the others.
    """

    starts: tuple[int, ...]
    names: tuple[str, ...]

    def name(self, op: str, line: int, column: int) -> str:
        """The name of a step of control flow; "" for what is none, and where its place is not known."""
        found = bisect_right(self.starts, line) - 1
        key = step_key(op, line - self.starts[found] + 1, column) if found >= 0 and line > 0 else ""
        return f"{self.names[found]}:{key}" if key else ""


def places(program: str) -> Places:
    """The places of a program by its text: a declaration begins at the margin and goes on until the next."""
    lines = program.splitlines()
    starts = [
        number for number, line in enumerate(lines, 1) if line.strip() and not line.startswith(_CONTINUES)
    ]
    names = [
        _hash([line.rstrip() for line in lines[start - 1 : end - 1] if _counts(line)])
        for start, end in pairwise([*starts, len(lines) + 1])
    ]
    return Places(tuple(starts), tuple(names))
