"""Wrong journals: what is lost, told twice, read wrongly, or not noticed."""

from tests.assurance.mutants.model import Area, Mutant

WRITER = "runtime/journal/writer.py"
FRAMES = "runtime/journal/frames.py"
SQLITE = "runtime/journal/sqlite.py"
BESIDE = "runtime/journal/beside.py"
STORE = "runtime/journal/store.py"
PAST = "runtime/durable/past.py"
KEEPER = "runtime/durable/keeper.py"
CALLING = "runtime/durable/calling.py"
TIMING = "runtime/durable/timing.py"
CHOOSING = "runtime/durable/choosing.py"
RUNS = "runtime/durable/runs.py"
KEPT = "runtime/durable/kept.py"

MUTANTS = (
    Mutant(
        "journal-fast-status",
        WRITER,
        "if (sync and not self._fast) or (status and self._fast):",
        "if sync and not self._fast:",
        "a fast journal does not sync how runs end",
    ),
    Mutant(
        "journal-written-is-synced",
        WRITER,
        "            if group.sync:\n                self._synced = group.position",
        "            self._synced = group.position",
        "what is written counts as synced",
    ),
    Mutant(
        "journal-early-ready",
        WRITER,
        "return each.position <= (self._synced if each.sync else self._written)",
        "return each.position <= self._written",
        "who waits for a sync is told of the write",
    ),
    Mutant(
        "journal-forgets-failure",
        WRITER,
        "            self._problem = self._problem or problem\n            waiting",
        "            waiting",
        "a writer goes on after a group that could not be written",
    ),
    Mutant(
        "journal-group-position",
        WRITER,
        "_Group(parts, self._blobs, self._position, self._wanted > self._synced)",
        "_Group(parts, self._blobs, self._position + 1, self._wanted > self._synced)",
        "a record is acknowledged that the next group holds",
    ),
    Mutant(
        "journal-blobs-later",
        WRITER,
        "            for digest, body in blobs:\n                self._blobs[digest] = body\n",
        "            for digest, body in blobs[:1]:\n                self._blobs[digest] = body\n",
        "of a record with several large values one is kept",
    ),
    Mutant(
        "journal-chain-of-run",
        FRAMES,
        "chain = start(segment.run) if expected == 0 else chain",
        "chain = chain",
        "the beginning of another run is read as that of this one",
    ),
    Mutant(
        "journal-chain-kept",
        FRAMES,
        "        self.first, self.chain = first + len(payloads), chain\n",
        "        self.first = first + len(payloads)\n",
        "the second segment of a run does not follow the first",
    ),
    Mutant(
        "journal-gap",
        FRAMES,
        "    if chain is not None and before != chain:\n        raise damaged(run, number, "
        '"it does not follow the record before it")\n',
        "",
        "a segment of another run, or another time, is read as the next",
    ),
    Mutant(
        "journal-count",
        FRAMES,
        "        if expected != segment.first + segment.count:\n",
        "        if expected > segment.first + segment.count:\n",
        "records that are missing at the end of a segment are not missed",
    ),
    Mutant(
        "journal-acknowledged",
        STORE,
        "    if first < least:\n",
        "    if first < least - 1:\n",
        "a lost record that was acknowledged is not missed",
    ),
    Mutant(
        "journal-seal-changed",
        SQLITE,
        "        return seal == _status_seal(number, first, count, status, changed)\n",
        '        return status == "" or seal == _status_seal(number, first, count, status, changed)\n',
        "a damaged row without a status is believed",
    ),
    Mutant(
        "journal-normal-sync",
        SQLITE,
        'synchronous = "FULL" if sync else "NORMAL"',
        'synchronous = "NORMAL"',
        "what is to survive a power failure is not synced",
    ),
    Mutant(
        "journal-mark-first",
        BESIDE,
        'return max(_records(written, run, boot()), _records(synced, run, "synced"))',
        "return _records(written, run, boot())",
        "after the computer has started anew nothing counts as acknowledged",
    ),
    Mutant(
        "journal-taken-twice",
        BESIDE,
        "            if number in self.owners or not self._tried(number):\n                return False",
        "            if not self._tried(number):\n                return False",
        "two stores of a process go on with one run",
    ),
    Mutant(
        "durable-tried-intent",
        PAST,
        "    past.tries[step] = attempt\n    past.intents.pop(step, None)\n",
        "    past.tries[step] = attempt\n",
        "a call that is known to have failed is in doubt",
    ),
    Mutant(
        "durable-cancelled-again",
        PAST,
        "    past.cancelled.discard(step)\n    past.outcomes.pop(step, None)\n    past.spend(step, _CALL)",
        "    past.outcomes.pop(step, None)\n    past.spend(step, _CALL)",
        "a call that is made again after it was cancelled is never in doubt",
    ),
    Mutant(
        "durable-held-spent",
        PAST,
        "        past.spend(step, Spending(0, *earlier.held))",
        "        past.spend(step, Spending())",
        "what was in flight at a crash has cost nothing",
    ),
    Mutant(
        "durable-under-path",
        PAST,
        'return step.startswith(path) and (len(step) == len(path) or step[len(path)] in "/[.")',
        "return step.startswith(path)",
        "steps of the eleventh element count as those of the first",
    ),
    Mutant(
        "durable-let-go",
        PAST,
        'if step.startswith(inside) and int(step[len(inside) : step.index("]", len(inside))]) < turn:',
        'if step.startswith(inside) and int(step[len(inside) : step.index("]", len(inside))]) <= turn:',
        "the steps of the present turn of a loop are forgotten",
    ),
    Mutant(
        "durable-withdrawn",
        PAST,
        "        past.spend(record[1], Spending(calls=-1))",
        "        past.spend(record[1], Spending())",
        "a call that was never made has been counted",
    ),
    Mutant(
        "durable-doubt",
        KEEPER,
        "return [intent for intent in found if intent is not None and not intent.repeatable]",
        "return [intent for intent in found if intent is not None and not "
        "intent.repeatable and intent.attempt > 1]",
        "a write that may have happened is made again unasked",
    ),
    Mutant(
        "durable-order-of-ends",
        KEEPER,
        "heappush(self.due, (outcome.order, self.number(), self._serve, (frame, instruction, outcome)))",
        "heappush(self.due, (-outcome.order, self.number(), self._serve, (frame, instruction, outcome)))",
        "what is kept is played back in another order",
    ),
    Mutant(
        "durable-other-inputs",
        KEEPER,
        'return outcome.inputs == "" or outcome.inputs == self._inputs(frame, instruction)',
        "return True",
        "a call with other inputs is told the end of the former",
    ),
    Mutant(
        "durable-intent-unsynced",
        CALLING,
        "        if position is not None and not _is_careless(frame, called):\n"
        "            await self._durable(position)",
        "        if position is not None and _is_careless(frame, called):\n"
        "            await self._durable(position)",
        "a write begins before its intent is safe",
    ),
    Mutant(
        "durable-end-unsynced",
        CALLING,
        "written = not self.intended.pop(step, True)",
        "written = self.intended.pop(step, True)",
        "the ends of reads are synced, and those of writes are not",
    ),
    Mutant(
        "durable-spent-dropped",
        CALLING,
        'self._append(["tried", self._now(), step, attempt, problem.code, self.costs.pop(step, None)])',
        'self._append(["tried", self._now(), step, attempt, problem.code, None])\n'
        "        self.costs.pop(step, None)",
        "what failed attempts cost is not kept",
    ),
    Mutant(
        "durable-clock-back",
        TIMING,
        "if until is None or until - now > seconds:",
        "if until is None:",
        "a run waits for a year where the clock was put back by one",
    ),
    Mutant(
        "durable-fired-over",
        TIMING,
        "            if over():  # kept as one",
        "            if False:  # kept as one",
        "a deadline that came too late is kept as one that was met",
    ),
    Mutant(
        "durable-race-decided",
        CHOOSING,
        "        return known == arm\n",
        "        return True\n",
        "another arm wins a race that was decided",
    ),
    Mutant(
        "durable-turn-size",
        CHOOSING,
        "        let_go(self.past, step, state[0])\n",
        "        let_go(self.past, step, state[0] + 1)\n",
        "what the present turn has done is forgotten with those before",
    ),
    Mutant(
        "durable-shared-records",
        RUNS,
        "            if base + number >= end:\n",
        "            if base + number > end:\n",
        "a fork shares one record too many",
    ),
    Mutant(
        "durable-fork-of-fork",
        RUNS,
        'min(end, forked["records"])',
        'forked["records"]',
        "a fork of a fork shares what the first did not",
    ),
    Mutant(
        "durable-arguments-last",
        RUNS,
        "    journal.store.append([], dict(blobs), sync=False)\n"
        "    journal.store.begin(run, encode_json(head)"
        '.encode("ascii"))\n',
        '    journal.store.begin(run, encode_json(head).encode("ascii"))\n'
        "    journal.store.append([], dict(blobs), sync=False)\n",
        "a run begins before its plan is kept",
    ),
    Mutant(
        "durable-may-stop",
        KEPT,
        "        if all(self.intended.values()):\n            return True\n        self.stopping = problem\n"
        "        return False",
        "        return True",
        "a run stops while a write is under way",
    ),
    Mutant(
        "durable-held-cancelled",
        KEPT,
        "            if intent.step not in past.cancelled:\n",
        "            if intent.step in past.cancelled:\n",
        "what was in flight at the last crash has cost nothing",
    ),
)

AREA = Area(
    "journals",
    ("journals", "simulation"),
    (
        "tests/runtime/journal",
        "tests/durable/test_replay.py",
        "tests/durable/test_crashes.py",
        "tests/durable/test_keeping.py",
        "tests/durable/test_simulation.py",
        "tests/durable/test_transactions.py",
        "tests/durable/test_fork.py",
        "tests/durable/test_terminated.py",
        "tests/durable",
        "tests/cli/test_journal.py",
    ),
    MUTANTS,
)
