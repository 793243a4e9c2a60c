"""Types as a program writes them, resolved to what they mean, with the labels written on them."""

from collections.abc import Iterable

from attrs import frozen

from flowc.compiler.checker.context import ERROR, World
from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Dimension, Span, TypeRef
from flowc.runtime.types import (
    NUMERIC,
    STR,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    PlanOf,
    Record,
    Scalar,
    Tuple,
    Type,
)

PLAIN = ("str", "int", "float", "bool", "bytes", "none", "json")
TYPE_NAMES = (*PLAIN, *NUMERIC, "list", "dict", "tuple", "plan")
_ARGUMENTS = {
    "list": "list[str]",
    "dict": "dict[str, int]",
    "tuple": "tuple[int, str]",
    "plan": "plan[search]",
}


@frozen
class Annotation:
    """A type with the labels written on it or inside it."""

    type: Type
    labels: frozenset[str]


def resolve_annotation(world: World, report: Report, written: TypeRef) -> Annotation:
    """What a written type means; reports unknown names, wrong arguments and labels."""
    labels: dict[str, Span] = {}
    found = _type(world, report, written, labels)
    return Annotation(found, frozenset(labels))


def _type(world: World, report: Report, written: TypeRef, labels: dict[str, Span]) -> Type:
    own: dict[int, str] = {}
    for label in written.labels:
        chain = next((i for i, names in enumerate(world.chains) if label in names), None)
        if chain is None:
            known = [name for names in world.chains for name in names]
            report.error(
                "E0301",
                f"there is no label `{label}`",
                written.span,
                help=did_you_mean(label, known, f"the labels are {listed(known)}"),
            )
        elif chain in own:
            _two_labels(report, written, own[chain], label)
        else:
            own[chain] = label
            labels[label] = written.span
    found = _bare(world, report, written, labels)
    if not written.optional or found == ERROR:
        return found
    return found if found == Scalar("none") else Optional(found)


def _two_labels(report: Report, written: TypeRef, first: str, second: str) -> None:
    report.error(
        "E0302",
        f"`{first}` and `{second}` exclude each other",
        written.span,
        why="they stand in the same order of labels; a value has one of them",
        help=f"keep one: `{first} {written.name}`",
    )


def _bare(world: World, report: Report, written: TypeRef, labels: dict[str, Span]) -> Type:
    name, arguments = written.name, written.arguments
    if name in NUMERIC or (name == "bool" and arguments):
        return _numeric(report, written)
    if name in PLAIN:
        if arguments:
            _wrong_arguments(report, written, f"`{name}` takes no arguments")
        return Scalar(name)
    if name in _ARGUMENTS:
        return _generic(world, report, written, labels)
    if name in world.records or name in world.enums:
        if arguments:
            _wrong_arguments(report, written, f"`{name}` takes no arguments")
        return Record(name) if name in world.records else Enum(name)
    if name not in world.broken:
        _unknown_type(world, report, written)
    return ERROR


def _numeric(report: Report, written: TypeRef) -> Type:
    dims = tuple(each.extent for each in written.arguments if isinstance(each, Dimension))
    if len(dims) != len(written.arguments):
        _wrong_arguments(
            report, written, f"the extents of `{written.name}` are numbers and names", "`f32[n, 384]`"
        )
        return ERROR
    if any(isinstance(extent, int) and extent < 0 for extent in dims):
        _wrong_arguments(report, written, "an extent is not negative")
    return Array(written.name, dims) if dims else Scalar(written.name)


def _generic(world: World, report: Report, written: TypeRef, labels: dict[str, Span]) -> Type:
    name = written.name
    arguments = [each for each in written.arguments if isinstance(each, TypeRef)]
    counts = {"list": (1,), "dict": (2,)}.get(name)
    fine = len(arguments) == len(written.arguments) and len(arguments) > 0
    if not fine or (counts is not None and len(arguments) not in counts):
        _wrong_arguments(report, written, f"`{name}` says what it holds", f"`{_ARGUMENTS[name]}`")
        return ERROR
    if name == "plan":
        return _plan(world, report, arguments)
    types = [_type(world, report, each, labels) for each in arguments]
    if name == "list":
        return ERROR if types[0] == ERROR else List(types[0])
    if name == "tuple":
        return ERROR if ERROR in types else Tuple(tuple(types))
    if types[0] not in (STR, ERROR):
        _wrong_arguments(report, written, "the keys of a dict are `str`", f"`dict[str, {arguments[1].name}]`")
    return ERROR if types[1] == ERROR else Dict(types[1])


def _plan(world: World, report: Report, tools: Iterable[TypeRef]) -> Type:
    names = []
    for tool in tools:
        if tool.name not in world.tools:
            report.error(
                "E0102",
                f"`{tool.name}` is no tool that a plan can call",
                tool.span,
                help=did_you_mean(tool.name, world.tools, f"declare it: `tool {tool.name}(...) -> ... pure`"),
            )
        names.append(tool.name)
    return PlanOf(tuple(names))


def _wrong_arguments(report: Report, written: TypeRef, message: str, example: str = "") -> None:
    report.error("E0136", message, written.span, help=f"as in {example}" if example else "")


_FOREIGN = {
    "string": "str", "String": "str", "integer": "int", "boolean": "bool", "double": "float", "void": "none",
    "None": "none", "object": "json", "Any": "json", "any": "json", "array": "list", "List": "list",
    "Dict": "dict", "map": "dict", "float32": "f32", "float64": "f64", "float16": "f16", "int64": "i64",
    "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "u8", "byte": "u8", "bfloat16": "bf16",
    "number": "float", "text": "str", "set": "list", "Optional": "T?", "Literal": "enum",
}  # fmt: skip


def _unknown_type(world: World, report: Report, written: TypeRef) -> None:
    known = () if report.is_full else (*TYPE_NAMES, *world.records, *world.enums)
    name = written.name
    kind = f"`{name}` is a tool" if name in world.tools else ""
    meant = _FOREIGN.get(name)
    hint = (
        f"here it is called `{meant}`"
        if meant
        else did_you_mean(name, known, f"declare it: `record {name}:`")
    )
    report.error("E0102", f"there is no type `{name}`", written.span, "not a type", why=kind, help=hint)
