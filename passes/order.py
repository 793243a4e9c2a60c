"""The order that effects ask for: for each operation of a block, the earlier ones that must end before it.

Model calls and pure operations are free; reads of a resource wait for its last write; a write waits for the
reads since then; questions to a person keep their order. Each operation is looked at once, and no edge is given
that another one implies.
"""

from collections.abc import Iterable

from attrs import define, field
from xdsl.ir import Block, Operation

from flowc.dialects.flow.effects import Effects, Summary

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
        if summary.unknown:
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
class ProgramOrder:
    """Each operation waits for the one before it: what `-O0` means by sequential."""

    last: Operation | None = None

    def before(self, op: Operation) -> tuple[Operation, ...]:
        """The operation asked about last."""
        earlier = () if self.last is None else (self.last,)
        self.last = op
        return earlier


Order = EffectOrder | ProgramOrder


def effect_order(block: Block, effects: Effects) -> dict[Operation, tuple[Operation, ...]]:
    """What each operation of a block waits for, effects alone considered."""
    order = EffectOrder(effects)
    return {op: order.before(op) for op in block.ops}
