"""Where the steps of a program stand in another one, which has calls more, or fewer, in between."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from flowc.runtime.durable.past import GONE
from flowc.runtime.durable.places import block_of, first_of, has_blocks, inside, start_of
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.scheduler.binding import Bindings
from flowc.runtime.scheduler.blocks import Block, Instruction


class Moves:
    """Where the steps of one plan stand in another one."""

    def __init__(self, old: Bindings, new: Bindings, flow: str) -> None:
        self.old = old
        self.new = new
        self.flow = flow
        self.pairs: dict[tuple[int, int], dict[int, Instruction]] = {}

    def of(self, step: str) -> str:
        """The path of a step in the new plan; a name of no step, where the new plan has nothing like it."""
        name, mark, timer = step.partition("!")
        old, new = start_of(self.old, self.flow, name), start_of(self.new, self.flow, name)
        if old is None or new is None or name == self.flow:
            return step
        moved = self._below(old[0], new[0], old[1])
        return GONE + step if moved is None else name[: len(name) - len(old[1])] + moved + mark + timer

    def _below(self, old: Block, new: Block, rest: str) -> str | None:
        before = first_of(old, rest)
        now = None if before is None else self._paired(old, new).get(before.index)
        if before is None or now is None:
            return None
        left = rest[1 + len(before.place) :]
        if not left or not (has_blocks(before) and has_blocks(now)):
            return f"/{now.place}{left}"
        there = inside(before, left)
        if there is None:
            return None
        number, said, rest = there
        was, inner = block_of(self.old, before, number), block_of(self.new, now, number)
        moved = None if was is None or inner is None else self._below(was, inner, rest)
        return None if moved is None else f"/{now.place}{said}{moved}"

    def _paired(self, old: Block, new: Block) -> dict[int, Instruction]:
        """The calls of a new block by the index of those of the old one that they are."""
        key = id(old), id(new)
        if key not in self.pairs:
            self.pairs[key] = _pairs(old, new)
        return self.pairs[key]


def _pairs(old: Block, new: Block) -> dict[int, Instruction]:
    """Calls are the same that are made of the same inputs; of the others those that have the same name, and
    stand in the same order between them.
    """
    before, now = _calls(old), _calls(new)
    known = _matching(_written(old), _written(new))
    found = [*known]
    bounds = [(-1, -1), *known, (len(before), len(now))]
    for (start, other_start), (end, other_end) in pairwise(bounds):
        names = [
            [(each.node.op, each.node.name) for each in calls]
            for calls in (before[start + 1 : end], now[other_start + 1 : other_end])
        ]
        found += [(start + 1 + at, other_start + 1 + other) for at, other in _matching(*names)]
    return {before[at].index: now[other] for at, other in found}


def _calls(block: Block) -> list[Instruction]:
    return [each for each in block.instructions if each.works]


def _matching(one: Sequence[object], other: Sequence[object]) -> list[tuple[int, int]]:
    """Places of equal members of two sequences, in order."""
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return [(start + at, beside + at) for start, beside, size in blocks for at in range(size)]


def _written(block: Block) -> list[bytes]:
    """For each call of a block what it is made of: its operation, and what its inputs are made of."""
    made: dict[int, bytes] = {slot: fingerprint("parameter", at) for at, slot in enumerate(block.parameters)}
    made |= {slot: fingerprint("captured") for _, slot in block.captures}
    found: dict[int, bytes] = {}
    for index in block.order:
        node = block.instructions[index].node
        inputs = [made[slot] if slot in made else fingerprint(block.template[slot]) for slot in node.inputs]
        found[index] = fingerprint(node.op, node.name, sorted(map(str, node.settings.items())), inputs)
        made |= {slot: fingerprint(found[index], at) for at, slot in enumerate(node.outputs)}
    return [found[each.index] for each in _calls(block)]
