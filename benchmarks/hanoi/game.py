"""The game: a program whose loop carries the pegs, a model that is wrong in one of a hundred answers, and
counts that outlive the process that counts.
"""

import mmap
from pathlib import Path
from struct import Struct

from flowc.runtime.environment import Environment
from flowc.runtime.providers.base import Embedding, EmbedRequest, Request, Response, Usage
from flowc.runtime.randomness import seed_of

PROGRAM = """
llm next_move(turn: int, pegs: list[list[int]]) -> int:
    \"\"\"Tower of Hanoi, turn {turn}. From bottom to top the pegs hold {pegs}. Answer with ten times the peg
    to take a disk from, plus the peg to put it on.\"\"\"

tool carry(turn: int, pegs: list[list[int]], move: int) -> list[list[int]] pure

flow main(disks: int, moves: int) -> list[list[int]]:
    pegs = [[disks - i for i in range(disks)], [], []]
    for turn in range(moves):
        pegs = carry(turn, pegs, vote(next_move(turn, pegs), max=25, lead=5))
    return pegs
"""
ONE_IN = 100
"""One of so many answers is wrong."""
ASKED, WRONG, ASTRAY = range(3)
"""The counts: calls of the model, its wrong answers, and moves that were voted for and are wrong."""
_WORD = Struct("<Q")


class Counts:
    """Numbers in a file that is mapped into memory, so that a killed process leaves them as they were."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_WORD.size * 3))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def __getitem__(self, place: int) -> int:
        (count,) = _WORD.unpack_from(self._map, place * _WORD.size)
        return int(count)

    def add(self, place: int) -> None:
        """One more."""
        _WORD.pack_into(self._map, place * _WORD.size, self[place] + 1)


def right_move(turn: int) -> int:
    """The move of a turn in the only shortest solution, as the model is asked to write it; the bits of the
    number of the turn tell it.
    """
    number = turn + 1
    return (number & turn) % 3 * 10 + ((number | turn) + 1) % 3


def solution(disks: int) -> list[list[int]]:
    """The pegs behind the last of 2 ** disks - 1 right moves; every other sequence as long ends elsewhere."""
    pegs: list[list[int]] = [[], [], []]
    pegs[1 if disks % 2 == 0 else 2] = [disks - place for place in range(disks)]
    return pegs


class Player:
    """A model that knows the game, and errs by chance: whether it does depends on the step alone."""

    def __init__(self, counts: Counts, seed: int) -> None:
        self.counts = counts
        self.seed = seed

    async def generate(self, request: Request) -> Response:
        """The right move, or another."""
        turn = next(
            each.value for each in request.segments if not isinstance(each, str) and each.name == "turn"
        )
        assert isinstance(turn, int)
        move, chance = right_move(turn), seed_of(self.seed, request.step, request.attempt)
        self.counts.add(ASKED)
        if chance % ONE_IN == 0:
            self.counts.add(WRONG)
            move = (move + 10 * (1 + chance // ONE_IN % 2)) % 30
        return Response(f'{{"value": {move}}}', Usage(8, 2))

    async def embed(self, request: EmbedRequest) -> Embedding:
        """None are asked for."""
        raise NotImplementedError

    def prompt_bound(self, request: Request) -> int:
        """More than it is."""
        return len(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""


def world(counts: Counts, seed: int) -> Environment:
    """What surrounds the program: the model, and the tool that moves a disk."""

    def carry(turn: int, pegs: list[list[int]], move: int) -> list[list[int]]:
        if move != right_move(turn):
            counts.add(ASTRAY)
        source, target = divmod(move, 10)
        moved = [list(peg) for peg in pegs]
        disk = moved[source].pop()
        if moved[target] and moved[target][-1] < disk:
            raise ValueError(f"turn {turn}: disk {disk} cannot lie on disk {moved[target][-1]}")
        moved[target].append(disk)
        return moved

    player = Player(counts, seed)
    return Environment(tools={"carry": carry}, providers={"player": player}, provider="player")
