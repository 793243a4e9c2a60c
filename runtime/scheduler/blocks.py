"""A plan's regions, flattened once for running: who waits for whom, and what each node does.

A `Block` is a region with everything counted out: the slots as they stand at the start, how many nodes each
node waits for, which nodes start at once. An `Instruction` is a node with its behaviour bound: a plain
function over the slots (BODY), a coroutine for the loop (WAIT), or a step of control flow (STRUCTURE).
"""

from collections.abc import Callable
from itertools import count
from typing import Any

from attrs import define, frozen

from flowc.runtime.plan import Node, Operation, Region
from flowc.runtime.plan_order import predecessors
from flowc.runtime.values import from_constant

BODY, WAIT, STRUCTURE = 0, 1, 2

WORK = frozenset({"tool", "generate", "human", "sleep", "embed", "execute", "call"})
"""Nodes that do something by themselves; control flow does where there is one of them inside."""

KEPT = frozenset({"tool", "generate", "human", "embed", "execute", "sleep"})
"""Nodes whose ends a durable run keeps: all else follows from them."""

Slots = list[Any]
Body = Callable[[Slots], Any]


@define(eq=False)
class Pace:
    """How long the bodies of one operation run, which decides whether its calls get threads of their own.

    `slow` is set as soon as one body runs for a millisecond, and falls after `QUICK_CALLS` quick ones in a
    row.
    """

    slow: bool = False
    quick: int = 0

    def note(self, seconds: float) -> None:
        """Takes in how long a body ran that had a thread of its own."""
        if seconds > SLOW:
            self.quick = 0
            self.slow = True
        else:
            self.quick += 1
            self.slow = self.slow and self.quick < QUICK_CALLS


SLOW = 0.0005
"""Seconds above which a body is worth a thread of its own."""

QUICK_CALLS = 16


class Instruction:
    """A node, ready to run. `priority` is the negative rank, since the smallest leaves a heap first.

    `lets_go` has the slots of arrays that it reads, each behind the place in `pending` that counts who still
    reads it.
    """

    __slots__ = (
        "act",
        "blocks",
        "charged",
        "convert",
        "dependents",
        "effectful",
        "index",
        "inputs",
        "kept",
        "kind",
        "lets_go",
        "node",
        "operation",
        "output",
        "outputs",
        "pace",
        "place",
        "priority",
        "undos",
        "works",
    )

    def __init__(
        self, index: int, node: Node, behaviour: "Behaviour", blocks: "tuple[Block, ...]", unused: int
    ) -> None:
        self.index = index
        self.node = node
        self.kind = behaviour.kind
        self.act = behaviour.act
        self.convert = behaviour.convert
        self.pace = behaviour.pace
        self.charged = behaviour.charged
        self.effectful = behaviour.effectful
        self.operation = behaviour.operation
        self.undos = behaviour.undos
        self.kept = node.op in KEPT
        self.inputs = node.inputs
        self.outputs = node.outputs
        self.output = node.outputs[0] if len(node.outputs) == 1 else unused
        self.priority = -node.rank
        self.blocks = blocks
        self.works: bool = node.op in WORK or any(
            each.works for block in blocks for each in block.instructions
        )
        self.place = ""
        self.dependents: tuple[tuple[int, Instruction], ...] = ()
        self.lets_go: tuple[tuple[int, int], ...] = ()


@define(eq=False)
class Behaviour:
    """What a node does: its kind, the function behind it, and how the engine must treat it.

    `convert` checks a body's result after its time has been taken; `charged` bodies count against budgets
    of calls; `undos` take back what a call wrote.
    """

    kind: int
    act: Any
    convert: Callable[[Any], Any] | None = None
    pace: Pace | None = None
    charged: bool = False
    effectful: bool = False
    operation: Operation | None = None
    undos: "tuple[Undo, ...]" = ()


Binder = Callable[[Node], Behaviour]


class Block:
    """A region, ready to run any number of times at once. One more slot than it has takes values nobody
    reads.
    """

    __slots__ = (
        "before",
        "captures",
        "count",
        "initial",
        "instructions",
        "order",
        "parameters",
        "pending",
        "results",
        "synthetic",
        "template",
    )

    def __init__(self, region: Region, bind: Binder, *, synthetic: bool = False) -> None:
        self.synthetic = synthetic
        self.parameters = region.parameters
        self.captures = region.captures
        self.results = region.results
        self.count = len(region.nodes)
        self.template: Slots = [None] * (region.size + 1)
        for slot, value in region.constants:
            self.template[slot] = from_constant(value)
        self.instructions = tuple(
            Instruction(
                index, node, bind(node), tuple(Block(inner, bind) for inner in node.regions), region.size
            )
            for index, node in enumerate(region.nodes)
        )
        self.before = predecessors(region)
        self._name_places()
        self._count_out()

    def _name_places(self) -> None:
        """Names each node within its block: by its number among those that do something, since the names of
        steps must not depend on what packs and unpacks values between them, which a pass may leave out.
        """
        numbers = count()
        for instruction in self.instructions:
            number = str(next(numbers)) if instruction.works else f".{instruction.index}"
            instruction.place = f"{number}:{instruction.node.name}"

    def _count_out(self) -> None:
        dependents: list[list[tuple[int, Instruction]]] = [[] for _ in self.instructions]
        for instruction, earlier in zip(self.instructions, self.before, strict=True):
            for index in earlier:
                dependents[index].append((instruction.index, instruction))
        for instruction, others in zip(self.instructions, dependents, strict=True):
            instruction.dependents = tuple(others)
        self.pending = [len(earlier) for earlier in self.before]
        starters = [instruction for instruction in self.instructions if not self.before[instruction.index]]
        self.order = _topological(self.instructions, self.pending)
        self.initial = tuple(sorted(starters, key=lambda instruction: instruction.priority))
        self._count_readers()

    def _count_readers(self) -> None:
        """Counts who reads each array, behind the counts of nodes: it need not live until the block ends."""
        readers: dict[int, list[Instruction]] = {slot: [] for slot in self._arrays()}
        for instruction in self.instructions:
            inner = (source for block in instruction.blocks for source, _ in block.captures)
            for slot in {*instruction.inputs, *inner} & readers.keys():
                readers[slot].append(instruction)
        for slot, found in readers.items():
            for instruction in found:
                instruction.lets_go += ((len(self.pending), slot),)
            self.pending.append(len(found))

    def _arrays(self) -> set[int]:
        """The slots that kernels read or write, without those that the block gives."""
        kernels = [instruction for instruction in self.instructions if instruction.node.op == "kernel"]
        slots = {slot for instruction in kernels for slot in (*instruction.inputs, *instruction.outputs)}
        return slots - {*self.results}


@frozen(eq=False)
class Undo:
    """A call that takes back another one: a block of one node, and for each of its parameters the place of
    the argument of that other call, or `RESULT`.
    """

    name: str
    block: Block
    sources: tuple[int, ...]


RESULT = -1


def _topological(instructions: tuple[Instruction, ...], pending: list[int]) -> tuple[int, ...]:
    """The indexes of the nodes, each after those it waits for."""
    missing = pending.copy()
    order = [index for index, count in enumerate(missing) if not count]
    for index in order:
        for other, _ in instructions[index].dependents:
            missing[other] -= 1
            if not missing[other]:
                order.append(other)
    return tuple(order)
