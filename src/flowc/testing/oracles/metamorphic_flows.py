"""Transformations that make a flow of an expression, or put a flow where it is called; see `metamorphic`."""

from random import Random
from typing import Any

from attrs import evolve

from flowc.compiler import syntax as s
from flowc.compiler.checker.model import Checked
from flowc.compiler.driver import check_program
from flowc.runtime import types as t
from flowc.testing.oracles.facts import Facts
from flowc.testing.oracles.rewriting import (
    assign,
    blocks,
    bound,
    copied,
    flows,
    fresh,
    replaced,
    walk,
    with_flow,
    with_names,
)
from flowc.testing.strategies.trees import PLACE, call, declared, name, ref


def outline(checked: Checked, chance: Random) -> s.Program | None:
    """Makes a flow of the value of an assignment, with the variables in it as parameters.

    A flow does what its body does, with the values that it is given; its effects and labels are inferred.
    What calls something that restricts the labels of its arguments stays: a parameter says nothing of labels.
    """
    program = checked.program
    places = [
        (flow, each)
        for flow in flows(program)
        for block in blocks(flow)
        for each in block
        if isinstance(each, s.Assign) and _may_be_outlined(checked, each)
    ]
    if not places:
        return None
    flow, chosen = chance.choice(places)
    value = chosen.value
    inside = {each.name for each in flow.parameters} | bound(flow.body)
    types: dict[str, t.Type] = {}
    for each in walk(value):
        if isinstance(each, s.Name) and each.id in inside - bound(value):
            known = checked.types[id(each)]
            types[each.id] = known if isinstance(known, t.Optional) else types.get(each.id, known)
    takes = {variable: written(type_) for variable, type_ in types.items()}
    gives = written(checked.coercions.get(id(value), checked.types[id(value)]))
    if gives is None or None in takes.values():
        return None
    called = next(fresh(program, "outlined"))
    body = (s.Return(copied(value), span=PLACE),)
    made = declared("flow", called, {key: each for key, each in takes.items() if each}, gives, body=body)
    changed = replaced(program, {id(value): call(called, *map(name, takes))})
    return with_flow(changed, made)


def _may_be_outlined(checked: Checked, statement: s.Assign) -> bool:
    if len(statement.targets) != 1 or isinstance(statement.value, s.Name | s.Constant):
        return False
    kinds = {
        each.name: each for each in checked.program.declarations if isinstance(each, s.Callable | s.Record)
    }
    for node in walk(statement.value):
        if isinstance(node, s.Name) and node.id in kinds:
            found = kinds[node.id]
            places = found.fields if isinstance(found, s.Record) else found.parameters
            if any(isinstance(each, s.TypeRef) and each.labels for each in walk(places)):
                return False
    return True


def written(type_: t.Type) -> s.TypeRef | None:
    """A type as a program writes it; None for those that no parameter has here."""
    match type_:
        case t.Scalar(called) | t.Record(called) | t.Enum(called):
            return ref(called)
        case t.List(element):
            inner = written(element)
            return None if inner is None else ref("list", inner)
        case t.Dict(value):
            inner = written(value)
            return None if inner is None else ref("dict", ref("str"), inner)
        case t.Optional(inside):
            inner = written(inside)
            return None if inner is None else evolve(inner, optional=True)
        case t.PlanOf(tools):
            return ref("plan", *map(ref, tools))
    return None


def inline(checked: Checked, chance: Random) -> s.Program | None:
    """Puts the statements of a flow before a statement that calls it once.

    The parameters become variables that nothing else has, given the arguments. That comes to the same where
    the call is certain to be made, the flow ends with its one `return`, and the rest of the value may be made
    after it. Where no call is like that, a flow is made of an expression first, which leaves all its parts
    with names.
    """
    found = _inlined(checked, chance)
    if found is not None:
        return found
    outlined = outline(checked, chance)
    if outlined is None:
        return None
    return _inlined(check_program(copied(outlined), checked.source), chance)


def _inlined(checked: Checked, chance: Random) -> s.Program | None:
    program = checked.program
    facts = Facts.of(program)
    open_ = {each.name: each for each in flows(program) if _may_be_inlined(each)}
    places = []
    for flow in flows(program):
        for block in blocks(flow):
            for at, each in enumerate(block):
                first = _first(each)
                calls = [one for one in _certain_calls(first) if _callee(one) in open_]
                places += [(block, at, one) for one in calls if _may_come_first(facts, first, one)]
    if not places:
        return None
    block, at, one = chance.choice(places)
    callee = open_[_callee(one)]
    names = fresh(program, "inlined")
    new = {each: next(names) for each in sorted(bound(callee.body) | {p.name for p in callee.parameters})}
    given = _given(callee, one)
    if given is None:
        return None
    before: list[s.Statement] = [assign(new[p.name], given[p.name], p.type) for p in callee.parameters]
    *body, last = with_names(callee.body or (), new)
    if not isinstance(last, s.Return) or last.value is None:
        return None
    result = next(names)
    before += [*body, assign(result, last.value, callee.result)]
    value = replaced(block[at], {id(one): name(result)})
    return replaced(program, {id(block): (*block[:at], *before, value, *block[at + 1 :])})


def _may_be_inlined(flow: s.Callable) -> bool:
    body = flow.body or ()
    returns = sum(isinstance(each, s.Return) for each in walk(body))
    labelled = any(
        isinstance(each, s.TypeRef) and each.labels for each in walk((flow.parameters, flow.result))
    )
    limited = any(each.name != "associative" for each in flow.decorators)
    return not limited and not labelled and returns == 1 and isinstance(body[-1], s.Return)


def _first(statement: s.Statement) -> s.Expression | None:
    """What a statement evaluates before all else, whatever comes of it."""
    match statement:
        case s.Assign(value=value) | s.Return(value=value):
            return value
        case s.If(branches=((test, _), *_)):
            return test
        case s.For(iterable=iterable):
            return iterable
    return None


def _certain_calls(node: Any) -> list[s.Call]:
    """Calls inside an expression that are made once whenever it is."""
    match node:
        case s.Call(function=s.Name(id=special), arguments=arguments):
            inner = [] if special in ("race", "vote") else arguments
            return [node, *(one for each in inner for one in _certain_calls(each.value))]
        case s.Binary(operator=operator, left=left, right=right):
            return _certain_calls(left) + ([] if operator in ("and", "or") else _certain_calls(right))
        case s.Unary(operand=inner) | s.Attribute(value=inner):
            return _certain_calls(inner)
    return []


def _callee(one: s.Call) -> str:
    return one.function.id if isinstance(one.function, s.Name) else ""


def _may_come_first(facts: Facts, value: s.Expression | None, one: s.Call) -> bool:
    rest = replaced(value, {id(one): name("inlined")})
    return facts.apart(rest, one)


def _given(callee: s.Callable, one: s.Call) -> dict[str, s.Expression] | None:
    """The arguments by parameter."""
    names = [each.name for each in callee.parameters]
    given = {each.name: each.default for each in callee.parameters if each.default is not None}
    for place, argument in enumerate(one.arguments):
        given[argument.name or names[place]] = argument.value
    return given if len(given) == len(names) else None
