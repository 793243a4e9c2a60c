"""Bodies: the nodes that are plain functions over slots."""

from collections.abc import Callable, Mapping
from typing import Any

from flowc.runtime.plan import Json, Node
from flowc.runtime.scheduler.blocks import Body, Slots
from flowc.runtime.values import record_class


def calling(function: Callable[..., Any], inputs: tuple[int, ...]) -> Body:
    """A body that calls `function` with the values of these slots."""
    match inputs:
        case ():
            return lambda slots: function()
        case (a,):
            return lambda slots: function(slots[a])
        case (a, b):
            return lambda slots: function(slots[a], slots[b])
        case (a, b, c):
            return lambda slots: function(slots[a], slots[b], slots[c])
    return lambda slots: function(*[slots[slot] for slot in inputs])


def record_body(node: Node, fields: tuple[str, ...]) -> Body:
    """record: the values of the fields in order."""
    return calling(record_class(str(node.settings["record"]), fields), node.inputs)


def field_body(node: Node) -> Body:
    """field: of a record, or of a json object."""
    name = str(node.settings["name"])
    (source,) = node.inputs

    def field(slots: Slots) -> Any:
        value = slots[source]
        if isinstance(value, Mapping):
            return value[name]
        if value is None or isinstance(value, str | int | float | bool | list):
            raise KeyError(name)
        return getattr(value, name)

    return field


def list_body(node: Node) -> Body:
    """list: the inputs in order."""
    inputs = node.inputs
    return lambda slots: [slots[slot] for slot in inputs]


def tuple_body(node: Node) -> Body:
    """tuple: the inputs in order."""
    inputs = node.inputs
    return lambda slots: tuple([slots[slot] for slot in inputs])


def dict_body(node: Node) -> Body:
    """dict: the inputs are keys and values in turn."""
    pairs = tuple(zip(node.inputs[::2], node.inputs[1::2], strict=True))
    return lambda slots: {slots[key]: slots[value] for key, value in pairs}


def item_body(node: Node) -> Body:
    """item: an element of a tuple by its fixed index."""
    (source,) = node.inputs
    index = node.settings["index"]
    if not isinstance(index, int):
        raise ValueError(f"the index of an item is {index!r}")
    return lambda slots: slots[source][index]


def text_of(value: Json) -> str:
    """A setting that must be a text."""
    if not isinstance(value, str):
        raise ValueError(f"a text was expected, not {value!r}")
    return value
