"""What a call may spend: reserved in the budgets before, settled and noted after."""

import asyncio
from collections.abc import Callable
from functools import partial

from flowc.runtime.limits import Budget, Reservation, opened, reserve, settle
from flowc.runtime.plan import Json
from flowc.runtime.providers.base import ModelSettings, Usage, name_of
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.speculation import in_doubt, may_spend


async def reserved(
    engine: Engine,
    scope: Scope,
    budgets: tuple[Budget, ...],
    bound: int,
    answer: int | None,
    model: ModelSettings,
    operation: str,
    *,
    whole: bool = True,
) -> Reservation | None:
    """Holds the worst case of a call in its budgets, waiting for others to settle where needed.

    A call that may not be wanted draws only on what the budgets can spare, and waits for the decision where
    that is too little. One that is not `whole` is followed by more of the same operation, so that the budgets
    do not know yet what that will take.
    """
    counting = tuple(
        budget for budget in budgets if budget.limits.tokens is not None or budget.limits.money is not None
    )
    if not counting:
        return None
    while True:
        settled: asyncio.Future[None] = engine.loop.create_future()
        wake = partial(_settle, settled)
        with engine.lock:
            if may_spend(scope, bound, answer, model.price):
                held = reserve(counting, bound, answer, model.price, operation)
                if held != "wait":
                    awake = opened(counting[in_doubt(scope) :]) if whole else []
                    break
            elif scope.undecided is not None:
                scope.undecided.wait(wake)
            for budget in counting:
                budget.waiters.append(wake)
        await settled
    for each in awake:
        each()
    return held


def _settle(settled: asyncio.Future[None]) -> None:
    if not settled.done():
        settled.set_result(None)


def account(
    engine: Engine,
    frame: Frame,
    instruction: Instruction,
    model: ModelSettings,
    held: Reservation | None,
    usage: Usage,
    waited: float = 0.0,
    *,
    certain: bool,
    paid: bool = True,
) -> None:
    """Settles a call. What a broken-off call cost is not known, so the budgets take its worst case; what
    another call has paid counts for the budgets alone. `waited` is how many seconds it stood before the gate.
    """
    awake: list[Callable[[], None]] = []
    with engine.lock:
        if paid:
            money = engine.session.spend(usage, model)
            engine.note("spent", frame, instruction, spent_on(model, usage, money, waited))
        else:
            money = model.price.of(usage.prompt, usage.answer, usage.cached, batched=usage.batched)
        settled = usage.prompt + usage.answer, money
        if held is not None and not certain:
            settled = held.tokens, held.money
        if held is not None:
            awake = settle(held, *settled)
        if engine.keeper is not None:
            tokens = (usage.prompt, usage.answer) if paid else (0, 0)
            engine.keeper.spent(frame, instruction, tokens, money if paid else 0.0, settled)
    for wake in awake:
        wake()


def spent_on(model: ModelSettings, usage: Usage, money: float, waited: float) -> dict[str, Json]:
    """What one call cost, for the trace: it waited before the gate, and then in the queue of the provider."""
    return {
        "model": name_of(model),
        "provider": model.provider,
        "tokens_in": usage.prompt,
        "tokens_out": usage.answer,
        "cached": usage.cached,
        "waited_s": waited,
        "queued_s": usage.queued,
        "estimated": usage.estimated,
        "cost_usd": money,
    }
