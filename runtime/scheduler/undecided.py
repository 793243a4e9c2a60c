"""What is done before it is known whether it is wanted: the mark on a scope that says so.

A call in such a scope draws on a budget only where the budget can spare its worst case: every other call that
the budget has to pay for holds its own worst case already, or has been settled. Until then, it waits for the
decision. So no budget is exceeded, and no call that is wanted finds less left than it would have found.
"""

from collections.abc import Callable, Sequence

from attrs import define, field

from flowc.runtime.limits import Budget, Price


@define(eq=False)
class Undecided:
    """A decision to come. `others` has a number for each budget around it: how many calls it pays for beside
    those that depend on the decision; `outer` is the undecided scope around this one.
    """

    others: tuple[int, ...]
    outer: "Undecided | None" = None
    over: bool = False
    waiters: list[Callable[[], None]] = field(factory=list)

    def open(self) -> bool:
        """Whether this decision, or one around it, is still to come."""
        at: Undecided | None = self
        while at is not None:
            if not at.over:
                return True
            at = at.outer
        return False

    def wait(self, wake: Callable[[], None]) -> None:
        """Calls `wake` when a decision is made, this one or one around it."""
        at: Undecided | None = self
        while at is not None:
            at.waiters.append(wake)
            at = at.outer

    def decide(self) -> list[Callable[[], None]]:
        """Notes the decision; gives those who waited for it."""
        self.over = True
        awake, self.waiters = self.waiters, []
        return awake


def can_spare(
    budgets: Sequence[Budget], others: Sequence[int], tokens: tuple[int, int], price: Price
) -> bool:
    """Whether budgets can pay for a doubtful call, of so many tokens (prompt, answer), and for all else."""
    if len(budgets) != len(others):
        return False
    money = price.of(*tokens)
    return all(
        budget.opened >= number and budget.left_tokens() >= sum(tokens) and budget.left_money() >= money
        for budget, number in zip(budgets, others, strict=True)
    )
