"""Regions that may fail without failing the run: race, vote, attempt, and blocks under limits.

Each opens a scope. What happens inside a scope ends with it; what it means that the scope failed is said
here.
"""

from collections import Counter
from collections.abc import Sequence
from heapq import nlargest
from typing import Any

from flowc.runtime.errors import Problem
from flowc.runtime.limits import budget_of, is_limited
from flowc.runtime.plan import Limits
from flowc.runtime.scheduler.blocks import Block, Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.retrying import begin_retry, may_retry
from flowc.runtime.scheduler.structure import Return, Step
from flowc.runtime.scheduler.transaction import CANCELLED_AROUND
from flowc.runtime.values import canonical


class Choice(Step):
    """A step that goes on with a part of what it began. What has lost is cancelled; it is not waited for, but
    for the transactions in it, which are taken back, and the writes of one, which end.
    """

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        super().__init__(engine, frame, instruction)
        self.chosen: tuple[list[Any], int] | None = None
        self.left: list[Scope] = []

    def choose(self, values: list[Any], ran: int, losers: Sequence[Scope]) -> None:
        """Ends the step with these values once the losers allow it."""
        self.chosen = values, ran
        for scope in losers:
            self.engine.stop_scope(scope, abandon=True)
        self.left = [scope for scope in losers if _holds_up(self.engine, scope)]
        for scope in self.left:
            scope.problem = scope.problem or CANCELLED_AROUND  # so that its rest is told
        for scope in losers:
            self.engine.settle(scope)
        self.rested()

    def rested(self) -> None:
        """A loser has come to rest."""
        if self.chosen is not None and all(scope.reported for scope in self.left):
            (values, ran), self.chosen = self.chosen, None
            self.conclude(values, ran)


def _holds_up(engine: Engine, scope: Scope) -> bool:
    """Whether in a scope that was cancelled a transaction has to be taken back, or a write of one to end."""
    inside = {*scope.tree()}
    return any(each.parent in inside for each in engine.undoing) or any(
        each.done is not None and each.waiting for each in inside
    )


class Race(Choice):
    """race: all arms at once; the first to succeed wins and the others are cancelled."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        super().__init__(engine, frame, instruction)
        self.decided = False
        self.problems: list[Problem] = []
        self.scopes: list[Scope] = []

    def begin(self) -> None:
        """Starts every arm; an arm without nodes has won before the others begin."""
        for block in self.instruction.blocks:
            scope = Scope(self.frame.scope, self._lost)
            self.scopes.append(scope)
            self.engine.enter(Frame(block, scope, self._won, self.frame, self.instruction, -1))
            if not scope.cancelled and not block.count:
                return

    def _won(self, child: Frame) -> None:
        keeper, arm = self.engine.keeper, self.instruction.blocks.index(child.block)
        if keeper is not None and not keeper.chooses(self.frame, self.instruction, arm):
            return  # another arm is known to have won, and will
        self.decided = True
        values = child.results()
        child.close()
        child.scope.leave()
        losers = [scope for scope in self.scopes if scope is not child.scope and not scope.reported]
        self.choose(values, arm, losers)

    def _lost(self, problem: Problem) -> None:
        if self.decided:
            self.rested()
            return
        self.problems.append(problem)
        if len(self.problems) == len(self.instruction.blocks):
            reasons = "; ".join(f"{problem.code}: {problem.message}" for problem in self.problems)
            problem = Problem("E0718", "every arm of this race failed", why=reasons)
            self.engine.fail(self.frame, self.instruction, problem)


def enter_race(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """race: see `Race`."""
    Race(engine, frame, instruction).begin()


class Vote(Choice):
    """vote: ballots until the leading answer is `lead` ahead or `max` are in; the plurality wins.

    Only as many ballots are open as might still be needed: with `lead` 3 the first three start at once, and
    each dissent opens another. After Wang et al., "Self-consistency", 2022, with the early stop of a
    sequential test.
    """

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        super().__init__(engine, frame, instruction)
        settings = instruction.node.settings
        most, lead = settings.get("max"), settings.get("lead")
        self.most = most if isinstance(most, int) else 1
        self.lead = lead if isinstance(lead, int) else self.most
        self.scope = Scope(frame.scope, self._failed)
        self.opened = 0
        self.ballots: dict[int, Any] = {}
        self.keys: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self.decided = False
        keeper = engine.keeper
        self.known = None if keeper is None else keeper.ballots(frame, instruction)
        self.needed = 0 if self.known is None else max(self.known[0]) + 1

    def _is_over(self, margin: int) -> bool:
        """Whether the ballots that are in decide; where it is known which ones did, those."""
        if self.known is not None:
            return self.known[0] <= self.ballots.keys()
        return margin >= self.lead or len(self.ballots) >= self.most

    def go_on(self) -> None:
        """Opens the ballots that are needed, or counts them."""
        while not self.decided:
            margin = self._margin()
            if self._is_over(margin):
                self._decide()
                return
            open_now = self.opened - len(self.ballots)
            if self.opened >= self.most or (open_now >= self.lead - margin and self.opened >= self.needed):
                return
            block = self.instruction.blocks[0]
            position = self.opened
            self.opened += 1
            child = Frame(block, self.scope, self._cast, self.frame, self.instruction, position)
            for slot in block.parameters:
                child.slots[slot] = position
            if block.count:
                self.engine.enter(child)
            else:
                self._count(position, child.results()[0])

    def _count(self, position: int, answer: Any) -> None:
        self.ballots[position] = answer
        self.keys[position] = canonical(answer)
        self.counts[self.keys[position]] += 1

    def _margin(self) -> int:
        first, second = nlargest(2, (*self.counts.values(), 0, 0))
        return first - second

    def _cast(self, child: Frame) -> None:
        self._count(child.position, child.results()[0])
        child.close()
        self.go_on()

    def _winner(self) -> int:
        """The ballot with the most frequent answer, among equals the earliest."""
        return max(sorted(self.keys), key=lambda position: self.counts[self.keys[position]])

    def _decide(self) -> None:
        self.decided = True
        if self.known is not None:
            winner = self.known[1]
        else:
            winner = self._winner()
            if self.engine.keeper is not None:
                self.engine.keeper.elected(self.frame, self.instruction, tuple(self.ballots), winner)
        chosen = self.ballots[winner]
        if self.opened > len(self.ballots):
            self.choose([chosen], self.opened, [self.scope])
        else:
            self.scope.leave()
            self.conclude([chosen], self.opened)

    def _failed(self, problem: Problem) -> None:
        if self.decided:
            self.rested()
        else:
            self.engine.fail(self.frame, self.instruction, problem)


def enter_vote(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """vote: see `Vote`."""
    Vote(engine, frame, instruction).go_on()


def enter_attempt(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """attempt: the first region, and where it fails, the second."""
    tried, otherwise = instruction.blocks
    give_back = Return(engine)

    def succeeded(child: Frame) -> None:
        scope.leave()
        give_back(child)

    def failed(problem: Problem) -> None:
        engine.enter(Frame(otherwise, frame.scope, give_back, frame, instruction, -1))

    scope = Scope(frame.scope, failed)
    engine.enter(Frame(tried, scope, succeeded, frame, instruction, -1))


class Limited:
    """A block or a call under limits: one budget and one deadline over all of its tries."""

    def __init__(
        self,
        engine: Engine,
        frame: Frame,
        instruction: Instruction,
        block: Block,
        limits: Limits,
        arguments: Sequence[Any] = (),
    ) -> None:
        self.engine = engine
        self.frame = frame
        self.instruction = instruction
        self.block = block
        self.limits = limits
        self.arguments = arguments
        self.give_back = Return(engine)
        self.tries = 0
        self.over = False
        keeper = engine.keeper
        taken = (0, 0, 0.0) if keeper is None else keeper.spent_under(frame, instruction)
        self.budgets = (budget_of(instruction.node, limits, taken),) if is_limited(limits) else ()
        self.scope = Scope(frame.scope, self._failed, *self.budgets)
        self.deadline = self.scope.deadline

    def begin(self) -> None:
        """Starts the deadline and the first try."""
        timeout, keeper = self.limits.timeout, self.engine.keeper
        if timeout is not None:
            if keeper is None:
                self.engine.waiting.later(timeout, self._time_is_up)
            else:
                timeout = keeper.deadline(
                    self.frame, self.instruction, timeout, self._time_is_up, lambda: self.over
                )
            self.deadline = min(self.deadline, self.engine.loop.time() + timeout)
        self._try()

    def _try(self) -> None:
        if self.over or self.frame.scope.cancelled:
            return
        self.tries += 1
        self.scope.deadline = self.deadline
        repeated = self.tries - 1 if self.tries > 1 else -1  # steps of another try have another name
        child = Frame(self.block, self.scope, self._succeeded, self.frame, self.instruction, repeated)
        for slot, value in zip(self.block.parameters, self.arguments, strict=True):
            child.slots[slot] = value
        self.engine.enter(child)

    def _succeeded(self, child: Frame) -> None:
        keeper = self.engine.keeper
        if keeper is not None and keeper.expires(self.frame, self.instruction):
            return  # its time is known to be up before
        self.over = True
        self.scope.leave()
        self.give_back(child)

    def _time_is_up(self) -> None:
        if self.over:
            return
        self.over = True
        if self.scope.cancelled:
            self.engine.stop_scope(self.scope, abandon=True)
            self.engine.settle(self.scope)
        else:
            problem = timed_out(self.instruction, self.limits.timeout or 0.0)
            self.engine.fail_scope(self.scope, problem, abandon=True)

    def _failed(self, problem: Problem) -> None:
        if self.over or self.tries > self.limits.retries or not may_retry(problem):
            self.over = True
            self.engine.fail(self.frame, self.instruction, problem)
            return
        self.scope = Scope(self.frame.scope, self._failed, *self.budgets)
        delay = begin_retry(self.engine, self.frame, self.instruction, self.limits, problem, self.tries)
        keeper = self.engine.keeper
        if keeper is None:
            self.engine.waiting.later(delay, self._try)
        else:
            keeper.later(self.frame, self.instruction, f"try{self.tries}", delay, self._try)


def timed_out(instruction: Instruction, seconds: float) -> Problem:
    """The problem of what took longer than its limit."""
    return Problem(
        "E0714",
        f"`{instruction.node.name}` took longer than its limit of {seconds:g} s",
        why="everything inside it was cancelled when the time was up",
        help="raise the timeout, or give another way with `try ... else`",
        line=instruction.node.line,
        column=instruction.node.column,
    )


def limits_of(instruction: Instruction) -> Limits:
    """The limits that a `limit` node carries in its settings."""
    settings = instruction.node.settings

    def number(name: str) -> float | None:
        value = settings.get(name)
        return float(value) if isinstance(value, int | float) else None

    def whole(name: str) -> int | None:
        value = settings.get(name)
        return value if isinstance(value, int) else None

    return Limits(
        timeout=number("timeout"),
        money=number("money"),
        tokens=whole("tokens"),
        calls=whole("calls"),
        memory=whole("memory"),
        retries=whole("retries") or 0,
        backoff=number("backoff") or 0.0,
    )


def enter_limit(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """limit: the region under the limits of the node's settings."""
    Limited(engine, frame, instruction, instruction.blocks[0], limits_of(instruction)).begin()


def enter_limited_call(
    engine: Engine, frame: Frame, instruction: Instruction, block: Block, limits: Limits
) -> None:
    """call: of a flow that has limits of its own."""
    arguments = [frame.slots[slot] for slot in instruction.inputs]
    Limited(engine, frame, instruction, block, limits, arguments).begin()
