"""The effects of operations: on named resources, for xDSL's passes and, in more detail, for ours.

A model call, a question to a person and a sleep count as writes for xDSL, which knows none of them, so that
nothing of its own repeats, drops or merges them. Our passes ask `effect_summary`, which keeps them apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from attrs import frozen
from xdsl.ir import Operation, Region
from xdsl.traits import EffectInstance, MemoryEffect, MemoryEffectKind, Resource, get_effects

from flowc.dialects.flow.attributes import EffectItem, EffectsAttr


@dataclass(frozen=True)
class NamedResource(Resource):
    """A part of the outside world that tools name: `web`, `mail`; also `llm`, `human` and `sleep`."""

    label: str = ""

    def name(self) -> str:
        """The resource as the program writes it."""
        return self.label


class DeclaredEffects(MemoryEffect):
    """The effects that stand in the op's `effects` property, as its declaration gave them."""

    @classmethod
    def get_effects(cls, op: Operation) -> set[EffectInstance]:
        """One instance an effect."""
        return {
            EffectInstance(
                MemoryEffectKind.READ if item.kind == "reads" else MemoryEffectKind.WRITE,
                resource=NamedResource(item.resource or item.kind),
            )
            for item in declared(op)
        }


def declared(op: Operation) -> tuple[EffectItem, ...]:
    """The items of the op's `effects` property; empty where it has none."""
    attribute = op.properties.get("effects")
    return attribute.data if isinstance(attribute, EffectsAttr) else ()


@frozen
class Summary:
    """What an operation, or a region, does to the world, nested operations included.

    `unknown` when something inside hides its effects: then nothing may be moved or merged. `llm` and
    `human` are model calls and questions to people, `sleep` lets time go by; reads and writes name resources.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    llm: bool = False
    human: bool = False
    unknown: bool = False
    sleep: bool = False

    @property
    def pure(self) -> bool:
        """Whether nothing at all happens outside."""
        return not (self.reads or self.writes or self.llm or self.human or self.unknown or self.sleep)

    @property
    def commutes_with_itself(self) -> bool:
        """Whether two executions may change places or overlap: no writes, no questions to a person, no time
        that has to go by.
        """
        return not (self.writes or self.human or self.unknown or self.sleep)

    def keeps_in_place(self, other: "Summary") -> bool:
        """Whether `other`, which only reads and asks models, must not pass this: what it reads is written
        here, or time goes by.
        """
        return bool(other.reads & self.writes) or (self.sleep and not other.pure)


PURE = Summary()
UNKNOWN = Summary(unknown=True)


def join(summaries: Iterable[Summary]) -> Summary:
    """All of these together."""
    reads: set[str] = set()
    writes: set[str] = set()
    llm = human = unknown = sleep = False
    for each in summaries:
        reads |= each.reads
        writes |= each.writes
        llm, human, unknown = llm or each.llm, human or each.human, unknown or each.unknown
        sleep = sleep or each.sleep
    return Summary(frozenset(reads), frozenset(writes), llm, human, unknown, sleep)


def of_items(items: Iterable[EffectItem]) -> Summary:
    """The summary of declared effects."""
    chosen = tuple(items)
    return Summary(
        frozenset(item.resource or "" for item in chosen if item.kind == "reads"),
        frozenset(item.resource or "" for item in chosen if item.kind == "writes"),
        any(item.kind == "llm" for item in chosen),
        any(item.kind == "human" for item in chosen),
        sleep=any(item.kind == "sleep" for item in chosen),
    )


def to_items(summary: Summary) -> tuple[EffectItem, ...]:
    """The declared form of a summary, in a fixed order."""
    items = [EffectItem("reads", name) for name in sorted(summary.reads)]
    items += [EffectItem("writes", name) for name in sorted(summary.writes)]
    items += [EffectItem("llm")] if summary.llm else []
    items += [EffectItem("human")] if summary.human else []
    items += [EffectItem("sleep")] if summary.sleep else []
    return tuple(items)


class Effects:
    """Effect summaries of operations, each computed once; valid as long as the module does not change."""

    def __init__(self, callees: Mapping[str, Summary] | None = None) -> None:
        self._known: dict[Operation, Summary] = {}
        self._callees = callees or {}

    def of(self, op: Operation) -> Summary:
        """The summary of `op`, everything nested in it included."""
        found = self._known.get(op)
        if found is None:
            found = self._known[op] = self._compute(op)
        return found

    def of_region(self, region: Region) -> Summary:
        """The summary of everything in `region`."""
        return join(self.of(op) for block in region.blocks for op in block.ops)

    def _compute(self, op: Operation) -> Summary:
        if op.regions:
            return join(self.of_region(region) for region in op.regions)
        if "effects" in op.properties:
            return of_items(declared(op))
        effects = get_effects(op)
        return PURE if effects is not None and not effects else UNKNOWN
