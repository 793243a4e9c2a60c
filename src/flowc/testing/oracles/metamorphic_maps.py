"""Transformations that split a map into several, or make one of several; see `metamorphic`."""

from random import Random
from typing import Any

from attrs import evolve

from flowc.compiler import syntax as s
from flowc.compiler.checker.model import Checked
from flowc.runtime import types as t
from flowc.testing.oracles.facts import Facts
from flowc.testing.oracles.rewriting import bound, copied, flows, fresh, rebuilt, replaced, walk
from flowc.testing.strategies.trees import PLACE, binary, constant, name


def split_map(checked: Checked, chance: Random) -> s.Program | None:
    """Takes a map apart: into its two halves, into what is kept and what is made of it, or behind a map that
    does nothing. A program without maps gets one of those.

    A map gives its values in the order of its source, so the halves one after the other are the whole. The
    tests of a map may come before all of its bodies where they and the bodies have nothing to do with each
    other.
    """
    facts = Facts.of(checked.program)
    found = [each for each in _maps(checked.program) if len(each.generators[0].targets) == 1]
    if not found:
        return _copied_list(checked, chance)
    one = chance.choice(found)
    generator = one.generators[0]
    source, (target,) = generator.iterable, generator.targets
    again = next(fresh(checked.program, "each"))
    inner = s.Comprehension(name(again), (s.Generator((again,), source, span=PLACE),), span=PLACE)
    choices: list[s.Expression] = [evolve(one, generators=(evolve(generator, iterable=inner),))]
    if generator.conditions and facts.apart(one.element, generator.conditions):
        kept = s.Comprehension(name(target), (generator,), span=PLACE)
        choices.append(
            evolve(one, generators=(s.Generator(generator.targets, _renamed(kept, again), span=PLACE),))
        )
    if isinstance(source, s.Name | s.ListDisplay) and _is_plain(source):
        cut = constant(chance.randint(0, 3))
        halves = (s.Slice(None, cut, span=PLACE), s.Slice(cut, None, span=PLACE))
        first, second = (
            evolve(
                copied(one),
                generators=(evolve(generator, iterable=s.Subscript(source, (half,), span=PLACE)),),
            )
            for half in halves
        )
        choices.append(binary("+", first, second))
    return replaced(checked.program, {id(one): chance.choice(choices)})


def _copied_list(checked: Checked, chance: Random) -> s.Program | None:
    """A map that does nothing in the place of a list that is read."""
    found = [
        each
        for flow in flows(checked.program)
        for each in walk(flow.body)
        if isinstance(each, s.Name) and isinstance(checked.types.get(id(each)), t.List)
    ]
    if not found:
        return None
    one, each = chance.choice(found), next(fresh(checked.program, "each"))
    generator = s.Generator((each,), copied(one), span=PLACE)
    return replaced(checked.program, {id(one): s.Comprehension(name(each), (generator,), span=PLACE)})


def join_map(checked: Checked, chance: Random) -> s.Program | None:
    """Makes one of the maps over known elements, or of a map over a map.

    The bodies are the elements of a list, written out, each with the value in the place of its name. A map
    over a map makes the inner value where it is used, once and at the beginning, if neither has to do with
    the other.
    """
    facts = Facts.of(checked.program)
    choices: list[tuple[s.Comprehension, s.Expression]] = []
    for one in _maps(checked.program):
        generator = one.generators[0]
        if len(generator.targets) != 1 or generator.conditions:
            continue
        (target,), source = generator.targets, generator.iterable
        if target in bound(one.element):
            continue
        elements = _known(source)
        if elements:
            items = tuple(_put(one.element, target, each) for each in elements)
            choices.append((one, s.ListDisplay(items, span=PLACE)))
        if isinstance(source, s.Comprehension) and not bound(source) & bound(one.element):
            once = sum(isinstance(each, s.Name) and each.id == target for each in walk(one.element)) == 1
            if once and facts.steady(source.element) and not facts.of_node(source.element):
                joined = evolve(source, element=_put(one.element, target, source.element))
                choices.append((one, joined))
    if not choices:
        return None
    old, new = chance.choice(choices)
    return replaced(checked.program, {id(old): new})


def _maps(program: s.Program) -> list[s.Comprehension]:
    """The maps of the flows, over one source each."""
    return [
        each
        for flow in flows(program)
        for each in walk(flow.body)
        if isinstance(each, s.Comprehension) and len(each.generators) == 1
    ]


def _known(source: s.Expression) -> tuple[s.Expression, ...]:
    """The elements of a list that is written out, or of a short range; empty where they are not known."""
    match source:
        case s.ListDisplay(items=items) if _is_plain(source):
            return items
        case s.Call(s.Name("range"), (s.Argument(None, s.Constant("int", int(count))),)) if 0 < count < 6:
            return tuple(constant(each) for each in range(count))
    return ()


def _is_plain(source: s.Expression) -> bool:
    """Whether an expression is a name, or a list of constants of one kind, which may stand there twice."""
    if isinstance(source, s.Name):
        return True
    if not isinstance(source, s.ListDisplay) or not source.items:
        return False
    kinds = {_kind(each) for each in source.items}
    return len(kinds) == 1 and None not in kinds


def _kind(item: s.Expression) -> str | None:
    if isinstance(item, s.Unary) and item.operator == "-":
        return _kind(item.operand)
    return item.kind if isinstance(item, s.Constant) else None


def _put(node: s.Expression, target: str, value: s.Expression) -> s.Expression:
    """The expression with a value in the place of a name."""

    def change(each: Any) -> Any:
        return copied(value) if isinstance(each, s.Name) and each.id == target else each

    return rebuilt(node, change)


def _renamed(one: s.Comprehension, new: str) -> s.Comprehension:
    """The map with another name for its element."""
    (old,) = one.generators[0].targets
    made = _put(one, old, name(new))
    assert isinstance(made, s.Comprehension)
    return evolve(made, generators=(evolve(made.generators[0], targets=(new,)),))
