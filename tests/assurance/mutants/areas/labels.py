"""Holes in the checker: labels that get lost, effects that are not said."""

from tests.assurance.mutants.model import Area, Mutant

LATTICE = "compiler/checker/lattice.py"
BUILDER = "compiler/checker/label_builder.py"
CHECK = "compiler/checker/label_check.py"
EXPRESSIONS = "compiler/checker/label_expressions.py"
STATEMENTS = "compiler/checker/label_statements.py"
EFFECTS = "compiler/checker/effects.py"
UNDOING = "compiler/checker/undoing.py"
CONVERT = "compiler/checker/convert.py"

MUTANTS = (
    Mutant(
        "label-chain-width",
        LATTICE,
        "        width = len(chain) - 1\n",
        "        width = max(1, len(chain) - 2)\n",
        "the highest label of one chain is the lowest of the next",
    ),
    Mutant(
        "label-forbidden",
        LATTICE,
        "return chains_of(labels, bounds) & ~value_of(labels, bounds)",
        "return chains_of(labels, bounds) & ~value_of(labels, bounds) & -2",
        "the first bit of the first chain is never forbidden",
    ),
    Mutant(
        "label-assigned",
        BUILDER,
        "    for overlay in reversed(builder.variables):\n",
        "    for overlay in builder.variables:\n",
        "a variable has the labels that it had before the block",
    ),
    Mutant(
        "label-round",
        BUILDER,
        "        builder.graph.inputs[head].append(find(builder, name))",
        "        builder.graph.inputs[head][:] = [find(builder, name)]",
        "a variable of a loop loses the labels that it came with",
    ),
    Mutant(
        "label-left-loop",
        BUILDER,
        "            loop.exits.setdefault(name, []).append(find(builder, name))",
        "            loop.exits[name] = [find(builder, name)]",
        "of several `break`s only the last one counts",
    ),
    Mutant(
        "label-merge-missing",
        BUILDER,
        "versions = [branch.get(name, before) for branch in branches]",
        "versions = [branch[name] for branch in branches if name in branch]",
        "a branch that leaves a variable alone does not count",
    ),
    Mutant(
        "label-inner-types",
        BUILDER,
        "            found |= written_labels(argument)\n",
        "            found |= frozenset(argument.labels)\n",
        "labels two levels inside a type are not seen",
    ),
    Mutant(
        "label-one-pass",
        CHECK,
        "    while _pass(solver, case, graph, solution) and graph.loops:\n        pass",
        "    _pass(solver, case, graph, solution)",
        "labels go once round a loop",
    ),
    Mutant(
        "label-clears-own",
        CHECK,
        "found = (found & ~node.clear) | node.own",
        "found = (found | node.own) & ~node.clear",
        "a value loses the label that it is declared with",
    ),
    Mutant(
        "label-call-arguments",
        CHECK,
        "        given.append(passed | least)\n",
        "        given.append(least)\n",
        "a flow is checked for what it declares, not for what it is given",
    ),
    Mutant(
        "label-known-case",
        CHECK,
        "    known = solver.solved.get(case)\n",
        "    alike = (each for each in solver.solved if each.flow == case.flow)\n"
        "    same = [each for each in alike if each.parameters[:1] == case.parameters[:1]]\n"
        "    known = solver.solved.get(case) or (solver.solved[same[0]] if same else None)\n",
        "calls that differ in their second argument share a solution",
    ),
    Mutant(
        "label-conditional",
        EXPRESSIONS,
        "            return _join(builder, [then, otherwise])",
        "            value(builder, otherwise)\n            return _join(builder, [then])",
        "the other value of a conditional carries nothing",
    ),
    Mutant(
        "label-template",
        EXPRESSIONS,
        "[part.expression for part in parts if isinstance(part, Hole)]",
        "[part.expression for part in parts if isinstance(part, Hole)][:1]",
        "a text carries the labels of its first hole alone",
    ),
    Mutant(
        "label-dict-keys",
        EXPRESSIONS,
        "return _join(builder, [part for pair in pairs for part in pair])",
        "return _join(builder, [pair[1] for pair in pairs])",
        "the keys of a dict carry nothing",
    ),
    Mutant(
        "label-subscript",
        EXPRESSIONS,
        "return _join(builder, [node.value, *_bounds(node)])",
        "_bounds(node)\n            return _join(builder, [node.value])",
        "what a secret position picks is public",
    ),
    Mutant(
        "label-try",
        EXPRESSIONS,
        "            return _join(builder, [attempt, otherwise])",
        "            value(builder, attempt)\n            return _join(builder, [otherwise])",
        "the value of a `try` that succeeds carries nothing",
    ),
    Mutant(
        "label-record-field",
        EXPRESSIONS,
        "    if not own:\n        return source\n",
        "    if not own or source:\n        return source\n",
        "a field's own label is lost where the record has one",
    ),
    Mutant(
        "label-tool-untrusted",
        EXPRESSIONS,
        "outside = value_of(builder.labels, frozenset(low[-1:])) & ~chains",
        "outside = value_of(builder.labels, frozenset(low[:1])) & ~chains",
        "what a tool gives is trusted",
    ),
    Mutant(
        "label-tool-launders",
        EXPRESSIONS,
        "add(builder.graph, Node(declared | outside, chains, span=span, note=note), _present(arguments))",
        "add(builder.graph, Node(declared | outside, chains, span=span, note=note), [])",
        "what goes through a tool loses its labels",
    ),
    Mutant(
        "label-endorse-clears-all",
        EXPRESSIONS,
        "    clear = forbidden(builder.labels, frozenset([target])) if target else 0\n",
        "    clear = forbidden(builder.labels, frozenset([target])) if target else 0\n"
        "    clear |= clear << 1\n",
        "to endorse a value declassifies it, too",
    ),
    Mutant(
        "label-person-secret",
        EXPRESSIONS,
        "        chains |= chains_of(builder.labels, frozenset(integrity(builder.labels)))\n",
        "        chains |= value_of(builder.labels, frozenset(builder.labels.masks))\n",
        "what a person answers about a secret is public",
    ),
    Mutant(
        "label-augmented",
        STATEMENTS,
        "source = joined(builder.graph, [find(builder, statement.targets[0]), source])",
        "source = joined(builder.graph, [source])",
        "`x += y` has the labels of y alone",
    ),
    Mutant(
        "label-result",
        STATEMENTS,
        "    builder.graph.returned.append(found)\n",
        "    builder.graph.returned[:] = [found]\n",
        "of several results only the last one counts",
    ),
    Mutant(
        "label-second-branch",
        STATEMENTS,
        "        if alive:\n            ends.append(overlay)",
        "        if alive and len(ends) < 2:\n            ends.append(overlay)",
        "a third branch does not count",
    ),
    Mutant(
        "label-loop-target",
        STATEMENTS,
        "    _loop(builder, statement, statement.targets, source)",
        "    _loop(builder, statement, statement.targets[:1], source)",
        "the second variable of a loop carries nothing",
    ),
    Mutant(
        "effect-planned",
        EFFECTS,
        "    seen: set[tuple[str, bool]] = set()\n    for call in calls:\n"
        "        if (call.callee, call.planned) in seen:\n            continue\n"
        "        seen.add((call.callee, call.planned))",
        "    seen: set[str] = set()\n    for call in calls:\n"
        "        if call.callee in seen:\n            continue\n"
        "        seen.add(call.callee)",
        "a tool that is called and planned counts as one that is undone",
    ),
    Mutant(
        "effect-reads-covered",
        EFFECTS,
        'each.effect.kind == "reads" and ("writes", each.effect.resource) in allowed',
        'each.effect.kind == "writes" and ("reads", each.effect.resource) in allowed',
        "a flow that says it reads may write",
    ),
    Mutant(
        "effect-retried-write",
        EFFECTS,
        "if signature.limits.retries and not effect.idempotent:",
        "if signature.limits.retries > 1 and not effect.idempotent:",
        "a write may be tried once more",
    ),
    Mutant(
        "effect-vote-idempotent",
        EFFECTS,
        'return effect.idempotent and region.kind != "vote"',
        "return effect.idempotent",
        "a ballot may write",
    ),
    Mutant(
        "effect-transaction",
        EFFECTS,
        "return effect.undo is not None",
        "return effect.undo is not None or effect.idempotent",
        "a transaction may do what nothing takes back",
    ),
    Mutant(
        "effect-undo-labels",
        UNDOING,
        "return ((joined | outside) & ~said) | value_of(labels, signature.result_labels)",
        "return (outside & ~said) | value_of(labels, signature.result_labels)",
        "a result carries secrets of the call into its undo",
    ),
    Mutant(
        "type-optional",
        CONVERT,
        "    if isinstance(have, Optional) and want != JSON:",
        "    if isinstance(have, Optional) and want not in (JSON, FLOAT):",
        "what may be `none` is taken for a number",
    ),
    Mutant(
        "type-dimensions",
        CONVERT,
        'if a != b and "" not in (a, b):',
        'if a != b and "" not in (a, b) and isinstance(a, int):',
        "arrays of named extents that differ fit each other",
    ),
    Mutant(
        "type-plan",
        CONVERT,
        "case PlanOf(a), PlanOf(b) if set(a) <= set(b):",
        "case PlanOf(a), PlanOf(b) if set(a) & set(b):",
        "a plan with more tools than allowed is taken",
    ),
)

AREA = Area(
    "labels",
    ("leaks", "typed", "programs"),
    (
        "tests/checker/test_labels.py",
        "tests/checker/test_effects.py",
        "tests/checker/test_types.py",
        "tests/checker",
        "tests/errors",
        "tests/examples",
    ),
    MUTANTS,
)
