"""Which values of a run came from which: read off the log of a replay, node by node, in the order in which
they ended.

Each slot of a frame is written once. So it is enough to know for every slot the values from which it came:
those of the steps that are kept, of kernels, and of the flow's arguments. What packs values passes them on;
control flow passes on what its regions gave, and what decided between them.
"""

from collections.abc import Iterable, Sequence

from flowc.runtime.scheduler.blocks import KEPT, STRUCTURE, Instruction
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import Frame, step_of

MANY = 32
"""From so many values on, what came from them gets a name of its own, so that lists of lists stay small."""

Sources = frozenset[str]
"""Names of values: the paths of steps, `argument NAME`, or `gathered N`."""

NOTHING: Sources = frozenset()


class Dataflow:
    """What was read by each step, and what the values came from that have no step of their own.

    `read` has the sources of the inputs of each step, `gathered` those of each gathered value, `result` those
    of the run's result.
    """

    def __init__(self, log: Iterable[Entry], root: str, arguments: Sequence[str]) -> None:
        self.root = root
        self.arguments = arguments
        self.read: dict[str, Sources] = {}
        self.operations: dict[str, Instruction] = {}
        self.gathered: dict[str, Sources] = {}
        self.result: Sources = NOTHING
        self._slots: dict[int, dict[int, Sources]] = {}
        self._frames: list[Frame] = []
        self._turns: dict[tuple[int, int, int, int], Frame] = {}
        self._inside: dict[tuple[int, int], list[Frame]] = {}
        for entry in log:
            self._take(entry)
        self._conclude()

    # ---- frames

    def _known(self, frame: Frame) -> dict[int, Sources]:
        """What is known of the slots of a frame; what surrounds it is known by then."""
        if id(frame) not in self._slots:
            outer: list[Frame] = []
            at: Frame | None = frame
            while at is not None and id(at) not in self._slots:
                outer.append(at)
                at = at.parent
            for each in reversed(outer):
                self._enter(each)
        return self._slots[id(frame)]

    def _enter(self, frame: Frame) -> None:
        self._frames.append(frame)
        slots = self._slots[id(frame)] = {}
        call, parent = frame.instruction, frame.parent
        if call is None or parent is None:
            for slot, name in zip(frame.block.parameters, self.arguments, strict=True):
                slots[slot] = frozenset((f"argument {name}",))
            return
        if frame.block in call.blocks or call.node.op == "call":  # else it takes back what another call wrote
            self._inside.setdefault((id(parent), id(call)), []).append(frame)
            region = call.blocks.index(frame.block) if call.blocks else 0
            self._turns[id(parent), id(call), region, frame.position] = frame
        for at, slot in enumerate(frame.block.parameters):
            slots[slot] = self._given(frame, parent, call, at)

    def _given(self, frame: Frame, parent: Frame, call: Instruction, at: int) -> Sources:
        """Where a parameter of a region comes from."""
        inputs = call.inputs
        match call.node.op:
            case "for":
                if at and frame.position:
                    return self._of_turn(parent, call, 0, frame.position - 1, at)
                return self._of(parent, inputs[at])
            case "while":
                if frame.position:
                    return self._of_turn(parent, call, 1, frame.position - 1, at + 1)
                return self._of(parent, inputs[at + 1])
            case "vote":
                return NOTHING
        return self._of(parent, inputs[at]) if at < len(inputs) else NOTHING

    def _of_turn(self, parent: Frame, call: Instruction, region: int, position: int, at: int) -> Sources:
        """What a turn of a loop hands on."""
        before = self._turns.get((id(parent), id(call), region, position))
        return NOTHING if before is None else self._of(before, before.block.results[at])

    def _of(self, frame: Frame, slot: int) -> Sources:
        """Where the value of a slot comes from; where it is a constant, from nowhere."""
        at = frame
        while True:
            slots = self._known(at)
            if slot not in slots:
                self._unlogged(at, slot)
            if slot in slots:
                return slots[slot]
            outer = [source for source, own in at.block.captures if own == slot]
            if not outer or at.parent is None:
                return NOTHING
            slot, at = outer[0], at.parent

    def _unlogged(self, frame: Frame, slot: int) -> None:
        """What packs values within a batch of calls leaves nothing in the log."""
        maker = next((each for each in frame.block.instructions if slot in each.outputs), None)
        if maker is not None and maker.node.op not in KEPT:
            if maker.kind == STRUCTURE:
                self._known(frame)[slot] = self._of_structure(frame, maker, maker.outputs.index(slot), None)
            else:
                self._known(frame)[slot] = self._few(self._all(frame, maker.inputs))

    def _all(self, frame: Frame, slots: Iterable[int]) -> Sources:
        return frozenset().union(*(self._of(frame, slot) for slot in slots))

    def _few(self, sources: Sources) -> Sources:
        """The same, with one name for many."""
        if len(sources) < MANY:
            return sources
        name = f"gathered {len(self.gathered)}"
        self.gathered[name] = sources
        return frozenset((name,))

    # ---- nodes

    def _take(self, entry: Entry) -> None:
        kind, frame, instruction, _, _, ran = entry
        if kind not in ("node.done", "structure", "node.failed"):
            return
        slots = self._known(frame)
        if instruction.kind == STRUCTURE or instruction.blocks:
            if kind == "structure":
                for at, slot in enumerate(instruction.outputs):
                    slots[slot] = self._few(self._of_structure(frame, instruction, at, ran))
            return
        sources = self._few(self._all(frame, instruction.inputs))
        if instruction.node.op in KEPT or instruction.node.op == "kernel":
            step = step_of(frame, instruction, self.root)
            self.read[step] = sources
            self.operations[step] = instruction
            sources = frozenset((step,))
        for slot in instruction.outputs:
            slots[slot] = sources

    def _of_structure(self, frame: Frame, call: Instruction, at: int, ran: object) -> Sources:
        """Where an output of control flow comes from: its regions' results, and what chose between them."""
        inside = self._inside.get((id(frame), id(call)), [])
        op = call.node.op
        if op in ("for", "while"):
            last = (
                inside[-1:] if op == "for" else [each for each in inside if each.block is call.blocks[1]][-1:]
            )
            decided = self._of(frame, call.inputs[0])
            if not last:
                return decided | self._of(frame, call.inputs[at + 1])
            return decided | self._of(last[0], last[0].block.results[at + 1])
        if op in ("if", "race", "attempt") and isinstance(ran, int):
            inside = [each for each in inside if each.block is call.blocks[ran]]
        decided = self._of(frame, call.inputs[0]) if op == "if" else NOTHING
        if op in ("map", "generate_batch", "vote"):
            found = [self._all(each, each.block.results) for each in inside]
        else:
            found = [self._of(each, each.block.results[at]) for each in inside[-1:]]
        if not found:  # a region without nodes leaves nothing in the log
            return decided | self._all(frame, (*call.inputs, *_captured(call)))
        return decided.union(*found)

    def _conclude(self) -> None:
        roots = [each for each in self._frames if each.parent is None or each.instruction is None]
        if roots:
            self.result = self._all(roots[0], roots[0].block.results)
        else:
            self.result = frozenset(f"argument {name}" for name in self.arguments)


def _captured(call: Instruction) -> list[int]:
    return [source for block in call.blocks for source, _ in block.captures]
