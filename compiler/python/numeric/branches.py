"""`if` on what only the run knows: both branches, and one value for each name that they leave behind."""

import ast
from collections.abc import Sequence

from xdsl.dialects import scf
from xdsl.ir import Block, Region, SSAValue

from flowc.compiler.python.numeric.arithmetic import python_dtype
from flowc.compiler.python.numeric.errors import UNSETTLED, Refused
from flowc.compiler.python.numeric.expressions import as_type, joined_type, truth
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.liveness import Names, assigned
from flowc.compiler.python.numeric.meeting import alike, one_array
from flowc.compiler.python.numeric.outcome import Returned, Runner
from flowc.compiler.python.numeric.values import NUMBERS, Array, Number

MISSING = object()


def branch(
    frame: Frame,
    test: object,
    sides: tuple[Sequence[ast.stmt], Sequence[ast.stmt]],
    after: Names,
    run: Runner,
) -> Returned | None:
    """Runs both sides in regions of their own and joins what they return or bind."""
    c = frame.c
    condition = truth(frame, test)
    before = frame.names
    blocks, names, outcomes = [], [], []
    for side in sides:
        frame.names = dict(before)
        block = Block()
        with c.inside(block):
            outcomes.append(run(frame, side, after))
        blocks.append(block)
        names.append(frame.names)
    frame.names = before
    join = _Join(frame, blocks)
    returned = _returned(join, outcomes)
    if returned is None:
        changed = assigned([*sides[0], *sides[1]])
        for name in sorted(changed):
            frame.names.pop(name, None)
            if name in after or name in before:
                merged = join.value(names[0].get(name, MISSING), names[1].get(name, MISSING), name)
                if merged is not MISSING:
                    frame.names[name] = merged
    results = join.close(condition)
    if returned is not None:
        return Returned(_resolved(returned.value, results))
    for name, value in frame.names.items():
        frame.names[name] = _resolved(value, results)
    return None


class _Pending:
    """A number that the `if` will give, at a position among its results."""

    def __init__(self, position: int, weak: bool) -> None:
        self.position, self.weak = position, weak


def _resolved(value: object, results: Sequence[SSAValue]) -> object:
    if isinstance(value, _Pending):
        return Number(results[value.position], value.weak)
    if isinstance(value, tuple | list):
        return type(value)(_resolved(item, results) for item in value)
    return value


class _Join:
    """The values that leave the two branches."""

    def __init__(self, frame: Frame, blocks: list[Block]) -> None:
        self.frame, self.blocks = frame, blocks
        self.yielded: list[tuple[SSAValue, SSAValue]] = []

    def value(self, first: object, second: object, name: str) -> object:
        """One value for two; MISSING where they have no common type."""
        if first is second:
            return first
        if isinstance(first, NUMBERS) and isinstance(second, NUMBERS):
            return self._number(first, second)
        if isinstance(first, tuple | list) and isinstance(second, tuple | list) and len(first) == len(second):
            items = [self.value(a, b, name) for a, b in zip(first, second, strict=True)]
            return MISSING if MISSING in items else type(first)(items)
        if isinstance(first, Array) and isinstance(second, Array):
            return self._array(first, second, name)
        return MISSING

    def _number(self, first: object, second: object) -> object:
        known = not isinstance(first, Number) and not isinstance(second, Number)
        if known and first == second and python_dtype(first) == python_dtype(second):
            return first
        type_ = joined_type([first, second])
        sides = []
        for block, value in zip(self.blocks, (first, second), strict=True):
            with self.frame.c.inside(block):
                sides.append(as_type(self.frame, value, type_))
        self.yielded.append((sides[0], sides[1]))
        return _Pending(len(self.yielded) - 1, type_[1])

    def _array(self, first: Array, second: Array, name: str) -> object:
        """Memory made before the `if`, which each branch fills."""
        if first.storage is second.storage and first.views == second.views:
            return first
        if not alike(first, second):
            return MISSING
        return one_array(self.frame.c, self.blocks, first, second, f"`{name}`")

    def close(self, condition: SSAValue) -> Sequence[SSAValue]:
        """The `if` itself; gives its results."""
        for side, block in enumerate(self.blocks):
            block.add_op(scf.YieldOp(*(pair[side] for pair in self.yielded)))
        types = [pair[0].type for pair in self.yielded]
        op = scf.IfOp(condition, types, Region(self.blocks[0]), Region(self.blocks[1]))
        self.frame.c.append(op)
        return op.results


def _returned(join: _Join, outcomes: Sequence[Returned | None]) -> Returned | None:
    first, second = outcomes
    if first is None and second is None:
        return None
    if first is None or second is None:
        raise Refused(
            "one branch returns and the other goes on", help="return at the end of both, or of neither"
        )
    value = join.value(first.value, second.value, "what is returned")
    if value is MISSING:
        raise Refused("the branches return values of different kinds", code=UNSETTLED)
    return Returned(value)
