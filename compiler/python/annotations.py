"""Python annotations as the language's types: dataclasses, attrs classes and named tuples are records."""

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
from attrs import Factory, define, field

from flowc.compiler.python.closures import closure
from flowc.compiler.python.marks import ArrayMark, ElementMark, Label
from flowc.compiler.syntax import Declaration, Dimension, Enum, Field, Record, Span, TypeRef

SCALARS: Mapping[object, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    bytes: "bytes",
    None: "none",
    type(None): "none",
    Any: "json",
    object: "json",
}
"""Python's own types that the language has."""


class Unsupported(Exception):
    """An annotation that says nothing to flowc; the message says what to write instead."""


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function or class as objects; names in strings are looked up where it stands."""
    try:
        return typing.get_type_hints(function, localns=closure(function), include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise Unsupported(f"{error}") from None


def record_fields(class_: type) -> dict[str, Any] | None:
    """The fields of a record class with their annotations, or None when the class is none."""
    if dataclasses.is_dataclass(class_):
        names = [item.name for item in dataclasses.fields(class_)]
    elif attrs.has(class_):
        names = [item.name for item in attrs.fields(class_)]
    elif issubclass(class_, tuple) and hasattr(class_, "_fields"):
        names = list(class_._fields)
    else:
        return None
    annotated = hints(class_)
    return {name: annotated.get(name, Any) for name in names}


@define
class TypeTable:
    """Translates annotations and collects the records and enums that they mention, each once."""

    declarations: dict[str, Declaration] = Factory(dict)
    names: dict[object, str] = field(factory=dict)
    classes: dict[str, type] = field(factory=dict)

    def reference(self, annotation: Any, span: Span) -> TypeRef:
        """The annotation as a type of the language; raises Unsupported."""
        labels: list[str] = []
        while get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            labels = [extra.name for extra in extras if isinstance(extra, Label)] + labels
        found = self._plain(annotation, span)
        return attrs.evolve(found, labels=(*labels, *found.labels)) if labels else found

    def _plain(self, annotation: Any, span: Span) -> TypeRef:
        if isinstance(annotation, ArrayMark):
            return TypeRef(
                annotation.dtype, tuple(Dimension(d, span=span) for d in annotation.dims), span=span
            )
        if isinstance(annotation, ElementMark):
            return TypeRef(annotation.dtype, span=span)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is list and arguments:
            return TypeRef("list", (self.reference(arguments[0], span),), span=span)
        if origin is dict and len(arguments) == 2 and arguments[0] is str:
            key = TypeRef("str", span=span)
            return TypeRef("dict", (key, self.reference(arguments[1], span)), span=span)
        if origin is tuple and arguments and ... not in arguments:
            return TypeRef("tuple", tuple(self.reference(each, span) for each in arguments), span=span)
        if origin is Literal and all(isinstance(item, str) for item in arguments):
            return TypeRef(self._enum(annotation, "_or_".join(arguments), arguments, span), span=span)
        if origin in (Union, types.UnionType):
            return self._optional(arguments, span)
        if isinstance(annotation, type):
            return self._class(annotation, span)
        if annotation in (None, Any):
            return TypeRef(SCALARS[annotation], span=span)
        raise Unsupported(_advice(annotation))

    def _optional(self, arguments: tuple[Any, ...], span: Span) -> TypeRef:
        rest = [item for item in arguments if item is not type(None)]
        if len(rest) != 1 or len(rest) == len(arguments):
            raise Unsupported(
                "a union can only be `T | None`; for more kinds write a dataclass with optional fields"
            )
        return attrs.evolve(self.reference(rest[0], span), optional=True)

    def _class(self, class_: type, span: Span) -> TypeRef:
        if class_ in SCALARS:
            return TypeRef(SCALARS[class_], span=span)
        if issubclass(class_, enum.Enum):
            return TypeRef(self._enum(class_, class_.__name__, tuple(class_.__members__), span), span=span)
        fields = record_fields(class_)
        if fields is None:
            raise Unsupported(_advice(class_))
        if class_ not in self.names:
            name = self._name(class_, class_.__name__)
            self.classes[name] = class_
            items = tuple(Field(key, self.reference(value, span), span=span) for key, value in fields.items())
            self.declarations[name] = Record(name, items, span=span)
        return TypeRef(self.names[class_], span=span)

    def _enum(self, key: object, name: str, members: tuple[str, ...], span: Span) -> str:
        if key not in self.names:
            name = self._name(key, name)
            self.declarations[name] = Enum(name, members, span=span)
            if isinstance(key, type):
                self.classes[name] = key
        return self.names[key]

    def _name(self, key: object, wanted: str) -> str:
        taken, name, number = set(self.names.values()), wanted, 2
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        self.names[key] = name
        return name


def _advice(annotation: Any) -> str:
    name = getattr(annotation, "__name__", None) or str(annotation)
    if "ndarray" in name or "ndarray" in str(annotation):
        return "an array needs its element type and extents: `flowc.f32['n', 384]`"
    if annotation is list or annotation is dict:
        return f"`{name}` needs its element type: `list[str]`, `dict[str, float]`"
    if annotation is tuple or get_origin(annotation) is tuple:
        return "a tuple says the type of each part, as `tuple[int, str]`; of any length is `list[T]`"
    return f"`{name}` is no type of the language; use a scalar, list, dict[str, T], array, dataclass or Enum"
