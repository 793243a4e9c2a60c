"""Control flow where its own decision may be unknown: the runtime's steps, told what to take for true."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from heapq import nlargest
from random import Random
from typing import Any

from flowc.passes.simulation.guesses import Guesses
from flowc.passes.simulation.unknown import Unknown
from flowc.runtime.plan import Node, Region
from flowc.runtime.scheduler.batches import generate_batch
from flowc.runtime.scheduler.blocks import WAIT, Instruction
from flowc.runtime.scheduler.choices import Vote, enter_attempt, enter_race
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.structure import For, Map, Return, While, enter_if

Enter = Callable[[Engine, Frame, Instruction], None]

ANSWERS = 3
"""How many different answers the ballots of a vote have, where they do not agree."""
TRIES = 256
"""How often ballots are drawn until a vote takes as many of them as it should."""
LONGER = "the longer branch is taken"
SUCCEEDS = "the `try` succeeds"


def guessed_steps(guesses: Guesses, provider: str) -> Mapping[str, Enter]:
    """How to enter the steps of control flow that decide something, by the name of the instruction;
    `provider` is whose runs tell how races end.
    """
    return {**_repetitions(guesses), **_choices(guesses, provider)}


def _repetitions(guesses: Guesses) -> Mapping[str, Enter]:
    """Steps that decide how often something is done."""

    def each(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        columns = [frame.slots[slot] for slot in instruction.inputs]
        GuessedMap(
            engine, frame, instruction, listed(guesses, instruction.node, columns), frame.scope
        ).begin()

    twins: dict[Instruction, Instruction] = {}

    def batch(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        columns = [frame.slots[slot] for slot in instruction.inputs]
        for slot, column in zip(instruction.inputs, listed(guesses, instruction.node, columns), strict=True):
            frame.slots[slot] = column
        if instruction not in twins:
            twins[instruction] = twin = copy(instruction)
            twin.kind, twin.act = WAIT, generate_batch
        engine.waiting.post(frame, twins[instruction])

    def ordered(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        (first,) = listed(guesses, instruction.node, [frame.slots[instruction.inputs[0]]])
        loop = GuessedFor(engine, frame, instruction)
        loop.first, loop.stops = first, guesses.stops_after(instruction.node)
        loop.go_on()

    def repeated(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        loop = GuessedWhile(engine, frame, instruction)
        loop.guesses = guesses
        if isinstance(loop.first, Unknown):
            loop.first = loop.rounds = guesses.rounds(instruction.node, 1 << 30)
        loop.go_on()

    return {"map": each, "generate_batch": batch, "for": ordered, "while": repeated}


def _choices(guesses: Guesses, provider: str) -> Mapping[str, Enter]:
    """Steps that decide which of several things is done."""

    def branch(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        slot = instruction.inputs[0]
        if isinstance(frame.slots[slot], Unknown):
            first = longest(instruction.node) == 0
            frame.slots[slot] = guesses.taken(instruction.node, first, LONGER)
        enter_if(engine, frame, instruction)

    def vote(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        voting = GuessedVote(engine, frame, instruction)
        wanted = guesses.ballots(instruction.node, voting.lead, voting.most)
        voting.answers = dissenting(guesses.chance, wanted, voting.lead, voting.most)
        voting.go_on()

    def race(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        arm = guesses.winner(instruction.node, provider)
        if arm is None:
            enter_race(engine, frame, instruction)
        else:
            block = instruction.blocks[arm]
            engine.enter(Frame(block, frame.scope, Return(engine), frame, instruction, -1))

    def attempt(engine: Engine, frame: Frame, instruction: Instruction) -> None:
        if guesses.taken(instruction.node, True, SUCCEEDS):
            enter_attempt(engine, frame, instruction)
            return
        tried, otherwise = instruction.blocks
        give_back = Return(engine)

        def failed(child: Frame) -> None:
            child.close()
            engine.enter(Frame(otherwise, frame.scope, give_back, frame, instruction, -1))

        engine.enter(Frame(tried, frame.scope, failed, frame, instruction, -1))

    return {"if": branch, "vote": vote, "race": race, "attempt": attempt}


def listed(guesses: Guesses, node: Node, columns: Sequence[Any]) -> list[Sequence[Any]]:
    """Columns as lists: those that are unknown are as long as those that are not."""
    lengths = [len(each) for each in columns if not isinstance(each, Unknown)]
    lengths += [len(each.items) for each in columns if isinstance(each, Unknown) and each.items is not None]
    if all(not isinstance(each, Unknown) for each in columns):
        return list(columns)
    length = min(lengths) if lengths else guesses.items(node)
    return [each.settled(length)[:length] if isinstance(each, Unknown) else each for each in columns]


def longest(node: Node) -> int:
    """The region with the highest rank, the first of equals."""
    lengths = [_length(region) for region in node.regions]
    return lengths.index(max(lengths))


def _length(region: Region) -> float:
    return max((node.rank for node in region.nodes), default=0.0)


class GuessedMap(Map):
    """map: where it is not known which items a filter keeps, nothing is known of the list that it gives."""

    unsure = False

    def _take(self, child: Frame) -> None:
        slot = child.block.results[0]
        if self.filtered and isinstance(child.slots[slot], Unknown):
            self.unsure = child.slots[slot] = True
        super()._take(child)

    def _gather(self) -> None:
        if self.unsure:
            self.conclude([Unknown()], self.count)
        else:
            super()._gather()


class GuessedFor(For):
    """for: one that may end early does so after `stops` rounds."""

    stops: int | None = None

    def _take(self, child: Frame) -> None:
        slot = child.block.results[0]
        if isinstance(child.slots[slot], Unknown):
            child.slots[slot] = self.stops is not None and self.turn + 1 >= self.stops
        super()._take(child)


class GuessedWhile(While):
    """while: a test of which the outcome is unknown ends the loop after so many rounds as were guessed."""

    guesses: Guesses
    rounds: int | None = None

    def _take(self, child: Frame) -> None:
        slot = child.block.results[0]
        if isinstance(child.slots[slot], Unknown):
            if self.rounds is None:
                self.rounds = self.guesses.rounds(self.instruction.node, self.first)
            done = self.turn if self.testing else self.turn + 1
            over = done >= self.rounds
            child.slots[slot] = not over if self.testing else over
        super()._take(child)


class GuessedVote(Vote):
    """vote: the ballots are such that it takes as many as were guessed."""

    answers: Sequence[int] = ()

    def _count(self, position: int, answer: Any) -> None:
        self.ballots[position] = answer
        self.keys[position] = str(self.answers[position] if position < len(self.answers) else 0)
        self.counts[self.keys[position]] += 1


def dissenting(chance: Random, wanted: int, lead: int, most: int) -> Sequence[int]:
    """Answers to be counted in this order until one is `lead` ahead, as it is after `wanted` of them or about
    so many; any such order is as likely as any other, of `ANSWERS` different ones.
    """
    nearest: Sequence[int] = (0,) * lead
    for _ in range(TRIES if wanted > lead else 0):
        answers = [chance.randrange(ANSWERS) for _ in range(most)]
        taken = _taken(answers, lead)
        if abs(len(taken) - wanted) < abs(len(nearest) - wanted):
            nearest = taken
        if len(nearest) == wanted:
            break
    return nearest


def _taken(answers: Sequence[int], lead: int) -> Sequence[int]:
    """As many of these as it takes until one is `lead` ahead, or all."""
    counts = [0] * ANSWERS
    for place, answer in enumerate(answers):
        counts[answer] += 1
        first, second = nlargest(2, counts)
        if first - second >= lead:
            return answers[: place + 1]
    return answers
