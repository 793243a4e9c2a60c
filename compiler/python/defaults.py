"""The defaults that a record class has for its fields, which a flow writes out where it builds a record."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from flowc.compiler.python.annotations import record_fields
from flowc.compiler.python.literals import literal
from flowc.compiler.syntax import Argument, Span


def field_defaults(class_: Any) -> Mapping[str, object]:
    """The fields of a dataclass, attrs class or NamedTuple that may be left out, each with its value."""
    if not isinstance(class_, type):
        return {}
    if dataclasses.is_dataclass(class_):
        return {
            item.name: item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
            for item in dataclasses.fields(class_)
            if item.default is not dataclasses.MISSING or item.default_factory in (list, dict)
        }
    if attrs.has(class_):
        made = {item.name: getattr(item.default, "factory", None) for item in attrs.fields(class_)}
        return {
            item.name: factory() if (factory := made[item.name]) in (list, dict) else item.default
            for item in attrs.fields(class_)
            if item.default is not attrs.NOTHING and made[item.name] in (None, list, dict)
        }
    return dict(getattr(class_, "_field_defaults", {})) if issubclass(class_, tuple) else {}


def left_out(class_: object, positional: int, given: Sequence[Argument], span: Span) -> list[Argument]:
    """The arguments that a call of a record class leaves to the class's defaults."""
    defaults = field_defaults(class_)
    if not defaults:
        return []
    assert isinstance(class_, type)
    names = list(record_fields(class_) or ())
    said = {*names[:positional], *(argument.name for argument in given)}
    values = {name: literal(value, span) for name, value in defaults.items() if name not in said}
    return [Argument(name, value, span=span) for name, value in values.items() if value is not None]
