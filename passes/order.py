"""The order that effects ask for: for each operation of a block, the earlier ones that must end before it.

Model calls and pure operations are free; reads of a resource wait for its last write; a write waits for the
reads since then; questions to a person keep their order; a sleep waits for what comes before it, and what
comes after waits for it. Each operation is looked at once, and no edge is given that another one implies.
"""

from collections.abc import Iterable

from attrs import define, field
from xdsl.ir import Block, Operation

from flowc.dialects.flow.control import AttemptOp, LimitOp, RaceOp, TransactionOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.facts import is_total

PEOPLE = "the person"
"""The resource that questions to a person write."""


@define
class EffectOrder:
    """Walks a block in program order; `before` gives what the next operation waits for."""

    effects: Effects
    writers: dict[str, list[Operation]] = field(factory=dict)
    readers: dict[str, list[Operation]] = field(factory=dict)
    barrier: Operation | None = None
    since_barrier: list[Operation] = field(factory=list)

    def before(self, op: Operation) -> tuple[Operation, ...]:
        """The operations that must end before `op`, which comes after all that were asked about before."""
        summary = self.effects.of(op)
        if summary.pure:
            return ()
        if summary.unknown or summary.sleep:
            earlier = tuple(self.since_barrier) or ((self.barrier,) if self.barrier is not None else ())
            self.writers, self.readers, self.since_barrier, self.barrier = {}, {}, [], op
            return earlier
        found = list(self._conflicts(op, summary))
        if not found and self.barrier is not None:
            found = [self.barrier]
        self.since_barrier.append(op)
        return tuple(dict.fromkeys(found))

    def _conflicts(self, op: Operation, summary: Summary) -> Iterable[Operation]:
        writes = summary.writes | ({PEOPLE} if summary.human else frozenset())
        for resource in sorted(summary.reads - writes):
            yield from self.writers.get(resource, ())
            self.readers.setdefault(resource, []).append(op)
        for resource in sorted(writes):
            yield from self.readers.pop(resource, []) or self.writers.get(resource, [])
            self.writers[resource] = [op]


@define
class GuardedOrder:
    """The order where a failure is no end: what is written must not depend on who fails first.

    A write starts once all before it has succeeded; what may fail starts once all writes before it are done.
    Everything between two writes is free, as ever.
    """

    effects: Effects
    last_write: Operation | None = None
    since: list[Operation] = field(factory=list)

    def before(self, op: Operation) -> tuple[Operation, ...]:
        """The operations that must end before `op`, which comes after all that were asked about before."""
        if is_total(op, self.effects):
            return ()
        earlier = () if self.last_write is None else (self.last_write,)
        if self.effects.of(op).commutes_with_itself:
            self.since.append(op)
            return earlier
        found = tuple(self.since) or earlier
        self.last_write, self.since = op, []
        return found


@define
class ProgramOrder:
    """Each operation waits for the one before it: what `-O0` means by sequential."""

    last: Operation | None = None

    def before(self, op: Operation) -> tuple[Operation, ...]:
        """The operation asked about last."""
        earlier = () if self.last is None else (self.last,)
        self.last = op
        return earlier


Order = EffectOrder | GuardedOrder | ProgramOrder


def effect_order(block: Block, effects: Effects) -> dict[Operation, tuple[Operation, ...]]:
    """What each operation of a block waits for, effects alone considered."""
    order = GuardedOrder(effects) if is_guarded(block) else EffectOrder(effects)
    return {op: order.before(op) for op in block.ops}


GUARDED = "guarded"
"""The attribute of flows that are called where a failure is no end."""


def catches_failures(op: Operation) -> bool:
    """Whether the program goes on when something in the regions of `op` fails: a transaction has to take back
    what was written.
    """
    match op:
        case AttemptOp() | RaceOp() | TransactionOp():
            return True
        case LimitOp():
            return dict(op.limits.data).get("retries", 0) > 0
        case FuncOp():
            return GUARDED in op.attributes or (
                op.limits is not None and dict(op.limits.data).get("retries", 0) > 0
            )
    return False


def is_guarded(block: Block) -> bool:
    """Whether something around a block goes on when the block fails."""
    op = block.parent_op()
    while op is not None:
        if catches_failures(op):
            return True
        op = op.parent_op()
    return False
