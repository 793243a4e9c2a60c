"""Choices that are kept, since the order of ends does not fix them: who won a race, which ballots decided a
vote; and the states of loops, from which a run goes on without their earlier turns.
"""

from collections.abc import Sequence
from typing import Any

from flowc.runtime.durable.codec import Blobs, encode_json, packed, unpacked
from flowc.runtime.durable.kept import Kept
from flowc.runtime.durable.past import let_go
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Frame, step_of

TURN_BYTES = 16_384
"""A loop's state is kept anew once so many bytes have been written since, and at least its own size."""


class Choosing(Kept):
    """Keeps choices."""

    def chooses(self, frame: Frame, instruction: Instruction, arm: int) -> bool:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root)
        known = self.past.decided.get(step)
        if known is None:
            self.past.decided[step] = arm
            self._append(["decided", step, arm])
            return True
        return known == arm

    def ballots(self, frame: Frame, instruction: Instruction) -> tuple[frozenset[int], int] | None:
        """See `Keeper`."""
        if not self.past.decided:
            return None
        known: Any = self.past.decided.get(step_of(frame, instruction, self.root))
        return None if known is None else (frozenset(known[0]), known[1])

    def elected(self, frame: Frame, instruction: Instruction, ballots: Sequence[int], winner: int) -> None:
        """See `Keeper`."""
        self._append(["decided", step_of(frame, instruction, self.root), [list(ballots), winner]])

    def turn(self, frame: Frame, instruction: Instruction) -> tuple[int, int, bool, list[Any]] | None:
        """See `Keeper`."""
        if not self.past.turns:
            return None
        known = self.past.turns.pop(step_of(frame, instruction, self.root), None)
        if known is None:
            return None
        return known.turn, known.turns, known.testing, unpacked(known.carried, self.blob)

    def turned(
        self,
        frame: Frame,
        instruction: Instruction,
        state: tuple[int, int, bool],
        carried: list[Any],
        since: int,
    ) -> int:
        """See `Keeper`."""
        if self.written < since or self.replaying:
            return since
        before = self.written
        blobs: Blobs = []
        written = packed(carried, blobs)
        size = len(encode_json(written)) + sum(len(content) for _, content in blobs)
        step = step_of(frame, instruction, self.root)
        self._append(["turn", step, *state, written], blobs)
        let_go(self.past, step, state[0])
        return before + max(TURN_BYTES, 2 * size)
