"""Values of a run as the Python program knows them: records as its dataclasses, enum members as its enum's.

The other direction needs nothing of its own: the runtime takes any object with a record's attributes.
"""

import enum
import functools
import inspect
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from flowc.compiler.python.annotations import hints, record_fields

Converter = Callable[[Any], Any]


def converter(annotation: Any) -> Converter | None:
    """The function that turns a run's value into one of `annotation`, or None where they are the same."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list and arguments:
        return _mapped(converter(arguments[0]), _list)
    if origin is dict and len(arguments) == 2:
        return _mapped(converter(arguments[1]), _dict)
    if origin is tuple and ... not in arguments:
        parts = [converter(each) for each in arguments]
        return functools.partial(_tuple, parts) if any(parts) else None
    if origin in (Union, types.UnionType):
        rest = [item for item in arguments if item is not type(None)]
        return _mapped(converter(rest[0]), _optional) if rest else None
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return functools.partial(_member, annotation)
    if isinstance(annotation, type) and annotation.__module__ != "builtins":
        return functools.partial(_record, annotation) if record_fields(annotation) is not None else None
    return None


def _mapped(inner: Converter | None, over: Callable[[Converter, Any], Any]) -> Converter | None:
    return None if inner is None else functools.partial(over, inner)


def _list(convert: Converter, value: Any) -> Any:
    return [convert(item) for item in value]


def _dict(convert: Converter, value: Any) -> Any:
    return {key: convert(item) for key, item in value.items()}


def _tuple(parts: Sequence[Converter | None], value: Any) -> Any:
    pairs = zip(parts, value, strict=True)
    return tuple([item if convert is None else convert(item) for convert, item in pairs])


def _optional(convert: Converter, value: Any) -> Any:
    return None if value is None else convert(value)


def _member(class_: type[enum.Enum], value: Any) -> Any:
    return class_[value]


def _record(class_: type, value: Any) -> Any:
    """Builds the class by keyword; converters of fields are made when first needed: it may hold itself."""
    fields = _field_converters(class_)
    given = {name: getattr(value, name) for name in fields}
    return class_(**{name: item if (f := fields[name]) is None else f(item) for name, item in given.items()})


@functools.lru_cache(maxsize=1024)
def _field_converters(class_: type) -> dict[str, Converter | None]:
    return {name: converter(annotation) for name, annotation in (record_fields(class_) or {}).items()}


def adapted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A tool's function, given its arguments as the classes that it is annotated with."""
    annotations = hints(function)
    names = list(inspect.signature(function).parameters)
    converters = {
        name: found for name in names if (found := converter(annotations.get(name, Any))) is not None
    }
    if not converters:
        return function
    by_position = [converters.get(name) for name in names]

    def prepare(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        placed = [item if (f := by_position[i]) is None else f(item) for i, item in enumerate(arguments)]
        named = {
            name: converters[name](item) if name in converters else item for name, item in keywords.items()
        }
        return placed, named

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waiting(*arguments: Any, **keywords: Any) -> Any:
            placed, named = prepare(arguments, keywords)
            return await function(*placed, **named)

        return waiting

    @functools.wraps(function)
    def calling(*arguments: Any, **keywords: Any) -> Any:
        placed, named = prepare(arguments, keywords)
        return function(*placed, **named)

    return calling
