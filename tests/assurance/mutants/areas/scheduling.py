"""Wrong scheduling: what runs when, who wins, who is cancelled, what is shared."""

from tests.assurance.mutants.model import Area, Mutant

ENGINE = "runtime/scheduler/engine.py"
STRUCTURE = "runtime/scheduler/structure.py"
CHOICES = "runtime/scheduler/choices.py"
TRANSACTION = "runtime/scheduler/transaction.py"
SHARED = "runtime/scheduler/shared.py"
HEDGING = "runtime/scheduler/hedging.py"
COLLECTOR = "runtime/scheduler/collector.py"

MUTANTS = (
    Mutant(
        "run-finish-cancelled",
        ENGINE,
        "        if frame.scope.cancelled:\n            return\n        slots = frame.slots",
        "        slots = frame.slots",
        "what ends in a scope that was cancelled goes on",
    ),
    Mutant(
        "run-ended-cancelled",
        ENGINE,
        "        if scope.cancelled:\n            self.drop(frame, instruction)\n            return None\n",
        "        if scope.cancelled and problem is not None:\n            self.drop(frame, instruction)\n"
        "            return None\n",
        "a body that ends well in a scope that was cancelled readies what comes after it",
    ),
    Mutant(
        "run-release-order",
        ENGINE,
        "                    heappush(self.ready, (other.priority, self.sequence(), frame, other))",
        "                    heappush(self.ready, (-other.priority, self.sequence(), frame, other))",
        "of what becomes ready together the least urgent goes first",
    ),
    Mutant(
        "run-arrays-dropped-early",
        ENGINE,
        "            if not pending[index]:\n                frame.slots[slot] = None",
        "            if pending[index] <= 1:\n                frame.slots[slot] = None",
        "an array is let go while one more node is to read it",
    ),
    Mutant(
        "run-uncatchable",
        ENGINE,
        "scope = self.root if problem.code in UNCATCHABLE else frame.scope",
        "scope = frame.scope",
        "`try` catches what must end the run",
    ),
    Mutant(
        "run-settle-early",
        ENGINE,
        "if at.cancelled and not at.reported and at.at_rest():",
        "if at.cancelled and not at.reported:",
        "a failed scope is told of before what runs in it has ended",
    ),
    Mutant(
        "run-uncertain-written",
        ENGINE,
        "(problem is None or problem.code in UNCERTAIN):",
        "problem is None:",
        "a transaction forgets a write that may have happened although it failed",
    ),
    Mutant(
        "run-map-width",
        STRUCTURE,
        "for _ in range(min(self.width, self.count)):",
        "for _ in range(min(self.width + 1, self.count)):",
        "one element more runs at once than may",
    ),
    Mutant(
        "run-map-gathers-early",
        STRUCTURE,
        "        if self.next < self.count:\n"
        "            self.engine.enter(self._open())\n        elif self.ended",
        "        if self.next < self.count - 1:\n"
        "            self.engine.enter(self._open())\n        elif self.ended",
        "the last element of a wide comprehension never begins",
    ),
    Mutant(
        "run-map-filtered",
        STRUCTURE,
        "LEFT_OUT if self.filtered and not slots[results[0]] else value",
        "LEFT_OUT if self.filtered and not (slots[results[0]] or value) else value",
        "a filtered comprehension keeps what is to be left out",
    ),
    Mutant(
        "run-while-bound",
        STRUCTURE,
        "            self.turn += 1\n            self.turns += 1\n        self.testing",
        "            self.turn += self.testing\n            self.turns += 1\n        self.testing",
        "a bounded loop does not end at its bound",
    ),
    Mutant(
        "run-for-break",
        STRUCTURE,
        "self.turn = len(self.first) if stop else self.turn + 1",
        "self.turn = len(self.first) - 1 if stop else self.turn + 1",
        "after a `break` the last element has its turn",
    ),
    Mutant(
        "run-race-losers",
        CHOICES,
        "            self.engine.stop_scope(scope, abandon=True)\n        self.left",
        "            pass\n        self.left",
        "arms that have lost a race run on",
    ),
    Mutant(
        "run-race-waits-for-undo",
        CHOICES,
        "return any(each.parent in inside for each in engine.undoing) or any(",
        "return any(",
        "a race ends before the transaction of an arm that lost is taken back",
    ),
    Mutant(
        "run-vote-lead",
        CHOICES,
        "return margin >= self.lead or len(self.ballots) >= self.most",
        "return margin + 1 >= self.lead or len(self.ballots) >= self.most",
        "a vote ends one ballot before it is decided",
    ),
    Mutant(
        "run-vote-ties",
        CHOICES,
        "return max(sorted(self.keys), key=",
        "return max(sorted(self.keys, reverse=True), key=",
        "among equals the latest ballot wins",
    ),
    Mutant(
        "run-vote-opened",
        CHOICES,
        "open_now >= self.lead - margin and",
        "open_now > self.lead - margin and",
        "a vote opens a ballot that cannot be needed",
    ),
    Mutant(
        "run-attempt-leaves",
        CHOICES,
        "    def failed(problem: Problem) -> None:\n        engine.enter(Frame(otherwise, frame.scope,",
        "    def failed(problem: Problem) -> None:\n        engine.enter(Frame(otherwise, scope,",
        "the other way of a `try` runs in the scope that has failed",
    ),
    Mutant(
        "run-retry-names",
        CHOICES,
        "repeated = self.tries - 1 if self.tries > 1 else -1",
        "repeated = -1",
        "the steps of a second try have the names of the first",
    ),
    Mutant(
        "run-undo-order",
        TRANSACTION,
        "written, undo = self.pending.pop()",
        "written, undo = self.pending.pop(0)",
        "writes are taken back in the order in which they were made",
    ),
    Mutant(
        "run-undo-of-inner",
        TRANSACTION,
        "            around.extend(self.scope.done)\n",
        "            around.extend(self.scope.done[:-1])\n",
        "the last write of a transaction inside another one is not taken back",
    ),
    Mutant(
        "run-undo-fails",
        TRANSACTION,
        '        self._leave_out(written, f"`{undo.name}` failed with {_said(problem)}")\n'
        "        self._next()",
        "        self._next()",
        "an undo that fails is not told",
    ),
    Mutant(
        "run-backoff",
        "runtime/scheduler/retrying.py",
        "return limits.backoff * 2.0 ** (tries - 1) * (0.5 + chance.random() / 2)",
        "return limits.backoff * 2.0 * (tries - 1) * (0.5 + chance.random() / 2)",
        "the first retry does not wait, and later ones wait too little",
    ),
    Mutant(
        "run-retry-budget",
        "runtime/scheduler/retrying.py",
        "return problem.code not in OVER_BUDGET",
        "return True",
        "a spent budget is tried again",
    ),
    Mutant(
        "run-shared-failure",
        SHARED,
        "            if isinstance(error, asyncio.CancelledError) or not self.tells_failures:",
        "            if not self.tells_failures:",
        "who joins a call that was cancelled is told that it was",
    ),
    Mutant(
        "run-shared-stamp",
        SHARED,
        "if len(last) == 1 and (found := next(iter(last)))[0] == key:",
        "if (found := next(iter(last)))[0] == key:",
        "a write is shared although something else wrote one of its resources",
    ),
    Mutant(
        "run-shared-limit",
        SHARED,
        "            self.kept -= freed\n",
        "            self.kept -= freed + size\n",
        "a table keeps more than it may",
    ),
    Mutant(
        "run-hedge-winner",
        HEDGING,
        "        winner = found or first\n",
        "        winner = found or tasks[-1]\n",
        "of two failures the second is told",
    ),
    Mutant(
        "run-hedge-failure",
        HEDGING,
        "if task.done() and not task.cancelled() and task.exception() is None:",
        "if task.done() and not task.cancelled():",
        "a failure counts although the other asking may succeed",
    ),
    Mutant(
        "run-batch-contradicted",
        COLLECTOR,
        "found[id_] = answer if id_ not in found or found[id_] == answer else None",
        "found[id_] = answer",
        "of two different answers for one call the last is taken",
    ),
    Mutant(
        "run-batch-failure-of-one",
        COLLECTOR,
        "answer = failure or (answers[id_] if id_ in answers else _missing(request))",
        "answer = failure or answers.get(id_)",
        "a missing answer is told as a contradicted one",
    ),
    Mutant(
        "run-gate-most",
        "runtime/admission/gate.py",
        "return (self.most is not None and self.in_flight >= self.most) or (",
        "return (self.most is not None and self.in_flight > self.most) or (",
        "one call more is in flight than may be",
    ),
    Mutant(
        "run-window-edge",
        "runtime/admission/windows.py",
        "while self.taken and self.taken[0].time + WINDOW <= now:",
        "while self.taken and self.taken[0].time + WINDOW / 2 <= now:",
        "twice as much is asked a minute as may be",
    ),
)

AREA = Area(
    "scheduling",
    ("programs", "metamorphic"),
    (
        "tests/runtime/test_scheduler.py",
        "tests/runtime/test_edges.py",
        "tests/runtime/test_transactions.py",
        "tests/runtime/test_shared.py",
        "tests/runtime/test_hedging.py",
        "tests/runtime/test_batch.py",
        "tests/runtime/test_array_lifetimes.py",
        "tests/runtime/test_given_up.py",
        "tests/runtime/test_visible.py",
        "tests/runtime/admission",
        "tests/passes/test_meaning.py",
        "tests/durable/test_transactions.py",
        "tests/durable/test_crashes.py",
        "tests/runtime",
    ),
    MUTANTS,
)
