"""Which operations of a loop's round wait for the round before, and which could be done for many rounds at
once: the parts into which the loop may be cut."""

from collections.abc import Iterator, Sequence

from attrs import frozen
from xdsl.dialects import arith, math, memref, scf
from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import BlockArgument, Operation, SSAValue

MOST = 200
"""Operations of a loop that is looked at."""
_CHEAP = (
    math.AbsFOp, math.SqrtOp, math.RsqrtOp, math.FloorOp, math.CeilOp, math.TruncOp, math.RoundEvenOp,
    math.CopySignOp, math.FmaOp,
)  # fmt: skip

Node = Operation | SSAValue
"""An operation of a loop, or a number that it carries, as it is when a round begins."""
Edges = dict[Node, set[Node]]
"""What needs each node, in the same round or in the next."""


@frozen
class Parts:
    """The part of a loop in which each node stands: in those of even number rounds wait for one another."""

    place: dict[Node, int]


def parts_of(loop: scf.ForOp) -> Parts | None:
    """The parts of a loop in which elementary functions stand beside what rounds wait for; None of any other.

    What needs nothing but the counter and memory that the loop leaves alone has no place: it is computed in
    each part that needs it.
    """
    body = [op for op in loop.body.block.ops if not isinstance(op, scf.YieldOp)]
    carried = loop.body.block.args[1:]
    if not carried or len(body) > MOST or not any(map(_is_function, body)) or not _is_simple(loop, body):
        return None
    written = {op.memref for op in body if isinstance(op, memref.StoreOp)}
    given: set[Operation] = set()
    for op in body:
        known = isinstance(op, memref.LoadOp) and op.memref not in written
        if (known or op.dialect_name() == "arith") and all(_is_given(loop, given, v) for v in op.operands):
            given.add(op)
    nodes: list[Node] = [*carried, *(op for op in body if op not in given and not _is_unused(op))]
    edges = {node: set(needed_by(loop, node)) & set(nodes) for node in nodes}
    for memory in written:
        uses = [op for op in nodes if isinstance(op, memref.LoadOp | memref.StoreOp) and op.memref is memory]
        for one, other in zip(uses, uses[1:] + uses[:1], strict=True):
            if one is not other:
                edges[one].add(other)
    place = _places(nodes, edges, set(carried))
    return Parts(place) if len(set(place.values())) > 1 else None


def needed_by(loop: scf.ForOp, node: Node) -> Iterator[Node]:
    """What computes with a node, or the number that it is in the next round."""
    for value in node.results if isinstance(node, Operation) else (node,):
        for use in value.uses:
            after = isinstance(use.operation, scf.YieldOp)
            yield loop.body.block.args[use.index + 1] if after else use.operation


def _is_function(node: Node) -> bool:
    return isinstance(node, Operation) and node.dialect_name() == "math" and not isinstance(node, _CHEAP)


def _is_simple(loop: scf.ForOp, body: Sequence[Operation]) -> bool:
    """Whether a loop counts by one, and computes, loads and stores."""
    step = loop.step.owner
    known = (
        isinstance(step, arith.ConstantOp)
        and isinstance(step.value, IntegerAttr)
        and step.value.value.data == 1
    )
    return known and all(
        op.dialect_name() in ("arith", "math") or isinstance(op, memref.LoadOp | memref.StoreOp)
        for op in body
    )


def _is_given(loop: scf.ForOp, given: set[Operation], value: SSAValue) -> bool:
    block = loop.body.block
    if isinstance(value, BlockArgument):
        return value.block is not block or value.index == 0
    return value.owner in given or (isinstance(value.owner, Operation) and value.owner.parent is not block)


def _is_unused(op: Operation) -> bool:
    return isinstance(op, memref.LoadOp) and not list(op.res.uses)


def _places(nodes: Sequence[Node], edges: Edges, carried: set[SSAValue]) -> dict[Node, int]:
    """The first part for each node that its operands allow: functions are in odd ones, what waits in even."""
    beyond = {node: _reached(edges, node) for node in nodes}
    circles = {node: {other for other in beyond[node] if node in beyond[other]} for node in nodes}
    before = {node: [other for other in nodes if node in edges[other]] for node in nodes}
    place = dict.fromkeys(nodes, 0)
    changed = True
    while changed:
        changed = False
        for node in nodes:
            least = max([place[node], *(place[other] for other in before[node])])
            waits = bool(circles[node]) or node in carried
            odd = least % 2 == 1
            least += (waits and odd) or (not waits and not odd and _is_function(node))
            for other in circles[node] | {node}:
                changed |= place[other] != least
                place[other] = least
    return place


def _reached(edges: Edges, node: Node) -> set[Node]:
    found: set[Node] = set()
    pending = [*edges[node]]
    while pending:
        here = pending.pop()
        if here not in found:
            found.add(here)
            pending += edges[here]
    return found
