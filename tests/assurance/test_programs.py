"""Programs mean the same however they are compiled and run; a compiler or a runtime that errs is seen to."""

from collections.abc import Callable
from random import Random

import pytest
from attrs import evolve
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from flowc.compiler.parser import parse
from flowc.dialects.agent.calls import ToolCallOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.passes.pipelines import optimise
from flowc.runtime.journal.memory import NONE, Faults, MemoryStore
from flowc.testing.oracles import programs as oracles
from flowc.testing.oracles import running
from flowc.testing.oracles.programs import Disagreement, Subject, subject
from flowc.testing.oracles.running import Way
from tests.assurance.campaign import Tally, examples
from tests.assurance.campaigns.programs import check, drawn

PROGRAM = '''
tool fetch(tag: int, x: int) -> int reads web
tool peek(tag: int) -> int reads store
tool keep(tag: int, x: int) -> int writes store
tool note(tag: int, text: str) -> none writes log idempotent

llm rate(tag: int, text: str) -> int:
    """tag: {tag}text: {text}."""

flow main(a: int, b: int, name: str, numbers: list[int], flag: bool) -> untrusted int:
    keep(1, a)
    note(2, name)
    seen = peek(3)
    keep(4, b)
    note(5, "then")
    rated = [rate(6, str(i)) for i in numbers]
    return seen + peek(7) + fetch(8, a) + sum(rated)
'''


def given() -> Subject:
    return subject(parse(PROGRAM, "given.flow"))


def calls_of(module: ModuleOp, name: str) -> list[ToolCallOp]:
    return [
        op for op in module.walk() if isinstance(op, ToolCallOp) and op.callee.root_reference.data == name
    ]


def doubled(call: ToolCallOp) -> None:
    block = call.parent_block()
    assert block is not None
    block.insert_op_after(call.clone(), call)


def moved(module: ModuleOp) -> None:
    """The first two writes of the store change places."""
    first, second = calls_of(module, "keep")
    block = second.parent_block()
    assert block is not None
    first.detach()
    block.insert_op_after(first, second)


def left_out(module: ModuleOp) -> None:
    """A write is lost."""
    calls_of(module, "note")[0].detach()


def made_twice(module: ModuleOp) -> None:
    """A write happens twice."""
    doubled(calls_of(module, "keep")[0])


def read_early(module: ModuleOp) -> None:
    """A read moves before the write that it has to see."""
    write, read = calls_of(module, "keep")[0], calls_of(module, "peek")[0]
    block = write.parent_block()
    assert block is not None
    tag = read.operands[0].owner
    assert isinstance(tag, Operation)
    for each in (tag, read):
        each.detach()
        block.insert_op_before(each, write)


def mislabelled(module: ModuleOp) -> None:
    """The result forgets where it comes from."""
    main = next(op for op in module.ops if isinstance(op, FuncOp))
    del main.attributes["labels"]


Wrong = Callable[[ModuleOp], None]


class WrongPass(ModulePass):
    """A pass that changes the meaning."""

    name = "wrong"

    def __init__(self, change: Wrong) -> None:
        self.change = change

    def apply(self, ctx: object, module: ModuleOp) -> None:
        self.change(module)


def wrongly(change: Wrong) -> Callable[..., object]:
    """`optimise`, with an error in its last pass."""

    def optimised(module: ModuleOp, pipeline: object, **more: object) -> object:
        done = optimise(module, pipeline, **more)
        change(module)
        return evolve(done, statistics=tuple(evolve(each, fired=1) for each in done.statistics))

    return optimised


def seen(oracle: str, number: int = 20) -> bool:
    """Whether an oracle sees it with one of so many numbers."""
    for chance in range(number):
        try:
            oracles.ORACLES[oracle](given(), Random(chance))
        except Disagreement:
            return True
    return False


def test_some_programs_mean_the_same_however_they_are_run() -> None:
    tally = Tally()
    examples(drawn(8), check, 4)(Random(4), tally)
    assert tally.tried["programs"] == 4
    assert tally.operations
    assert tally.pairs
    assert tally.passes
    assert tally.operations["plan.func"]


@pytest.mark.parametrize("oracle", sorted(oracles.ORACLES))
def test_nothing_is_wrong_with_a_program(oracle: str) -> None:
    for number in range(2):
        oracles.ORACLES[oracle](given(), Random(number))


@pytest.mark.parametrize("change", [moved, left_out, read_early, mislabelled])
def test_a_pass_that_changes_the_meaning_is_seen(change: Wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    def once(module: ModuleOp) -> None:
        if not done:
            done.append(1)
            change(module)

    monkeypatch.setattr(oracles, "optimise", wrongly(once))
    assert seen("passes", 1)


@pytest.mark.parametrize("change", [moved, left_out, made_twice])
def test_a_plan_that_writes_otherwise_is_seen(change: Wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "optimise", wrongly(change))
    with pytest.raises(Disagreement, match=r"the (writes|value)"):
        oracles.run_as(given(), Way(level=0))


def test_a_call_that_is_made_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(module: ModuleOp) -> None:
        doubled(calls_of(module, "fetch")[0])

    monkeypatch.setattr(oracles, "optimise", wrongly(again))
    assert seen("calls", 1)


def test_a_limit_that_is_not_kept_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not seen("limits", 2)
    monkeypatch.setattr("flowc.runtime.scheduler.attempts.charge_call", lambda budgets, name: None)
    monkeypatch.setattr("flowc.runtime.scheduler.intending.charge_call", lambda budgets, name: None)
    assert seen("limits")


def test_a_journal_that_forgets_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: MemoryStore, *, faults: Faults = NONE) -> MemoryStore:
        return self._replayed(len(self._changes) - 2, faults)

    monkeypatch.setattr(MemoryStore, "crashed", forgetful)
    found = 0
    for place in range(3, 9):
        try:
            oracles.run_as(given(), Way(level=0, deaths=((place, True),)))
        except Disagreement:
            found += 1
    assert found


def test_what_disagrees_shows_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "optimise", wrongly(left_out))
    with pytest.raises(Disagreement, match=r"flow main\(") as caught:
        oracles.run_as(given(), Way())
    assert "Way(level=2" in str(caught.value)
