"""Programs that are changed so that they mean the same do; a change that does not is seen."""

from collections import Counter
from random import Random

import pytest
from attrs import evolve

from flowc.compiler import syntax as s
from flowc.compiler.checker.model import Checked
from flowc.compiler.diagnostics.model import Source
from flowc.compiler.driver import check_program
from flowc.compiler.formatter import format_program
from flowc.compiler.parser import parse
from flowc.testing.oracles import metamorphic
from flowc.testing.oracles.metamorphic import TRANSFORMATIONS, WAYS, check, check_ways, transformed
from flowc.testing.oracles.programs import Disagreement, subject
from flowc.testing.oracles.rewriting import blocks, flows, rebuilt, replaced
from flowc.testing.strategies.programs import random_program
from flowc.testing.strategies.trees import PLACE, constant
from tests.assurance.campaign import Tally, examples
from tests.assurance.campaigns.metamorphic import check_one
from tests.assurance.campaigns.programs import drawn

PROGRAM = """
tool fetch(tag: int, x: int) -> int reads web
tool keep(tag: int, x: int) -> int writes store
tool note(tag: int, text: str) -> none writes log idempotent

flow part(x: int, text: str) -> int:
    y = fetch(1, x)
    return y + len(text)

flow main(a: int, b: int, name: str, numbers: list[int], flag: bool) -> int:
    v1 = part(a, name) + 1
    v2 = part(b, "b")
    keep(2, v1)
    keep(3, v2)
    note(4, name)
    v3 = [fetch(5, i) + v1 for i in [4, 5]]
    v4 = [i * 2 for i in [k + 1 for k in numbers]]
    return v1 + 3 * v2 + sum(v3) + sum(v4)
"""

APPLIES = {
    "rename": 70, "reorder": 20, "dead code": 100, "dead branch": 100, "split map": 90, "join map": 0,
    "outline": 60, "inline": 50,
}  # fmt: skip
"""To how many of 100 programs a change applies at least; few have a map over known elements."""


PROGRAMS = 30


def written() -> s.Program:
    return parse(PROGRAM, "given.flow")


def test_some_programs_mean_the_same_when_they_are_changed() -> None:
    tally = Tally()
    examples(drawn(8), check_one, 4)(Random(1), tally)
    assert tally.tried["changes"] >= 1
    assert tally.tried["programs"] >= 4


def test_each_change_applies_to_many_programs_and_leaves_ones_that_check() -> None:
    applied: Counter[str] = Counter()
    chance = Random(5)
    for program in [random_program(chance, 8) for _ in range(PROGRAMS)]:
        whole = subject(program)
        for number, (name, change) in enumerate(TRANSFORMATIONS.items()):
            changed = transformed(whole, change, Random(number))
            if changed is not None:
                applied[name] += 1
                assert changed != program
                check_program(changed, Source("changed.flow", ""))
    least = {name: number * PROGRAMS // 200 for name, number in APPLIES.items()}
    assert {name: applied[name] for name in least if applied[name] < least[name]} == {}
    assert set(APPLIES) == set(TRANSFORMATIONS)


@pytest.mark.parametrize("name", sorted(TRANSFORMATIONS))
def test_each_change_changes_a_program_that_means_the_same_afterwards(name: str) -> None:
    whole = subject(written())
    changes = {
        format_program(transformed(whole, TRANSFORMATIONS[name], Random(i)) or written()) for i in range(3)
    }
    assert len(changes - {format_program(written())}) >= 1
    assert any(check(whole, name, Random(number)) for number in range(2))


@pytest.mark.parametrize("name", sorted(WAYS))
def test_each_way_to_run_gives_the_same(name: str) -> None:
    for number in range(2):
        check_ways(subject(written()), name, Random(number))


# ---- changes that do not keep the meaning


def swaps_anything(checked: Checked, chance: Random) -> s.Program | None:
    """Swaps two writes."""
    body = flows(checked.program)[-1].body or ()
    return replaced(checked.program, {id(body): (*body[:2], body[3], body[2], *body[4:])})


def names_one_for_another(checked: Checked, chance: Random) -> s.Program | None:
    """Gives two variables one name."""
    flow = flows(checked.program)[-1]

    def renamed(node: object) -> object:
        return evolve(node, id="v2") if isinstance(node, s.Name) and node.id == "v1" else node

    return replaced(checked.program, {id(flow): rebuilt(flow, renamed)})


def kills_what_is_alive(checked: Checked, chance: Random) -> s.Program | None:
    """Puts a write under a test that is false."""
    body = flows(checked.program)[-1].body or ()
    dead = s.If(((constant(False), (body[2],)),), span=PLACE)
    return replaced(checked.program, {id(body): (*body[:2], dead, *body[3:])})


def drops_the_end_of_a_map(checked: Checked, chance: Random) -> s.Program | None:
    """Maps over a part of the source."""
    body = flows(checked.program)[-1].body or ()
    assert isinstance(body[5], s.Assign)
    part = s.Slice(None, constant(1), span=PLACE)
    cut = evolve(body[5], value=s.Subscript(body[5].value, (part,), span=PLACE))
    return replaced(checked.program, {id(body[5]): cut})


WRONG = (swaps_anything, names_one_for_another, kills_what_is_alive, drops_the_end_of_a_map)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_change_of_the_meaning_is_seen(wrong: metamorphic.Transformation) -> None:
    assert blocks(flows(written())[-1])
    with pytest.raises(Disagreement):
        check(subject(written()), "wrong", Random(1), {"wrong": wrong})
