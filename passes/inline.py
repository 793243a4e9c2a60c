"""inline: puts the bodies of small flows in the place of their calls.

What a call hides, its effects and its parallelism, then lies open. A flow under limits keeps them: its body
stands in a `flow.limit`. Callees come before callers, so a body is complete when it is copied, and growth
is bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import Rewriter

from flowc.dialects.flow.compute import CastOp
from flowc.dialects.flow.control import LimitOp, YieldOp, region_of
from flowc.dialects.flow.declarations import CallOp, FuncOp
from flowc.passes.extents import with_extents
from flowc.passes.facts import callee_of, flows_of, name_of, operations_inside
from flowc.passes.framework import Findings, FlowPass, Report, block_of, replace_with


@dataclass(frozen=True)
class InlinePass(FlowPass):
    """Puts small flows in place of calls: `largest` operations each, `growth` times the program in all."""

    name = "inline"
    largest: int = 100
    growth: int = 3

    def run(self, module: ModuleOp) -> Report:
        """Runs `inline`."""
        return inline(module, self.largest, self.growth)


def inline(module: ModuleOp, largest: int = 100, growth: int = 3) -> Report:
    """Inlines calls; gives how many, and why some stay."""
    functions = flows_of(module)
    calls = {name: _calls(function) for name, function in functions.items()}
    sizes = {name: len(operations_inside(function)) for name, function in functions.items()}
    room = max(1000, growth * sum(sizes.values()))
    findings = Findings("inline")
    for name in callees_first(calls):
        for call in calls[name]:
            callee = callee_of(call)
            if callee not in functions or callee == name or "associative" in functions[callee].attributes:
                continue  # a chain of calls of what is associative becomes a tree, while they are calls
            if sizes[callee] > largest or sizes[callee] > room:
                size = f"its body has {sizes[callee]} operations"
                findings.remark(call, f"the call of {name_of(call)} stays: {size}")
                continue
            findings.fired += 1
            _inline_call(call, functions[callee], f".{findings.fired}")
            sizes[name] += sizes[callee]
            room -= sizes[callee]
    return findings.report()


def callees_first(calls: Mapping[str, list[CallOp]]) -> list[str]:
    """Flows in an order in which each comes after those it calls; what calls itself comes anywhere."""
    order: list[str] = []
    seen: set[str] = set()
    for root in calls:
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            name, done = stack.pop()
            if done:
                order.append(name)
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack.extend((callee_of(call), False) for call in calls.get(name, ()))
    return [name for name in order if name in calls]


def _calls(function: FuncOp) -> list[CallOp]:
    return [op for op in operations_inside(function) if isinstance(op, CallOp)]


def _inline_call(call: CallOp, callee: FuncOp, suffix: str) -> None:
    block = block_of(call)
    region = region_of()
    copies, result = _copy(call, callee, suffix)
    if callee.limits is None:
        for copy in copies:
            block.insert_op_before(copy, call)
        replace_with(call, [result])
        return
    region.block.add_ops(copies)
    last = YieldOp(result)
    last.location = call.location
    region.block.add_op(last)
    limit = LimitOp(callee.limits, [call.result.type], region)
    limit.location = call.location
    block.insert_op_before(limit, call)
    replace_with(call, list(limit.res))


def _copy(call: CallOp, callee: FuncOp, suffix: str) -> tuple[list[Operation], SSAValue]:
    """Copies of the body's operations, conversions at the edges included, and the value they end with."""
    copies: list[Operation] = []

    def converted(value: SSAValue, type_: Attribute) -> SSAValue:
        if value.type == type_:
            return value
        cast = CastOp(value, type_)
        cast.location = call.location
        copies.append(cast)
        return cast.result

    values: dict[SSAValue, SSAValue] = {}
    for argument, given in zip(callee.body.block.args, call.arguments, strict=True):
        values[argument] = converted(given, with_own_extents(argument.type, suffix))
    edge = len(copies)
    *body, _ = callee.body.block.ops
    copies.extend(op.clone(values) for op in body)
    last = callee.returned()
    if last is None:
        raise ValueError(f"flow {callee.sym_name.data} returns nothing")
    value = values.get(last, last)
    owner = value.owner
    position = owner.results.index(value) if isinstance(owner, Operation) else 0
    for copy in copies[edge:]:
        _rename_extents(copy, suffix)
    if isinstance(owner, Operation) and owner in copies:
        value = owner.results[position]  # renaming may have put another value in its place
    return copies, converted(value, call.result.type)


def _rename_extents(op: Operation, suffix: str) -> None:
    """Makes the names of extents in a copy its own: `n` of one flow is not `n` of another."""
    for inner in op.walk():
        for result in inner.results:
            _retype(result, suffix)
        for region in inner.regions:
            for argument in region.block.args:
                _retype(argument, suffix)


def _retype(value: SSAValue, suffix: str) -> None:
    own = with_own_extents(value.type, suffix)
    if own != value.type:
        Rewriter.replace_value_with_new_type(value, own)


def with_own_extents(type_: Attribute, suffix: str) -> Attribute:
    """The type with a suffix to each extent's name."""
    return with_extents(type_, lambda each: f"{each}{suffix}" if isinstance(each, str) and each else each)
