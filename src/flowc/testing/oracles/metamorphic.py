"""Programs changed so that they mean the same: where one differs, the compiler is wrong, whatever is right.

A transformation takes a checked program and a source of chance, and gives another program, or None where it
finds no place to apply. The docstring of each says why the meaning stays. `check` holds both programs to the
same outcome. Ways to run (their width, their engine, an interruption) are changed by `WAYS`, and `check_ways`
holds the runs to each other.
"""

from collections.abc import Callable, Mapping
from random import Random

from attrs import evolve

from flowc.compiler import syntax as s
from flowc.compiler.checker.model import Checked, Labels
from flowc.compiler.diagnostics.model import Source
from flowc.compiler.driver import check_program
from flowc.testing.oracles import metamorphic_flows, metamorphic_maps
from flowc.testing.oracles.facts import Facts
from flowc.testing.oracles.programs import Reached, Subject, difference, run_as, subject
from flowc.testing.oracles.rewriting import (
    assign,
    blocks,
    bound,
    copied,
    flows,
    fresh,
    leaves,
    replaced,
    shuffled,
    used,
    walk,
    with_names,
)
from flowc.testing.oracles.running import Way, ways
from flowc.testing.strategies.answers import declarations
from flowc.testing.strategies.trees import PLACE, call, compare, constant

Transformation = Callable[[Checked, Random], s.Program | None]


def rename(checked: Checked, chance: Random) -> s.Program | None:
    """Gives the variables of a flow other names, some of them each other's.

    A name says nothing, and the new ones are as different from each other as the old ones, so that each use
    still means the variable that it meant. Parameters, which callers may name, stay as they are.
    """
    program = checked.program
    taken = {getattr(each, "name", "") for each in program.declarations}
    flow = chance.choice(flows(program))
    old = sorted(bound(flow.body) - {each.name for each in flow.parameters} - taken)
    if not old:
        return None
    names = fresh(program, "w")
    new = dict(zip(old, shuffled([*old, *(next(names) for _ in old)], chance), strict=False))
    return replaced(program, {id(flow): with_names(flow, new)})


def reorder(checked: Checked, chance: Random) -> s.Program | None:
    """Swaps two statements that stand next to each other and have nothing to do with each other.

    Neither gives a name a value that the other reads or gives, neither leaves the block, and neither writes
    what the other reads or writes. Where one of them writes, the other cannot fail, so that the write happens
    as before.
    """
    facts = Facts.of(checked.program)
    block = chance.choice([each for flow in flows(checked.program) for each in blocks(flow)])
    places = [at for at in range(len(block) - 1) if _independent(facts, block[at], block[at + 1])]
    if not places:
        return None
    at = chance.choice(places)
    changed = (*block[:at], block[at + 1], block[at], *block[at + 2 :])
    return replaced(checked.program, {id(block): changed})


def _independent(facts: Facts, one: s.Statement, other: s.Statement) -> bool:
    mine, theirs = bound(one), bound(other)
    if mine & (theirs | used(other)) or theirs & used(one) or leaves(one) or leaves(other):
        return False
    return one != other and facts.apart(one, other)


def insert_dead_code(checked: Checked, chance: Random) -> s.Program | None:
    """Gives a new variable a value that nobody reads.

    The value is made of constants, has no effect and cannot fail.
    """
    block = chance.choice([each for flow in flows(checked.program) for each in blocks(flow)])
    value = chance.choice(
        (
            constant(7),
            s.ListDisplay((constant(1), constant(2)), span=PLACE),
            call("len", constant("dead")),
            s.Conditional(compare("<", constant(1), constant(2)), constant("a"), constant("b"), span=PLACE),
        )
    )
    name = next(fresh(checked.program, "dead"))
    return replaced(checked.program, {id(block): _inserted(block, assign(name, value), chance)})


def _inserted(block: s.Block, statement: s.Statement, chance: Random) -> s.Block:
    """The block with a statement somewhere before the one that leaves it."""
    at = chance.randint(0, len(block) - 1)
    return (*block[:at], statement, *block[at:])


def insert_dead_branch(checked: Checked, chance: Random) -> s.Program | None:
    """Inserts a write under a test that is false, or puts what is there under one that is true.

    What stands under a false test never happens; a statement that gives no name a value does the same under a
    true one. The write stands in `main` outside of all blocks, where no limit or transaction forbids it.
    """
    program = checked.program
    places = [
        (block, at)
        for flow in flows(program)
        for block in blocks(flow)
        for at, each in enumerate(block)
        if not bound(each) and not leaves(each)
    ]
    if places and chance.random() < 0.5:
        block, at = chance.choice(places)
        under = s.If(((_certain(True, chance), (block[at],)),), span=PLACE)
        return replaced(program, {id(block): (*block[:at], under, *block[at + 1 :])})
    main = next(each for each in flows(program) if each.name == "main")
    body = main.body or ()
    write = s.ExpressionStatement(call("note", constant(-1), constant("never")), span=PLACE)
    never = s.If(((_certain(False, chance), (write,)),), span=PLACE)
    changed = replaced(program, {id(body): _inserted(body, never, chance)})
    if any(getattr(each, "name", "") == "note" for each in program.declarations):
        return changed
    return evolve(changed, declarations=(declarations()["note"], *changed.declarations))


def _certain(wanted: bool, chance: Random) -> s.Expression:
    """A test that is known to come out so: to the compiler at once, or after some folding."""
    seven = s.Binary("+", constant(3), constant(4), span=PLACE)
    tests = (
        compare("==" if wanted else "!=", constant(1), constant(1)),
        constant(wanted),
        compare("<" if wanted else ">", call("len", constant("dead")), seven),
    )
    return chance.choice(tests)


TRANSFORMATIONS: Mapping[str, Transformation] = {
    "rename": rename,
    "reorder": reorder,
    "dead code": insert_dead_code,
    "dead branch": insert_dead_branch,
    "split map": metamorphic_maps.split_map,
    "join map": metamorphic_maps.join_map,
    "outline": metamorphic_flows.outline,
    "inline": metamorphic_flows.inline,
}
"""All transformations of programs by name."""


def transformed(given: Subject, transformation: Transformation, chance: Random) -> s.Program | None:
    """Another program that means what the given one means, or None."""
    program = copied(given.program)  # no node stands at two places, so that one of them can be replaced
    return transformation(check_program(program, Source("generated.flow", "")), chance)


def check(
    given: Subject, name: str, chance: Random, among: Mapping[str, Transformation] = TRANSFORMATIONS
) -> bool:
    """Changes a program and holds the changed one, compiled at a drawn level, to what the first one means.
    Gives whether there was something to change. Raises Disagreement.
    """
    program = transformed(given, among[name], chance)
    if program is None:
        return False
    other = subject(program, given.arguments)
    found = difference(given.wanted, other.wanted, asked=False)
    if found is not None:
        raise other.disagree(f"{name}: {found[0]}", *found[1:])
    said = [sorted(_labels(each.checked)) for each in (given, other)]
    if said[0] != said[1]:
        raise other.disagree(f"{name}: the labels of the result", *said)
    run_as(evolve(other, wanted=given.wanted), ways(chance))
    return True


def _labels(checked: Checked) -> Labels:
    """The labels of what `main` gives, as the checker infers them."""
    main = next(each for each in flows(checked.program) if each.name == "main")
    returned = [each.value for each in walk(main.body) if isinstance(each, s.Return)]
    return frozenset(label for value in returned for label in checked.labels.get(id(value), ()))


# ---- ways to run


def change_width(way: Way, chance: Random) -> Way:
    """Other threads, and another number of calls at once. Order is a matter of data and effects, not of
    width.
    """
    threads = chance.choice([each for each in (0, 1, 4, 16) if each != way.threads])
    return evolve(way, threads=threads, in_flight=chance.choice((None, 1, 2)))


def switch_engine(way: Way, chance: Random) -> Way:
    """Another clock, kernels by another backend, another level, or a plan that has travelled: what carries a
    run out is no part of what it means.
    """
    return chance.choice(
        (
            evolve(way, real=not way.real and way.deaths is None, late=0),
            evolve(way, native=not way.native),
            evolve(way, level=chance.choice([each for each in range(4) if each != way.level])),
            evolve(way, artifact=not way.artifact),
        )
    )


def interrupt(way: Way, chance: Random) -> Way:
    """Kept in a journal, killed and gone on with: no finished effect happens twice, and none is left out."""
    return evolve(way, real=False, deaths=((chance.randint(1, 24), chance.random() < 0.5),))


WAYS: Mapping[str, Callable[[Way, Random], Way]] = {
    "width": change_width,
    "engine": switch_engine,
    "interruption": interrupt,
}
"""All changes of ways to run by name."""


def check_ways(given: Subject, name: str, chance: Random) -> Reached:
    """Runs a program in two ways that differ in one thing, and holds both to what it means."""
    way = ways(chance)
    run_as(given, way)
    return run_as(given, WAYS[name](way, chance))
