"""Calls that are kept: their intent before they are made, what they cost, how they ended."""

from collections.abc import Sequence
from typing import Any

from flowc.runtime.durable.codec import Blobs, encode_json, packed_text, quoted
from flowc.runtime.durable.kept import Kept
from flowc.runtime.durable.past import problem_to_json
from flowc.runtime.errors import Problem
from flowc.runtime.plan import Operation
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.failure import STOPPED
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.scheduler.keeping import Part, is_reading, is_repeatable

_FREE = encode_json((0, 0.0))
"""What calls that cost nothing hold of the budgets, as nearly all but those of models do."""


class Calling(Kept):
    """Keeps calls."""

    def begin(self, frame: Frame, instruction: Instruction, attempt: int) -> int | None:
        """See `Keeper`."""
        operation = instruction.operation
        if _is_careless(frame, operation):
            return None
        return self._intend(
            step_of(frame, instruction, self.root),
            instruction.node.name,
            operation,
            self._values(frame, instruction),
            attempt,
            (0, 0.0),
        )

    def _intend(
        self,
        step: str,
        name: str,
        operation: Operation | None,
        inputs: Sequence[Any],
        attempt: int,
        held: tuple[int, float],
        asked: Sequence[str] = (),
    ) -> int | None:
        effects = () if operation is None else operation.effects
        if (
            operation is not None
            and operation.kind == "tool"
            and all(each.kind == "pure" for each in effects)
        ):
            return None
        repeatable = is_repeatable(effects)
        blobs: Blobs = []
        arguments = "null"
        if operation is not None and not repeatable:
            given = zip(operation.parameters, inputs, strict=False)
            named = [f"{quoted(parameter.name)}:{packed_text(value, blobs)}" for parameter, value in given]
            arguments = "{" + ",".join(named) + "}"
        self.intended[step] = repeatable
        head = f'["intent",{self._now()},{quoted(step)},{quoted(name)},{attempt}'
        more = _FREE if held == (0, 0.0) and not asked else encode_json([*held, [*asked]] if asked else held)
        return self._append_text(f"{head},{'true' if repeatable else 'false'},{arguments},{more[1:]}", blobs)

    def flush(self, position: int) -> None:
        """See `Keeper`."""
        self.writer.wait(position, sync=True)

    async def intend(
        self,
        frame: Frame,
        instruction: Instruction,
        attempt: int,
        part: Part | None = None,
        held: tuple[int, float] = (0, 0.0),
        asked: Sequence[str] = (),
    ) -> None:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root)
        called, inputs = instruction.operation, [frame.slots[slot] for slot in instruction.inputs]
        if part is not None:
            step, called, inputs = step + part.inner, part.operation, [*part.inputs]
        name = called.name if called is not None else instruction.node.name
        with self.engine.lock:
            position = self._intend(step, name, called, inputs, attempt, held, asked)
        if position is not None and not _is_careless(frame, called):
            await self._durable(position)

    def first_attempt(self, frame: Frame, instruction: Instruction, inner: str = "") -> int:
        """See `Keeper`."""
        if not self.past.tries:
            return 1
        return self.past.tries.get(step_of(frame, instruction, self.root) + inner, 0) + 1

    def had_begun(self, frame: Frame, instruction: Instruction) -> bool:
        """See `Keeper`."""
        return bool(self.past.intents) and step_of(frame, instruction, self.root) in self.past.intents

    def tried(
        self, frame: Frame, instruction: Instruction, attempt: int, problem: Problem, inner: str = ""
    ) -> None:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root) + inner
        self.intended.pop(step, None)
        self._append(["tried", self._now(), step, attempt, problem.code, self.costs.pop(step, None)])

    def spent(
        self,
        frame: Frame,
        instruction: Instruction,
        tokens: tuple[int, int],
        cost: float,
        settled: tuple[int, float],
    ) -> None:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root)
        known = self.costs.get(step) or [0, 0, 0.0, 0, 0.0]
        more = (*tokens, cost, *settled)
        self.costs[step] = [one + other for one, other in zip(known, more, strict=True)]

    def spent_under(self, frame: Frame, instruction: Instruction, inner: str = "") -> tuple[int, int, float]:
        """See `Keeper`."""
        if not self.past.spent:
            return 0, 0, 0.0
        taken = self.past.spent_under(step_of(frame, instruction, self.root) + inner)
        return taken.calls, taken.tokens, taken.money

    def ended(self, frame: Frame, instruction: Instruction, value: Any, problem: Problem | None) -> None:
        """See `Keeper`."""
        if self.serving:
            return
        step = step_of(frame, instruction, self.root)
        self._ended(step, instruction.node.name, self._inputs(frame, instruction), value, problem)

    def _ended(self, step: str, name: str, inputs: str, value: Any, problem: Problem | None) -> None:
        spent = self.costs.pop(step, None) if self.costs else None
        written = not self.intended.pop(step, True)  # it was no call that may be made again
        self._stop()
        if problem is not None and problem.code in STOPPED:
            return  # of the run, not of the step: a part of it is in doubt, for instance
        if problem is not None:
            record = ["failed", self._now(), step, name, inputs, problem_to_json(problem), spent]
            self._append(record, sync=written)
            return
        blobs: Blobs = []
        head = f'["done",{self._now()},{quoted(step)},{quoted(name)},"{inputs}",'  # the record of most steps
        more = "null]" if spent is None else encode_json(spent) + "]"
        self._append_text(f"{head}{packed_text(value, blobs)},{more}", blobs, sync=written)

    def cut(self, frame: Frame, instruction: Instruction, *, began: bool = True) -> None:
        """See `Keeper`."""
        step = step_of(frame, instruction, self.root)
        if step not in self.intended:
            return
        del self.intended[step]
        if began:
            self._append(["cancelled", self._now(), step, self.costs.pop(step, None)])
        else:
            self._append(["withdrawn", step])
        self._stop()


def _is_careless(frame: Frame, called: Operation | None) -> bool:
    """Whether no harm is done if nobody knows that a call was begun: it may be made again, and there is no
    budget that must know of it.
    """
    return frame.scope.plain and called is not None and is_reading(called.effects)
