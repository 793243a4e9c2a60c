"""Limits that do not hold: budgets, deadlines, sizes, types of what comes from outside."""

from tests.assurance.mutants.model import Area, Mutant

LIMITS = "runtime/limits.py"
RESERVING = "runtime/scheduler/reserving.py"
ATTEMPTS = "runtime/scheduler/attempts.py"
CHOICES = "runtime/scheduler/choices.py"
COERCE = "runtime/coerce.py"
ARTIFACT = "runtime/artifact.py"

MUTANTS = (
    Mutant(
        "limit-calls",
        LIMITS,
        "if budget.limits.calls is not None and budget.calls >= budget.limits.calls:",
        "if budget.limits.calls is not None and budget.calls > budget.limits.calls:",
        "one call more is made than the budget has",
    ),
    Mutant(
        "limit-calls-of-all",
        LIMITS,
        "    for budget in budgets:\n        budget.calls += 1\n",
        "    for budget in budgets[-1:]:\n        budget.calls += 1\n",
        "budgets further out do not count calls",
    ),
    Mutant(
        "limit-memory",
        LIMITS,
        "            budget.memory += size\n",
        "            budget.memory = size\n",
        "results count against a limit of memory one by one",
    ),
    Mutant(
        "limit-held-tokens",
        LIMITS,
        "limit - self.tokens - self.held_tokens",
        "limit - self.tokens",
        "calls at the same time reserve the same tokens",
    ),
    Mutant(
        "limit-held-money",
        LIMITS,
        "limit - self.money - self.held_money",
        "limit - self.money",
        "calls at the same time reserve the same money",
    ),
    Mutant(
        "limit-least-budget",
        LIMITS,
        "        allowed = min(allowed, _allowed(budget, prompt, price))\n",
        "        allowed = _allowed(budget, prompt, price)\n",
        "the innermost budget alone bounds an answer",
    ),
    Mutant(
        "limit-prompt-money",
        LIMITS,
        "left = budget.left_money() - price.of(prompt, 0)",
        "left = budget.left_money()",
        "an answer may cost all that is left, and its prompt comes on top",
    ),
    Mutant(
        "limit-settle",
        LIMITS,
        "        budget.held_tokens -= reservation.tokens\n",
        "        budget.held_tokens = 0\n",
        "the end of one call gives back what others hold",
    ),
    Mutant(
        "limit-cached-price",
        LIMITS,
        "(self.prompt - self.cached) * min(max(cached, 0), prompt)",
        "(self.prompt - self.cached) * max(cached, 0)",
        "more cached tokens than the prompt has make a call cheaper than free",
    ),
    Mutant(
        "limit-unknown-cost",
        RESERVING,
        "        if held is not None and not certain:\n            settled = held.tokens, held.money\n",
        "",
        "a call that was broken off has cost nothing",
    ),
    Mutant(
        "limit-counts-tokens",
        RESERVING,
        "if budget.limits.tokens is not None or budget.limits.money is not None",
        "if budget.limits.tokens is not None",
        "a budget of money alone is not asked",
    ),
    Mutant(
        "limit-retries",
        ATTEMPTS,
        "if attempt > limits.retries or not may_retry(error.problem)",
        "if attempt > limits.retries + 1 or not may_retry(error.problem)",
        "a call is tried once more than it may be",
    ),
    Mutant(
        "limit-retry-uncatchable",
        ATTEMPTS,
        " or error.problem.code in UNCATCHABLE:",
        ":",
        "what must end the run is tried again",
    ),
    Mutant(
        "limit-retry-late",
        ATTEMPTS,
        "        if engine.loop.time() + after > frame.scope.deadline:  # by then nobody waits any more\n"
        "            raise error\n",
        "",
        "a call waits for an endpoint beyond the time that it has",
    ),
    Mutant(
        "limit-charges-once",
        ATTEMPTS,
        "                if not begun:  # else",
        "                if attempt == 1 and not begun:  # else",
        "a budget of calls does not count retries",
    ),
    Mutant(
        "limit-block-retries",
        CHOICES,
        "if self.over or self.tries > self.limits.retries or not may_retry(problem):",
        "if self.over or self.tries > self.limits.retries + 1 or not may_retry(problem):",
        "a block is tried once more than it may be",
    ),
    Mutant(
        "limit-time-after-the-end",
        CHOICES,
        "        if self.over:\n            return\n        self.over = True\n",
        "        self.over = True\n",
        "a block that has ended in time fails when its time is up",
    ),
    Mutant(
        "limit-budget-of-tries",
        CHOICES,
        "        self.scope = Scope(self.frame.scope, self._failed, *self.budgets)\n        delay",
        "        self.scope = Scope(self.frame.scope, self._failed)\n        delay",
        "the second try of a block has no budget",
    ),
    Mutant(
        "limit-integer-range",
        COERCE,
        "        if isinstance(whole, int) and not low <= whole <= high:",
        "        if isinstance(whole, int) and not low - 1 <= whole <= high:",
        "an integer below the range of its type wraps around",
    ),
    Mutant(
        "limit-bool-is-int",
        COERCE,
        "    if isinstance(value, int) and not isinstance(value, bool):\n        return int(value)",
        "    if isinstance(value, int):\n        return int(value)",
        "a model may answer `true` where a number is asked for",
    ),
    Mutant(
        "limit-unknown-field",
        COERCE,
        "            if unknown := value.keys() - set(self.names):\n",
        "            if len(unknown := value.keys() - set(self.names)) > 1:\n",
        "a record with a field that it has not is taken",
    ),
    Mutant(
        "limit-extents",
        COERCE,
        "if isinstance(dim, str) and bound.setdefault(dim, extent) != extent:",
        "if isinstance(dim, str) and bound.setdefault(dim, extent) > extent:",
        "arrays whose common extent differs are taken",
    ),
    Mutant(
        "limit-infinite",
        COERCE,
        "    if (numpy.isinf(made) & ~numpy.isinf(given)).any():\n",
        "    if (numpy.isinf(made) & ~numpy.isinf(given)).all():\n",
        "some numbers of an array become infinite",
    ),
    Mutant(
        "limit-member-hash",
        ARTIFACT,
        "        if _hash(members[name]) != hashes[name]:\n",
        "        if name == PLAN and _hash(members[name]) != hashes[name]:\n",
        "machine code that was changed is run",
    ),
    Mutant(
        "limit-member-names",
        ARTIFACT,
        'if name.startswith("/") or ".." in Path(name).parts or "\\\\" in name:',
        'if name.startswith("/") or name.startswith("..") or "\\\\" in name:',
        "a member's name may lead out of the artifact",
    ),
    Mutant(
        "limit-member-size",
        ARTIFACT,
        "    if archive.getinfo(name).file_size > LARGEST_MEMBER:\n"
        '        raise _damaged(path, f"its member {name} is larger than {LARGEST_MEMBER:,} bytes")\n',
        "",
        "a bomb is unpacked",
    ),
)

AREA = Area(
    "limits",
    ("programs", "fuzz"),
    (
        "tests/runtime/test_scheduler.py",
        "tests/runtime/test_edges.py",
        "tests/runtime/test_prices.py",
        "tests/runtime/test_values.py",
        "tests/runtime/test_hostile.py",
        "tests/runtime/test_artifact_seal.py",
        "tests/runtime/test_linking.py",
        "tests/cli/test_artifacts.py",
        "tests/runtime/test_unreliable.py",
        "tests/runtime/test_in_flight.py",
        "tests/durable/test_crashes.py",
        "tests/durable/test_keeping.py",
        "tests/runtime",
    ),
    MUTANTS,
)
