"""Budgets: what may be spent is reserved before a call and settled after it, so no limit is ever exceeded.

A call reserves its worst case (every token of its prompt and the most it may answer) in all budgets around
it. When a budget has too little left only because other calls hold reservations, the caller waits for one
of them to settle; when nothing is held by others either, the budget is spent.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from attrs import define, field, frozen

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import Limits, Node

LEAST_ANSWER = 16
"""A call that could answer fewer tokens than this is not worth its prompt."""

USUAL_ANSWER = 1024
"""How many tokens an answer may have under a budget where neither program nor configuration says so."""


@frozen
class Price:
    """US dollars a token, of the prompt and of the answer. `cached` is the price of tokens of the prompt that
    the provider had computed before, where it is another; calls in a batch cost `batch` of the price.
    """

    prompt: float = 0.0
    answer: float = 0.0
    cached: float | None = None
    batch: float = 1.0

    def of(self, prompt: int, answer: int, cached: int = 0, *, batched: bool = False) -> float:
        """What a call costs, of whose prompt so many tokens were `cached`."""
        saved = 0.0 if self.cached is None else (self.prompt - self.cached) * min(max(cached, 0), prompt)
        whole = self.prompt * prompt + self.answer * answer - saved
        return whole * self.batch if batched else whole


@define(eq=False)
class Budget:
    """What one block or call may spend, what it has spent, and what calls under way hold reserved.

    `opened` counts the calls, certain to be wanted, that hold their share or have settled it.
    """

    owner: str
    limits: Limits
    line: int = 0
    money: float = 0.0
    tokens: int = 0
    calls: int = 0
    memory: int = 0
    held_money: float = 0.0
    held_tokens: int = 0
    opened: int = 0
    waiters: list[Callable[[], None]] = field(factory=list)

    def left_tokens(self) -> float:
        """Tokens that are neither spent nor held."""
        limit = self.limits.tokens
        return float("inf") if limit is None else limit - self.tokens - self.held_tokens

    def left_money(self) -> float:
        """Dollars that are neither spent nor held."""
        limit = self.limits.money
        return float("inf") if limit is None else limit - self.money - self.held_money


@frozen(eq=False)
class Reservation:
    """What a call holds until it is settled: `answer` is the most tokens that it may answer."""

    budgets: tuple[Budget, ...]
    money: float
    tokens: int
    answer: int
    lowered: bool = False


def budget_of(node: Node, limits: Limits, taken: tuple[int, int, float]) -> Budget:
    """A new budget, of which so many calls, tokens and dollars were taken before."""
    calls, tokens, money = taken
    return Budget(node.name, limits, node.line, calls=calls, tokens=tokens, money=money)


def is_limited(limits: Limits) -> bool:
    """Whether these limits ask for a budget."""
    return (limits.money, limits.tokens, limits.calls, limits.memory) != (None, None, None, None)


def charge_call(budgets: Sequence[Budget], operation: str) -> None:
    """Counts one call, or raises E0721 where a budget of calls is spent."""
    for budget in budgets:
        if budget.limits.calls is not None and budget.calls >= budget.limits.calls:
            raise spent(budget, "calls", f"{budget.calls} of {budget.limits.calls}", operation)
    for budget in budgets:
        budget.calls += 1


def charge_memory(budgets: Sequence[Budget], size: int, operation: str) -> None:
    """Counts the bytes of a result, or raises E0724 where a budget of memory is spent."""
    for budget in budgets:
        limit = budget.limits.memory
        if limit is not None:
            budget.memory += size
            if budget.memory > limit:
                raise fail(
                    "E0724",
                    f"the results of `{budget.owner}` need more memory than its limit of {limit:,} bytes",
                    why=f"with the result of `{operation}` they hold {budget.memory:,} bytes",
                    help="raise the limit, or work on fewer rows at a time",
                )


def reserve(
    budgets: tuple[Budget, ...], prompt: int, wanted: int | None, price: Price, operation: str
) -> Reservation | Literal["wait"]:
    """Holds the worst case of a call in every budget.

    Returns "wait" where other calls hold what is missing; raises E0722 (tokens) or E0723 (money) where the
    budget is spent. The answer is shortened to what the budgets allow, but not below `LEAST_ANSWER`.
    """
    most = wanted if wanted is not None else USUAL_ANSWER
    least = min(most, LEAST_ANSWER)
    allowed = float(most)
    for budget in budgets:
        allowed = min(allowed, _allowed(budget, prompt, price))
    if allowed < least:
        for budget in budgets:
            if _allowed(budget, prompt, price) < least and not budget.held_tokens:
                raise _too_dear(budget, prompt, least, price, operation)
        return "wait"
    answer = int(allowed)
    tokens, money = prompt + answer, price.of(prompt, answer)
    for budget in budgets:
        budget.held_tokens += tokens
        budget.held_money += money
    return Reservation(budgets, money, tokens, answer, lowered=answer < most)


def _allowed(budget: Budget, prompt: int, price: Price) -> float:
    """How many tokens an answer may have by one budget."""
    allowed = budget.left_tokens() - prompt
    if budget.limits.money is not None:
        left = budget.left_money() - price.of(prompt, 0)
        if left < 0:
            return -1.0
        if price.answer > 0:
            allowed = min(allowed, left / price.answer)
    return allowed


def settle(reservation: Reservation, tokens: int, money: float) -> list[Callable[[], None]]:
    """Replaces what was held by what was spent; returns the waiters to wake."""
    awake: list[Callable[[], None]] = []
    for budget in reservation.budgets:
        budget.held_tokens -= reservation.tokens
        budget.held_money = max(0.0, budget.held_money - reservation.money)
        budget.tokens += tokens
        budget.money += money
        awake.extend(budget.waiters)
        budget.waiters.clear()
    return awake


def opened(budgets: Sequence[Budget]) -> list[Callable[[], None]]:
    """Counts a call that is certain to be wanted and holds its share; returns the waiters to wake."""
    awake: list[Callable[[], None]] = []
    for budget in budgets:
        budget.opened += 1
        awake.extend(budget.waiters)
        budget.waiters.clear()
    return awake


def spent(budget: Budget, what: str, used: str, operation: str) -> FlowError:
    """The error of a budget that has nothing left for a call of `operation`."""
    code = {"calls": "E0721", "tokens": "E0722", "money": "E0723"}[what]
    return fail(
        code,
        f"the budget of {what} of `{budget.owner}` is spent",
        why=f"{used} are used, and `{operation}` was to be called once more",
        help="raise the budget, or ask for less; `--trace FILE` keeps what was obtained until then",
    )


def _too_dear(budget: Budget, prompt: int, least: int, price: Price, operation: str) -> FlowError:
    if budget.left_tokens() - prompt < least:
        used = f"{budget.tokens:,} of {budget.limits.tokens:,} tokens"
        need = f"{prompt:,} tokens of prompt and at least {least} of answer"
        what, code = "tokens", "E0722"
    else:
        used = f"${budget.money:.6f} of ${budget.limits.money:.6f}"
        need = f"at least ${price.of(prompt, least):.6f}"
        what, code = "money", "E0723"
    return fail(
        code,
        f"the budget of {what} of `{budget.owner}` is spent",
        why=f"{used} are used, and the next call of `{operation}` may need {need}",
        help="raise the budget, or ask for less; `--trace FILE` keeps what was obtained until then",
    )
