"""The declarations of a program: what each name stands for, before any body is looked at."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from attrs import frozen

from flowc.compiler.builtins import RESERVED
from flowc.compiler.checker.annotations import TYPE_NAMES, Annotation, resolve_annotation
from flowc.compiler.checker.associative import check_associative
from flowc.compiler.checker.context import ERROR, World
from flowc.compiler.checker.effects import declared_effects
from flowc.compiler.checker.limits import read_decorators
from flowc.compiler.checker.model import FieldInfo, ParameterInfo, Signature
from flowc.compiler.checker.names import listed
from flowc.compiler.checker.prompts import check_fusable, check_reorder
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Callable, Enum, Field, Import, LabelOrder, Parameter, Program, Span
from flowc.compiler.syntax import Record as RecordDeclaration
from flowc.runtime.types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    NUMERIC,
    Array,
    List,
    Optional,
    Record,
    Scalar,
    Tuple,
    Type,
)

BUILTIN_CHAINS = (("public", "secret"), ("trusted", "untrusted"))
"""Confidentiality and integrity, there in every program that does not order these labels itself."""


@frozen
class Named:
    """A declared name and its declaration."""

    name: str
    declaration: RecordDeclaration | Enum | Callable


def declare(program: Program, report: Report) -> World:
    """The world of a program: its chains of labels, records, enums and callables."""
    world = World()
    world.chains = _chains(program, report)
    kept = _unique(program, report)
    world.tools = tuple(
        each.name
        for each in kept
        if isinstance(each.declaration, Callable) and each.declaration.kind == "tool"
    )
    for each in kept:
        if isinstance(each.declaration, Enum):
            world.enums[each.name] = _members(each.declaration, report)
        elif isinstance(each.declaration, RecordDeclaration):
            world.records[each.name] = ()
    for each in kept:
        if isinstance(each.declaration, RecordDeclaration):
            world.records[each.name] = _fields(world, each.declaration, report)
            world.fields[each.name] = {field.name: field.type for field in world.records[each.name]}
    _refuse_cycles(
        world, [each.declaration for each in kept if isinstance(each.declaration, RecordDeclaration)], report
    )
    for each in kept:
        if isinstance(each.declaration, Callable):
            world.callables[each.name] = _signature(world, each.declaration, report)
    return world


def _unique(program: Program, report: Report) -> list[Named]:
    seen: dict[str, Span] = {}
    kept = []
    for declaration in program.declarations:
        if isinstance(declaration, Import | LabelOrder):
            continue
        name = declaration.name
        if name in seen:
            report.error(
                "E0103",
                f"`{name}` is declared twice",
                _header(declaration),
                help="rename one of them",
                causes=((seen[name], "first here"),),
            )
            continue
        seen[name] = _header(declaration)
        if name in RESERVED or name in TYPE_NAMES:
            kind = "type" if name in TYPE_NAMES else "function"
            report.error(
                "E0135",
                f"`{name}` is the name of a built-in {kind}",
                _header(declaration),
                why="every reader takes it for the built-in",
                help=f"choose another name: `my_{name}`",
            )
        kept.append(Named(name, declaration))
    return kept


def _header(declaration: RecordDeclaration | Enum | Callable) -> Span:
    if isinstance(declaration, Callable):
        return declaration.header
    span, word = declaration.span, "enum" if isinstance(declaration, Enum) else "record"
    return Span(span.line, span.column, span.line, span.column + len(f"{word} {declaration.name}"))


def _chains(program: Program, report: Report) -> tuple[tuple[str, ...], ...]:
    chains: list[tuple[str, ...]] = []
    seen: dict[str, Span] = {}
    for declaration in program.declarations:
        if not isinstance(declaration, LabelOrder):
            continue
        names = []
        for name in declaration.names:
            if name in seen:
                report.error(
                    "E0306",
                    f"the label `{name}` is declared twice",
                    declaration.span,
                    help="a label stands at one place in one order",
                    causes=((seen[name], "first here"),) if seen[name] != declaration.span else (),
                )
                continue
            seen[name] = declaration.span
            names.append(name)
        chains.append(tuple(names))
    kept = [chain for chain in BUILTIN_CHAINS if not set(chain) & set(seen)]
    return (*chains, *kept)


def _members(declaration: Enum, report: Report) -> tuple[str, ...]:
    twice = sorted({name for name in declaration.members if declaration.members.count(name) > 1})
    if twice:
        report.error(
            "E0104",
            f"the enum `{declaration.name}` has {listed(twice)} twice",
            declaration.span,
            help="keep one",
        )
    return tuple(dict.fromkeys(declaration.members))


def _fields(world: World, declaration: RecordDeclaration, report: Report) -> tuple[FieldInfo, ...]:
    found = []
    owner = f"the record `{declaration.name}` has two fields"
    for field in _named_once(declaration.fields, owner, "rename or remove one", report):
        written = resolve_annotation(world, report, field.type)
        if isinstance(written.type, Tuple):
            _misplaced(report, field.type.span, "a field", "declare a record for the parts")
        found.append(FieldInfo(field.name, written.type, written.labels, field.span))
    return tuple(found)


P = TypeVar("P", Field, Parameter)


def _named_once(parts: Sequence[P], twice: str, help_: str, report: Report) -> Iterator[P]:
    """The parts of a declaration, those left out whose name an earlier one has."""
    seen: dict[str, Span] = {}
    for part in parts:
        if part.name not in seen:
            seen[part.name] = part.span
            yield part
            continue
        causes = ((seen[part.name], "first here"),)
        report.error("E0104", f"{twice} `{part.name}`", part.span, help=help_, causes=causes)


def _misplaced(report: Report, span: Span, place: str, help_: str, why: str = "") -> None:
    report.error("E0140", f"{place} cannot have this type", span, why=why, help=help_)


def _refuse_cycles(world: World, records: Sequence[RecordDeclaration], report: Report) -> None:
    state: dict[str, int] = {}
    for record in records:
        path: list[str] = []
        cycle = _cycle(world, record.name, state, path)
        if cycle:
            through = " -> ".join(f"`{name}`" for name in cycle)
            field = next(f for f in world.records[cycle[0]] if f.type == Record(cycle[1]))
            report.error(
                "E0123",
                f"the record `{cycle[0]}` contains itself",
                field.span,
                why=f"{through}: such a value could never be finished",
                help=f"make a field optional or a list: `{field.name}: {cycle[1]}?`",
            )


def _cycle(world: World, start: str, state: dict[str, int], path: list[str]) -> list[str]:
    """A cycle of fields through `start`, found without recursion; state 1 is on the path, 2 is done."""
    stack: list[tuple[str, list[str]]] = [(start, _direct(world, start))] if state.get(start) is None else []
    if stack:
        state[start] = 1
        path.append(start)
    while stack:
        name, following = stack[-1]
        if not following:
            stack.pop()
            state[name] = 2
            path.pop()
            continue
        next_ = following.pop()
        if state.get(next_) == 1:
            return [*path[path.index(next_) :], next_]
        if state.get(next_) is None and next_ in world.records:
            state[next_] = 1
            path.append(next_)
            stack.append((next_, _direct(world, next_)))
    return []


def _direct(world: World, name: str) -> list[str]:
    return [field.type.name for field in reversed(world.records[name]) if isinstance(field.type, Record)]


def _signature(world: World, declaration: Callable, report: Report) -> Signature:
    parameters = _parameters(world, declaration, report)
    result = resolve_annotation(world, report, declaration.result)
    _check_result(declaration, result, parameters, report)
    settings = read_decorators(report, declaration.kind, declaration.decorators)
    check_reorder(declaration, report)
    check_fusable(declaration, settings, report)
    effects = declared_effects(declaration, report)
    if settings.associative:
        check_associative(declaration, parameters, result.type, effects, report)
    return Signature(
        declaration.kind,
        declaration.name,
        parameters,
        result.type,
        result.labels,
        effects,
        declaration,
        settings.limits,
        settings.model,
        settings.temperature,
        settings.max_tokens,
        settings.cached,
        reorder=settings.reorder,
        fusable=settings.fusable,
        associative=settings.associative,
        latency=settings.latency,
    )


def _parameters(world: World, declaration: Callable, report: Report) -> tuple[ParameterInfo, ...]:
    found: list[ParameterInfo] = []
    owner = f"`{declaration.name}` has two parameters"
    for parameter in _named_once(declaration.parameters, owner, "rename one", report):
        written = resolve_annotation(world, report, parameter.type)
        _check_parameter(declaration, parameter.name, written.type, parameter.type.span, report)
        found.append(
            ParameterInfo(parameter.name, written.type, written.labels, parameter.default, parameter.span)
        )
    return tuple(found)


def is_numeric(type_: Type) -> bool:
    """Whether a kernel can hold values of this type."""
    match type_:
        case Array():
            return True
        case Scalar(name):
            return name in NUMERIC or type_ in (INT, FLOAT, BOOL, ERROR)
    return False


def _check_parameter(declaration: Callable, name: str, type_: Type, span: Span, report: Report) -> None:
    if declaration.kind == "kernel" and not is_numeric(type_):
        why = "a kernel holds numbers and arrays alone"
        _misplaced(
            report, span, f"the parameter `{name}` of a kernel", "pass an array or a number: `f32[n]`", why
        )
    elif isinstance(type_, Tuple):
        _misplaced(
            report, span, f"the parameter `{name}`", "declare a record, or one parameter for each part"
        )
    elif type_ == NONE:
        _misplaced(report, span, f"the parameter `{name}`", "`none` says nothing; leave the parameter out")


def _check_result(
    declaration: Callable, result: Annotation, parameters: Iterable[ParameterInfo], report: Report
) -> None:
    type_, span = result.type, declaration.result.span
    if declaration.kind == "kernel":
        parts = type_.items if isinstance(type_, Tuple) else (type_,)
        if not all(map(is_numeric, parts)):
            why = "a kernel holds numbers and arrays alone"
            _misplaced(report, span, "the result of a kernel", "return an array or a number: `f32[n]`", why)
        _check_result_extents(declaration, parts, {p.name: p.type for p in parameters}, report)
    elif declaration.kind in _ANSWERS and not _answerable(type_):
        who, what = _ANSWERS[declaration.kind]
        why = f"{who} answers in text, which is read as this type"
        help_ = "return `str`, `bool`, a number, an enum, a record, or a list of these"
        _misplaced(report, span, f"the result of {what}", help_, why)


_ANSWERS = {
    "llm": ("a model", "an llm"),
    "human": ("a person", "a human"),
    "event": ("whoever tells of it", "an event"),
}
"""Who answers what is declared so, and its kind with an article."""


def _answerable(type_: Type) -> bool:
    match type_:
        case Array() | Tuple() | Scalar("bytes" | "none"):
            return False
        case List(inner) | Optional(inner):
            return _answerable(inner)
    return True


def _check_result_extents(
    declaration: Callable, parts: Sequence[Type], parameters: Mapping[str, Type], report: Report
) -> None:
    known = {dim for type_ in parameters.values() if isinstance(type_, Array) for dim in type_.dims}
    known |= {name for name, type_ in parameters.items() if type_ == INT}
    for part in parts:
        for dim in part.dims if isinstance(part, Array) else ():
            if isinstance(dim, str) and dim not in known:
                names = [each for each in known if isinstance(each, str)]
                report.error(
                    "E0206",
                    f"the extent `{dim}` of the result comes from no parameter",
                    declaration.result.span,
                    why="the caller could not know it",
                    help=f"use one of {listed(sorted(names))}, a number, or an `int` parameter `{dim}`"
                    if names
                    else f"use a number, or add an `int` parameter `{dim}`",
                )
