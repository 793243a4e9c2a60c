"""Transactions: where a block fails, or is cancelled, the writes that ended in it are taken back.

The undos run one after the other, that of the latest write first, each as a step of its own below the write
that it takes back, outside of all limits. Until they have ended nothing around the transaction is at rest: so
a failure is told, and a time limit reacts, only then. A write that has begun is not broken off: it ends, and
is taken back. A transaction that ends well leaves its writes to the one around it.
"""

from functools import partial

from attrs import evolve

from flowc.runtime.errors import NOT_UNDONE, Problem
from flowc.runtime.scheduler.blocks import Instruction, Undo
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.failure import STOPPED
from flowc.runtime.scheduler.frames import Frame, Scope, Written, step_of
from flowc.runtime.scheduler.structure import Step

CANCELLED_AROUND = Problem("E0715", "the transaction was cancelled from outside")
"""What stands for the problem of a transaction that did not fail itself."""


class Transaction(Step):
    """transaction: the region, and what takes back its writes."""

    def __init__(self, engine: Engine, frame: Frame, instruction: Instruction) -> None:
        super().__init__(engine, frame, instruction)
        self.scope = Scope(frame.scope, self._undo)
        self.scope.done = []
        self.scope.stopped = self._hold
        self.problem = CANCELLED_AROUND
        self.pending: list[tuple[Written, Undo]] = []
        self.left: list[str] = []
        self.current: Scope | None = None
        self.over = False

    def begin(self) -> None:
        """Starts the region."""
        block = self.instruction.blocks[0]
        self.engine.enter(Frame(block, self.scope, self._succeeded, self.frame, self.instruction, -1))

    def _succeeded(self, child: Frame) -> None:
        values = child.results()
        child.close()
        around = self.frame.scope.done
        if around is not None and self.scope.done is not None:
            around.extend(self.scope.done)
        self.scope.leave()
        self.conclude(values)

    def _hold(self) -> None:
        """The scope is being cancelled: keeps what is around it from coming to rest, and sees to it that the
        undos begin where nothing inside is left to end.
        """
        self.frame.scope.waiting += 1
        self.engine.undoing[self.scope] = self._suspend
        if self.scope.problem is None:
            self.scope.problem = CANCELLED_AROUND
        self.engine.waiting.later(0.0, partial(self.engine.settle, self.scope))

    def _undo(self, problem: Problem) -> None:
        """All inside has come to rest."""
        self.problem = problem
        if self.over:
            return
        for written in self.scope.done or ():
            if written.problem is None:
                self.pending += [(written, undo) for undo in written.instruction.undos]
            else:
                self._leave_out(written, f"may have happened: {_said(written.problem)}")
        self._next()

    def _next(self) -> None:
        if self.over:
            return
        if not self.pending:
            self._end()
            return
        written, undo = self.pending.pop()
        scope = self.current = Scope(None, partial(self._not_undone, written, undo))
        child = Frame(undo.block, scope, self._undone, self.frame, self.instruction, -1)
        child.path = step_of(written.frame, written.instruction, self.engine.session.root)
        given = [*written.inputs, written.value]  # the result stands last, at -1
        for slot, source in zip(undo.block.parameters, undo.sources, strict=True):
            child.slots[slot] = given[source]
        self.engine.enter(child)

    def _undone(self, child: Frame) -> None:
        child.close()
        self._next()

    def _not_undone(self, written: Written, undo: Undo, problem: Problem) -> None:
        self._leave_out(written, f"`{undo.name}` failed with {_said(problem)}")
        self._next()

    def _leave_out(self, written: Written, reason: str) -> None:
        step = step_of(written.frame, written.instruction, self.engine.session.root)
        self.left.append(f"{step} ({reason})")

    def _suspend(self) -> None:
        """The run is stopped: where somebody may go on with it the transaction stays as it is."""
        root = self.engine.root.problem
        if self.engine.keeper is None or root is None or root.code not in STOPPED:
            return
        if self.current is not None:
            self.current.cancelled = True
        self._leave()

    def _leave(self) -> None:
        self.over = True
        self.frame.scope.waiting -= 1
        del self.engine.undoing[self.scope]

    def _end(self) -> None:
        """Everything was tried: the block fails with its own problem, unless something is left."""
        engine, around = self.engine, self.frame.scope
        if self.left:
            self._tell()
        elif not around.cancelled:
            engine.fail(self.frame, self.instruction, self.problem)
        self._leave()
        engine.settle(around)

    def _tell(self) -> None:
        """Ends the run with what is left; where it ends already, tells of that as well."""
        root = self.engine.root
        cause = next((each for each in (self.problem, *_around(self.frame.scope)) if _is_own(each)), None)
        failed = "it was cancelled" if cause is None else f"it failed with {cause.code}: {cause.message}"
        problem = Problem(
            NOT_UNDONE,
            "a transaction could not be undone wholly",
            why=f"{failed}; what is left: {'; '.join(self.left)}",
            help="look at what is left, and take it back by hand",
            line=self.instruction.node.line,
            column=self.instruction.node.column,
        )
        if root.problem is None:
            self.engine.fail(self.frame, self.instruction, problem)
        elif root.problem.code == NOT_UNDONE:
            root.problem = evolve(root.problem, why=f"{root.problem.why}; {problem.why}")
        else:
            root.problem = problem


def _said(problem: Problem) -> str:
    return f"{problem.code}: {problem.message}" + (f": {problem.why}" if problem.why else "")


def _around(scope: Scope) -> list[Problem]:
    """The problems of the scopes from here outwards."""
    found: list[Problem] = []
    at: Scope | None = scope
    while at is not None:
        found += [] if at.problem is None else [at.problem]
        at = at.parent
    return found


def _is_own(problem: Problem) -> bool:
    return problem is not CANCELLED_AROUND


def enter_transaction(engine: Engine, frame: Frame, instruction: Instruction) -> None:
    """transaction: see `Transaction`."""
    Transaction(engine, frame, instruction).begin()
