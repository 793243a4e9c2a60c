"""Calls under their own limits: each attempt has its timeout, failures that may pass are tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from flowc.runtime.errors import FlowError
from flowc.runtime.limits import Budget, budget_of, charge_call, charge_memory, is_limited
from flowc.runtime.plan import Limits
from flowc.runtime.providers.base import ProviderError
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.choices import timed_out
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import UNCATCHABLE, problem_of
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.keeping import Part
from flowc.runtime.scheduler.retrying import begin_retry, may_retry
from flowc.runtime.values import size_of

INTENDED = frozenset({"tool", "execute"})
"""Nodes whose calls are about to be made as soon as they are counted; those of models stand in line first."""

Once = Callable[[int, tuple[Budget, ...]], Awaitable[Any]]
"""One attempt: its number, and the budgets it must keep to."""


async def with_attempts(
    engine: Engine,
    frame: Frame,
    instruction: Instruction,
    limits: Limits,
    once: Once,
    part: Part | None = None,
) -> Any:
    """The first result of `once(attempt, budgets)`; raises what the last attempt raised.

    The budgets are those of everything around the call and, innermost, the call's own. `part` is what is
    called
    where that is only a part of the step.
    """
    keeper = engine.keeper
    inner = "" if part is None else part.inner
    taken = (0, 0, 0.0) if keeper is None else keeper.spent_under(frame, instruction, inner)
    own = (budget_of(instruction.node, limits, taken),) if is_limited(limits) else ()
    budgets = (*frame.scope.budgets, *own)
    taken_back = frame.scope.done is not None and bool(instruction.undos)
    begun = taken_back and keeper is not None and keeper.had_begun(frame, instruction)
    for attempt in count(1 if keeper is None else keeper.first_attempt(frame, instruction, inner)):
        error: FlowError
        after = 0.0
        try:
            with engine.lock:
                if not begun:  # else it may have happened, and who would refuse it could not take it back
                    charge_call(budgets, instruction.node.name)
                begun = False
                engine.session.calls[instruction.node.op] += 1
                engine.intend(frame, instruction, attempt)
            if keeper is not None and instruction.node.op in INTENDED:
                await keeper.intend(frame, instruction, attempt, part)
            result = await _timed(instruction, limits, once(attempt, budgets))
            if own:
                charge_memory(own, size_of(result), instruction.node.name)
            return result
        except ProviderError as failure:
            if not failure.retryable:
                raise
            error, after = failure, failure.after or 0.0
        except FlowError as failure:
            error = failure
        except Exception as failure:
            error = FlowError(problem_of(failure, instruction))
        if attempt > limits.retries or not may_retry(error.problem) or error.problem.code in UNCATCHABLE:
            raise error
        if engine.loop.time() + after > frame.scope.deadline:  # by then nobody waits any more
            raise error
        with engine.lock:
            if keeper is not None:
                keeper.tried(frame, instruction, attempt, error.problem, inner)
            delay = begin_retry(engine, frame, instruction, limits, error.problem, attempt)
        await asyncio.sleep(max(delay, after))


async def _timed(instruction: Instruction, limits: Limits, result: Awaitable[Any]) -> Any:
    if limits.timeout is None:
        return await result
    try:
        async with asyncio.timeout(limits.timeout) as deadline:
            return await result
    except TimeoutError:
        if not deadline.expired():
            raise
        raise FlowError(timed_out(instruction, limits.timeout)) from None
