"""Python annotations beside declared types: whether they can mean the same."""

import ast

from flowc.runtime.types import (
    NUMERIC,
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

_SEQUENCES = ("list", "List", "Sequence", "Iterable", "Collection", "MutableSequence", "tuple", "Tuple")
_MAPPINGS = ("dict", "Dict", "Mapping", "MutableMapping")
_PLAIN = ("str", "int", "float", "bool", "bytes", "None")
_ALLOWED = {
    "str": ("str",),
    "int": ("int", "float"),
    "float": ("float",),
    "bool": ("bool",),
    "bytes": ("bytes",),
    "none": ("None",),
}


def show(annotation: ast.expr | None) -> str:
    """An annotation as Python writes it."""
    return "" if annotation is None else ast.unparse(annotation)


def accepts(annotation: ast.expr | None, type_: Type) -> bool:
    """Whether an annotation can stand for a declared type. What is not known for certain is accepted."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return True
    if annotation is None:
        return True
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _accepts_union([annotation.left, annotation.right], type_)
    name = _name(annotation)
    arguments = _arguments(annotation)
    if name in ("Optional", "Union") and arguments:
        extra: list[ast.expr] = [ast.Constant(None)] if name == "Optional" else []
        return _accepts_union([*arguments, *extra], type_)
    if name == "Annotated" and arguments:
        return accepts(arguments[0], type_)
    if isinstance(type_, Optional):
        return name == "None" or accepts(annotation, type_.inner)
    return _accepts_plain(name, arguments, type_)


def _accepts_union(parts: list[ast.expr], type_: Type) -> bool:
    if isinstance(type_, Optional):
        return any(accepts(part, type_.inner) for part in parts)
    return any(accepts(part, type_) for part in parts)


def _name(annotation: ast.expr) -> str:
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
        case ast.Constant(value=None):
            return "None"
    return ""


def _arguments(annotation: ast.expr) -> list[ast.expr]:
    if not isinstance(annotation, ast.Subscript):
        return []
    inner = annotation.slice
    return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]


def _accepts_plain(name: str, arguments: list[ast.expr], type_: Type) -> bool:
    known = name in _PLAIN or name in _SEQUENCES or name in _MAPPINGS
    if not known:
        return True
    match type_:
        case Scalar(kind) if kind in _ALLOWED:
            return name in _ALLOWED[kind]
        case Scalar(kind) if kind in NUMERIC:
            return name in ("int", "float")
        case List(element):
            first = arguments[0] if arguments else None
            return name in _SEQUENCES and (name in ("tuple", "Tuple") or accepts(first, element))
        case Dict(value):
            last = arguments[1] if len(arguments) == 2 else None
            return name in _MAPPINGS and accepts(last, value)
        case Array():
            return name in _SEQUENCES
        case Record():
            return name in _MAPPINGS
        case Enum():
            return name == "str"
        case Tuple():
            return name in _SEQUENCES
        case PlanOf():
            return name in _MAPPINGS or name in _SEQUENCES
    return True
