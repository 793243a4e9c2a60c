"""Records that a model is still writing: what reads some of their fields, and nothing else of them.

What a call or a comprehension needs of a record is found along the data, through whatever packs and unpacks
values between. It may begin with the last field that it needs, if it writes nothing and asks no person, and
neither do those that it waits for.
"""

from collections.abc import Iterator

from attrs import define, field
from xdsl.ir import Operation, SSAValue

from flowc.dialects.agent.calls import ExecuteOp, GenerateBatchOp, GenerateOp
from flowc.dialects.flow.compute import FieldOp
from flowc.dialects.flow.effects import Effects
from flowc.dialects.flow.types import ListType
from flowc.passes.explain_order import culprit, does
from flowc.passes.facts import callee_of, is_dispatched, is_terminator, reads
from flowc.passes.framework import Findings, block_of, place_before, replace_with
from flowc.passes.order import EffectOrder, GuardedOrder, is_guarded
from flowc.passes.stream_items import FOR_NOTHING, against, has_budget, mapped, mark, readers_of

FAR = 128
"""How many operations behind a call it is looked whether they may begin early."""


def stream_fields(call: GenerateOp, effects: Effects, findings: Findings, said: set[Operation]) -> None:
    """Marks a call that gives a record, and what may begin with some of its fields. Of each operation one
    thing is `said`, for the last call that it reads fields of, directly or through others.
    """
    sources = _fields(call)
    found = _sorted_out(call, sources, effects)
    wanted = found.wanted()
    if not wanted and not found.refused:
        return
    name = callee_of(call)
    for op, reason in found.refused.items():
        if op in said:
            continue
        findings.remark(op, f"this begins once `{name}` has written its whole answer: {reason}")
    for op in [op for op in wanted if is_dispatched(op) and op not in said]:
        named = " and ".join(f"`{each}`" for each in sorted(found.needs[op]))
        findings.remark(
            op, f"this begins as soon as `{name}` has written {named}{_items(op, sources, effects)}"
        )
        findings.fired += 1
    said.update(found.refused, wanted)
    if wanted:
        mark(call, *wanted)
        for source in sources:
            for reader in _by_item(source, effects):
                mark(call, mapped(reader))


def _fields(call: GenerateOp) -> list[FieldOp]:
    """What takes fields of an answer, brought together behind the call: once for each field, wherever it is
    read.
    """
    users = [use.operation for use in call.result.uses]
    found: dict[str, list[FieldOp]] = {}
    for op in users:
        if isinstance(op, FieldOp):
            found.setdefault(op.field.data, []).append(op)
    block = block_of(call)
    for name, takers in found.items():
        if all(each.parent_block() is block for each in takers):
            continue
        first = takers[0]
        made = FieldOp(call.result, name, first.result.type)
        after = call.next_op
        assert after is not None  # a block ends with a terminator
        place_before(after, made)
        made.location = first.location
        made.attributes |= {key: value for key, value in first.attributes.items() if key == "labels"}
        for each in takers:
            replace_with(each, [made.result])
        found[name] = [made]
    return [each for takers in found.values() for each in takers]


@define
class _Found:
    """Which fields of an answer the operations of a block read, directly or through others; which of them
    have to wait for all of it; why, where that is to be said.
    """

    needs: dict[Operation, frozenset[str]] = field(factory=dict)
    late: dict[Operation, str] = field(factory=dict)
    refused: dict[Operation, str] = field(factory=dict)

    def wanted(self) -> list[Operation]:
        """What may begin early and is worth it, and what that needs, the fields among it."""
        kept: list[Operation] = []
        read: set[SSAValue] = set()
        for op in reversed([op for op in self.needs if op not in self.late]):
            if is_dispatched(op) or not read.isdisjoint(op.results):
                kept.append(op)
                read.update(reads(op))
        return kept[::-1]


def _sorted_out(call: GenerateOp, sources: list[FieldOp], effects: Effects) -> _Found:
    found = _Found({call: frozenset()}, {call: ""})
    order = GuardedOrder(effects) if is_guarded(block_of(call)) else EffectOrder(effects)
    order.before(call)
    for op in _behind(call):
        before = {
            *order.before(op),
            *(value.owner for value in reads(op) if isinstance(value.owner, Operation)),
        }
        before &= found.needs.keys()
        if is_terminator(op) or not before:
            continue
        if op in sources and isinstance(op, FieldOp):
            found.needs[op] = frozenset({op.field.data})
            continue
        fields = found.needs[op] = frozenset().union(*(found.needs[each] for each in before))
        waits = [found.late[each] for each in before if each in found.late]
        reason = _against(op, call, effects) or next(filter(None, waits), "")
        if not waits and not reason:
            continue
        found.late[op] = reason
        if fields and reason and is_dispatched(op):
            found.refused[op] = reason
            found.late[op] = ""  # it has been said
    return found


def _behind(call: GenerateOp) -> Iterator[Operation]:
    """The operations behind a call, as far as it is worth looking."""
    op = call.next_op
    for _ in range(FAR):
        if op is None:
            return
        yield op
        op = op.next_op


def _against(op: Operation, call: GenerateOp, effects: Effects) -> str:
    """Why an operation waits for the end of the answer by itself; empty where it need not."""
    if _is_batched(call):
        return "the calls of all elements are made as one batch"
    if not effects.of(op).commutes_with_itself:
        return does(culprit(op, effects), effects)
    if any(isinstance(inner, ExecuteOp) for inner in op.walk()):
        return "the plan in it is found sound as a whole"
    if call.result in reads(op):
        return "it reads all of it"
    return FOR_NOTHING if has_budget(op) else ""


def _is_batched(op: Operation) -> bool:
    """Whether a batch is around an operation: it makes the calls of an element one after the other."""
    parent = op.parent_op()
    return parent is not None and (isinstance(parent, GenerateBatchOp) or _is_batched(parent))


def _by_item(source: FieldOp, effects: Effects) -> list[Operation]:
    if not isinstance(source.result.type, ListType):
        return []
    return [op for op in readers_of(source.result) if not against(source.result, op, effects)]


def _items(op: Operation, sources: list[FieldOp], effects: Effects) -> str:
    """Said of what begins even earlier."""
    by_item = any(op in _by_item(source, effects) for source in sources)
    return ", each element with its item" if by_item else ""
