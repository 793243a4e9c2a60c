"""What the scheduler asks of whoever keeps a run durably: all that the engine knows of journals."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from attrs import frozen

from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.people import Question
from flowc.runtime.plan import Effect, Operation
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Frame


class Keeper(Protocol):
    """Keeps what a run does, and tells what it did before. Every method but the coroutines and `flush` is
    called
    under the engine's lock."""

    def meet(self, frame: Frame, instruction: Instruction) -> bool:
        """A step is about to begin: whether the keeper sees to it: its end is known, or it is too early."""

    def waits(self) -> bool:
        """Whether `more` is to be asked as soon as nothing is ready."""

    def spent_under(self, frame: Frame, instruction: Instruction, inner: str = "") -> tuple[int, int, float]:
        """Calls, tokens and dollars that a step and all below it have taken before this process."""

    def may_stop(self, problem: Problem) -> bool:
        """The run is to be cancelled: whether that may be now. Else it is as soon as nothing that must not be
        made
        twice is under way, and nothing begins until then."""

    def more(self) -> bool:
        """Nothing is ready: whether the keeper has made something ready."""

    def begin(self, frame: Frame, instruction: Instruction, attempt: int) -> int | None:
        """A call outside is about to be made: the position to `flush` before it, None where nothing is waited
        for.
        """

    def flush(self, position: int) -> None:
        """Blocks this thread until what was kept up to here is safe."""

    async def intend(
        self,
        frame: Frame,
        instruction: Instruction,
        attempt: int,
        part: "Part | None" = None,
        held: tuple[int, float] = (0, 0.0),
        asked: Sequence[str] = (),
    ) -> None:
        """The same for a call on the loop, which may be only a part of the step; `held` is what it may cost
        at most. Where a model is `asked`: its provider, its name, and the hash of the prompt.
        """

    def first_attempt(self, frame: Frame, instruction: Instruction, inner: str = "") -> int:
        """The number of the attempt to begin with: those before it have failed."""

    def had_begun(self, frame: Frame, instruction: Instruction) -> bool:
        """Whether an earlier process had begun a call: it has been counted."""

    def tried(
        self, frame: Frame, instruction: Instruction, attempt: int, problem: Problem, inner: str = ""
    ) -> None:
        """An attempt has failed, and there will be another."""

    def spent(
        self,
        frame: Frame,
        instruction: Instruction,
        tokens: tuple[int, int],
        cost: float,
        settled: tuple[int, float],
    ) -> None:
        """A call has cost so much; the budgets around it took what was `settled`."""

    def ended(self, frame: Frame, instruction: Instruction, value: Any, problem: Problem | None) -> None:
        """A step has ended."""

    def cut(self, frame: Frame, instruction: Instruction, *, began: bool = True) -> None:
        """A step was cancelled, perhaps before it began."""

    async def recall(self, frame: Frame, instruction: Instruction) -> "Recalled | None":
        """How a step ended that does not pass through the engine, once that is to be known; None: it has to
        be made.
        """

    def made_with(self, frame: Frame, instruction: Instruction) -> tuple[Frame, Instruction]:
        """The frame and the call to make a step with that does not pass through the engine."""

    async def perform(
        self, frame: Frame, instruction: Instruction, part: "Part", work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """A part of a step that is a step of its own: recalled, or made with `work` and kept."""

    def later(
        self, frame: Frame, instruction: Instruction, name: str, delay: float, act: Callable[[], None]
    ) -> float:
        """Calls `act` after so many seconds, or when that was before; gives the seconds that are left."""

    def deadline(
        self,
        frame: Frame,
        instruction: Instruction,
        seconds: float,
        act: Callable[[], None],
        over: Callable[[], bool],
    ) -> float:
        """The same for a deadline, which goes on while no process runs; nothing is done once it is `over`."""

    def expires(self, frame: Frame, instruction: Instruction) -> bool:
        """Whether the deadline of a block is known to pass before the block ends."""

    def chooses(self, frame: Frame, instruction: Instruction, arm: int) -> bool:
        """An arm of a race has ended first: whether it is the one that wins."""

    def ballots(self, frame: Frame, instruction: Instruction) -> tuple[frozenset[int], int] | None:
        """Which ballots decided a vote, and which of them won, where that is known."""

    def elected(self, frame: Frame, instruction: Instruction, ballots: Sequence[int], winner: int) -> None:
        """A vote has been decided."""

    def turn(self, frame: Frame, instruction: Instruction) -> "tuple[int, int, bool, list[Any]] | None":
        """The turn with which a loop begins: its number, how many were made, whether it tests, what is
        carried.
        """

    def turned(
        self,
        frame: Frame,
        instruction: Instruction,
        state: tuple[int, int, bool],
        carried: list[Any],
        since: int,
    ) -> int:
        """A turn has ended; gives what to hand in as `since` the next time."""

    async def ask(self, frame: Frame, instruction: Instruction, question: Question) -> Any:
        """Waits for the answer of somebody who is not here."""

    async def sleep(self, frame: Frame, instruction: Instruction, seconds: float) -> None:
        """Waits for a time that goes on while no process runs."""


@frozen
class Part:
    """What is called within a step: the rest of its path, and the call."""

    inner: str
    operation: Operation
    inputs: Sequence[Any]


class Recalled:
    """How a step ended: `value`, or raising `problem`."""

    __slots__ = ("problem", "value")

    def __init__(self, value: Any, problem: Problem | None) -> None:
        self.value = value
        self.problem = problem

    def result(self) -> Any:
        """The value; raises the problem."""
        if self.problem is not None:
            raise FlowError(self.problem)
        return self.value


def is_reading(effects: Sequence[Effect]) -> bool:
    """Whether a call changes nothing outside."""
    return all(effect.kind != "writes" for effect in effects)


def is_repeatable(effects: Sequence[Effect]) -> bool:
    """Whether a call may be made again without harm: it writes nothing, or says that twice is as once."""
    return all(effect.kind != "writes" or effect.idempotent for effect in effects)
