"""What every compilation and every run of a program is held to: its reference semantics.

An oracle takes a `Subject`, a program with what the reference semantics says of it, draws one of the ways to
compile or run it, and raises `Disagreement` where that comes to something else: another outcome, other writes
or another order of them, other labels, more spent than a limit allows.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random

from attrs import field, frozen
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute

from flowc.compiler import driver, syntax
from flowc.compiler.checker.model import Checked
from flowc.compiler.diagnostics.model import Source
from flowc.compiler.formatter import format_program
from flowc.compiler.reference import Event, Outcome, evaluate
from flowc.dialects.flow.declarations import FuncOp
from flowc.passes.pipelines import PIPELINES, optimise
from flowc.runtime.result import RunResult
from flowc.runtime.values import canonical
from flowc.testing.oracles import reached
from flowc.testing.oracles.asking import counted, operations_called, others
from flowc.testing.oracles.running import Way, ended, made, run_in, ways
from flowc.testing.oracles.worlds import IDEMPOTENT, AnsweringWorld, Write, note_write
from flowc.testing.strategies.programs import ARGUMENTS


class Disagreement(AssertionError):
    """A compilation or a run that is not what the program means."""


@frozen(eq=False)
class Subject:
    """A program that checks, its IR before any pass, and what the reference semantics says of it."""

    program: syntax.Program = field(repr=False)
    checked: Checked = field(repr=False)
    module: ModuleOp = field(repr=False)
    wanted: Outcome
    arguments: Mapping[str, object] = field(factory=lambda: dict(ARGUMENTS))

    def disagree(self, where: str, wanted: object, found: object) -> Disagreement:
        """The disagreement of this program; the text of the program is part of the message."""
        text = format_program(self.program)
        return Disagreement(f"{where}\n  wanted {wanted}\n  found  {found}\n{text}")


@frozen
class Reached:
    """What an oracle reached: passes that changed something, modules after them, and how many runs."""

    fired: Counter[str] = field(factory=Counter)
    modules: tuple[ModuleOp, ...] = ()
    runs: int = 0


Oracle = Callable[[Subject, Random], Reached]


def subject(program: syntax.Program, arguments: Mapping[str, object] = ARGUMENTS) -> Subject:
    """Checks, lowers and evaluates a program. Raises CompileError where it does not check."""
    checked = driver.check_program(program, Source("generated.flow", ""))
    module = driver.lowered(checked, driver.Options(verify=False))
    return Subject(program, checked, module, meaning(module, arguments), arguments)


def meaning(module: ModuleOp, arguments: Mapping[str, object] = ARGUMENTS) -> Outcome:
    """What the reference semantics says of `main`."""
    return evaluate(module, "main", arguments, AnsweringWorld())


# ---- what is compared


def writes(trace: Sequence[Event], idempotent: frozenset[str] = IDEMPOTENT) -> dict[str, list[Write]]:
    """The writes of a trace in order, by resource; one that is idempotent and repeats the last one makes no
    difference.
    """
    found: dict[str, list[Write]] = {}
    for event in trace:
        for kind, resource in event.effects:
            if kind == "writes" and resource is not None:
                note_write(found.setdefault(resource, []), (event.name, event.arguments), idempotent)
    return found


def difference(
    wanted: Outcome,
    found: Outcome,
    *,
    asked: bool = True,
    anew: bool = False,
    idempotent: frozenset[str] = IDEMPOTENT,
) -> tuple[str, object, object] | None:
    """In what two outcomes of the reference semantics differ, if they do. What happened before a failure may
    differ, and without `asked` also what was read and asked beside the writes; `anew` compares how often it
    was asked, too, where each answer may be another one.
    """
    if (wanted.failure is None) != (found.failure is None):
        return "the outcome", wanted.failure or "a value", found.failure or "a value"
    if wanted.failure is not None:
        return None
    kinds = {"what was asked": asked, "how often it was asked": anew}
    for what, one, other in (
        ("the value", canonical(wanted.value), canonical(found.value)),
        ("the writes", writes(wanted.trace, idempotent), writes(found.trace, idempotent)),
        ("what was asked", others(wanted.trace), others(found.trace)),
        ("how often it was asked", counted(wanted.trace), counted(found.trace)),
    ):
        if one != other and kinds.get(what, True):
            return what, one, other
    return None


def assert_same(wanted: Outcome, found: Outcome, *, idempotent: frozenset[str] = IDEMPOTENT) -> None:
    """Raises Disagreement where two outcomes of the reference semantics differ."""
    differs = difference(wanted, found, idempotent=idempotent)
    if differs is not None:
        what, one, other = differs
        raise Disagreement(f"{what}\n  wanted {one}\n  found  {other}")


# ---- the oracles


def passes_keep(subject: Subject, chance: Random) -> Reached:
    """The module means the same after every prefix of a pipeline: that of a level, or a part of it that is
    drawn.
    """
    level = chance.choice(("O1", "O2", "O2", "O3", "O3"))
    pipeline = PIPELINES[level]
    if chance.random() < 0.25:
        pipeline = tuple(each for each in pipeline if chance.random() < 0.6)
    fired: Counter[str] = Counter()
    with driver.room():
        module = subject.module.clone()
        said = _said(module)
        for place, each in enumerate(pipeline):
            done = optimise(module, (each,), verify=chance.random() < 0.3)
            if not done.statistics[0].fired:
                continue
            fired[each.name] += 1
            where = f"after {', '.join(one.name for one in pipeline[: place + 1])}"
            found = difference(subject.wanted, meaning(module, subject.arguments), anew=True)
            if found is not None:
                raise subject.disagree(f"{where}: {found[0]}", *found[1:])
            if _said(module) != said:
                raise subject.disagree(f"{where}: labels and limits", said, _said(module))
    return Reached(fired, (module,))


def _said(module: ModuleOp) -> list[Attribute | None]:
    """What callers rely on: the labels of the result of `main`, its limits and its parameters."""
    main = next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")
    return [main.attributes.get("labels"), main.limits, main.parameters]


def runs_agree(subject: Subject, chance: Random) -> Reached:
    """A run gives what the reference semantics gives, and writes the same in the same order."""
    return run_as(subject, ways(chance))


def resumes_agree(subject: Subject, chance: Random) -> Reached:
    """A kept run that dies at drawn records and is gone on with ends and writes as if it had not died."""
    deaths = tuple((chance.randint(1, 24), chance.random() < 0.5) for _ in range(chance.choice((0, 1, 1, 2))))
    return run_as(subject, ways(chance, deaths))


def run_as(subject: Subject, way: Way) -> Reached:
    """Runs a program in one way. Raises Disagreement where that differs from the reference semantics."""
    compiled = made(subject.checked, subject.module, way.level)
    world = AnsweringWorld()
    result = run_in(compiled, subject.arguments, world, way)
    if (subject.wanted.failure is None) != (result.status == "ok"):
        wanted = subject.wanted.failure or "a value"
        raise subject.disagree(f"{way}: the outcome", wanted, ended(result))
    if result.status == "ok":
        _compare(subject, f"{way}", result, world)
        twice = [key for key, count in world.keys().items() if count > 1]
        if twice and way.deaths:
            raise subject.disagree(f"{way}: what was written twice", [], twice)
    return Reached(compiled.fired, compiled.selected, 1)


def _compare(subject: Subject, where: str, result: RunResult, world: AnsweringWorld) -> None:
    """A run that has a value has that of the reference semantics, and wrote what that writes."""
    if canonical(subject.wanted.value) != canonical(result.result):
        raise subject.disagree(f"{where}: the value", subject.wanted.value, ended(result))
    expected, written = _read(writes(subject.wanted.trace)), _read(world.writes())
    if expected != written:
        raise subject.disagree(f"{where}: the writes", expected, written)


def _read(found: Mapping[str, Sequence[Write]]) -> dict[str, list[tuple[str, object]]]:
    return {resource: [(name, json.loads(text)) for name, text in each] for resource, each in found.items()}


def limits_hold(subject: Subject, chance: Random) -> Reached:
    """No level spends more than a limit around the whole program allows; one that asks all the same within it
    means the same. What is refused may be caught inside the program, so that others may end well otherwise.
    """
    level, most = chance.randint(0, 3), AnsweringWorld()
    free = made(subject.checked, subject.module, level)
    way = ways(chance, level=level)
    run_in(free, subject.arguments, most, way)
    kind = chance.choice(("tokens", "calls", "money"))
    used = {"tokens": most.tokens, "calls": most.limited_calls(), "money": most.money}[kind]
    part = chance.choice((0.3, 0.7, 1.0, 1.5))
    limit = used * part if kind == "money" else round(used * part)
    world = AnsweringWorld()
    result = run_in(free.limited(**{kind: limit}), subject.arguments, world, way)
    spent = {"tokens": world.tokens, "calls": world.limited_calls(), "money": world.money}[kind]
    if spent > limit * (1 + 1e-9):
        raise subject.disagree(f"{way}: {kind} above a limit", limit, f"{spent}, {ended(result)}")
    if result.status == "ok" and subject.wanted.failure is None and world.asked == most.asked:
        _compare(subject, f"{way}, at most {limit} {kind}", result, world)
    return Reached(free.fired, free.selected, 2)


def nothing_more_is_asked(subject: Subject, chance: Random) -> Reached:
    """Below -O3 no operation is called more often than the program calls it, one thing after the other.

    What speculates may ask for more; and so may a program that fails, before it knows.
    """
    if subject.wanted.failure is not None:
        return Reached()
    wanted = operations_called(subject.wanted.trace)
    level = chance.choice((1, 2))
    with driver.room():
        module = subject.module.clone()
        done = optimise(module, PIPELINES[f"O{level}"], verify=False)
        found = operations_called(meaning(module, subject.arguments).trace)
    more = {name: (count, wanted[name]) for name, count in found.items() if count > wanted[name]}
    if more:
        raise subject.disagree(f"-O{level} calls more often, and should", {}, more)
    return Reached(reached.fired(done.statistics), (module,))


ORACLES: Mapping[str, Oracle] = {
    "passes": passes_keep,
    "runs": runs_agree,
    "resumes": resumes_agree,
    "limits": limits_hold,
    "calls": nothing_more_is_asked,
}
"""All oracles by name."""
