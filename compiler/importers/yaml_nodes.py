"""YAML of unknown origin, read with places and limits.

The parser is PyYAML's, asked for events alone: no Python object is ever built from a tag, an alias counts as
much as what it stands for, and nothing is read behind a limit. Scalars are texts, numbers, truth values and
null, as in YAML 1.1; dates stay texts.
"""

import math
from collections.abc import Mapping
from typing import Any

import yaml
from attrs import define, field, frozen

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.syntax import Span
from flowc.runtime.sections import LONGEST

MOST_CHARACTERS = 2**20
MOST_VALUES = 100_000
DEEPEST = 50
_TAGS = "tag:yaml.org,2002:"
_PLAIN = frozenset(_TAGS + name for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@frozen
class Node:
    """A value and where it stands. A mapping has text keys; `values` counts all inside, aliases in full."""

    value: "str | int | float | bool | tuple[Node, ...] | Mapping[str, Node] | None"
    span: Span
    values: int = field(default=1, eq=False)


class _Refused(Exception):
    def __init__(self, title: str, span: Span, why: str = "", help: str = "") -> None:
        super().__init__(title)
        self.diagnostic = Diagnostic("E0665", title, (Label(span),), why=why, help=help)


def read_yaml(text: str, path: str) -> Node:
    """The one document of a text. Raises CompileError E0665 where it cannot be read or passes a limit."""
    source = Source(path, text)
    try:
        if len(text) > MOST_CHARACTERS:
            raise _Refused(f"the file has more than {MOST_CHARACTERS:,} characters", _point(0, 0))
        return _Reader(_LOADER(text)).document()
    except _Refused as refused:
        raise CompileError(source, (refused.diagnostic,)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = _point(mark.line, mark.column) if mark else _point(0, 0)
        problem = _Refused("this is no YAML", span, why=error.problem or "", help="correct the file")
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        span = _point(before.count("\n"), len(before) - before.rfind("\n") - 1)
        problem = _Refused("this character cannot stand in YAML", span, why=error.reason)
    raise CompileError(source, (problem.diagnostic,)) from None


def _point(line: int, column: int) -> Span:
    return Span(line + 1, column + 1, line + 1, column + 2)


def _span(event: Any) -> Span:
    """The first line of what an event covers."""
    start, end = event.start_mark, event.end_mark
    column = end.column if end.line == start.line else start.column + 1
    return Span(start.line + 1, start.column + 1, start.line + 1, max(column, start.column + 1) + 1)


@define
class _Reader:
    """Builds nodes from events, by recursion down to `DEEPEST`."""

    loader: Any
    anchors: dict[str, Node] = field(factory=dict)
    values: int = 0

    def document(self) -> Node:
        self.loader.get_event()
        first = self.loader.get_event()
        if isinstance(first, yaml.StreamEndEvent):
            raise _Refused("the file is empty", _point(0, 0), help="a graph begins with `graph:`")
        node = self.node(self.loader.get_event(), 0)
        self.loader.get_event()
        after = self.loader.get_event()
        if not isinstance(after, yaml.StreamEndEvent):
            raise _Refused("a second document begins here", _span(after), help="keep one document a file")
        return node

    def node(self, event: Any, depth: int) -> Node:
        if depth > DEEPEST:
            raise _Refused(f"this is nested deeper than {DEEPEST} levels", _span(event))
        if isinstance(event, yaml.AliasEvent):
            return self.counted(self.known(event), event)
        if event.tag is not None and event.tag not in _PLAIN and event.tag != "!":
            raise _Refused(
                f"the tag `{event.tag.removeprefix(_TAGS)[:60]}` is not read",
                _span(event),
                why="a tag may ask for any object; a graph needs texts, numbers, lists and mappings",
                help="remove the tag",
            )
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self.scalar(event), _span(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, depth)
        else:
            node = self.mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return self.counted(node, event, alias=False)

    def counted(self, node: Node, event: Any, alias: bool = True) -> Node:
        self.values += node.values if alias else 1
        if self.values > MOST_VALUES:
            raise _Refused(
                f"the file has more than {MOST_VALUES:,} values",
                _span(event),
                why="an alias counts as much as what it stands for" if self.anchors else "",
                help="divide the graph",
            )
        return node

    def known(self, event: Any) -> Node:
        if event.anchor not in self.anchors:
            raise _Refused(
                f"nothing before this is called `&{event.anchor[:60]}`",
                _span(event),
                help="an alias stands for a whole value that was written before it",
            )
        return self.anchors[event.anchor]

    def scalar(self, event: Any) -> str | int | float | bool | None:
        text: str = event.value
        tag = event.tag or self.loader.resolve(yaml.ScalarNode, text, event.implicit)
        try:
            value = self.loader.construct_object(yaml.ScalarNode(tag, text)) if tag in _PLAIN else text
        except (ValueError, LookupError, yaml.YAMLError):  # PyYAML looks up `maybe` of `!!bool maybe`
            return text
        usual = not isinstance(value, float) or math.isfinite(value)
        if isinstance(value, int):
            usual = abs(value) < LONGEST  # a longer one, which may be written `0xff`, cannot even be shown
        return value if usual and isinstance(value, str | int | float | bool | None) else text

    def sequence(self, start: Any, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := self.loader.get_event(), yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        return Node(tuple(items), _span(start), 1 + sum(item.values for item in items))

    def mapping(self, start: Any, depth: int) -> Node:
        found: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := self.loader.get_event(), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(self.loader.get_event(), depth + 1)
            if isinstance(key.value, tuple | Mapping):
                raise _Refused("a key must be a text", key.span)
            name = str(key.value)
            if name == "<<":
                merged |= {key: each for key, each in _merged(value).items() if key not in merged}
            elif name in found:
                raise _Refused(f"the key `{name[:60]}` stands twice", key.span, help="keep one of the two")
            else:
                found[name] = value
        whole = {**merged, **found}
        return Node(whole, _span(start), 1 + sum(1 + item.values for item in whole.values()))


def _merged(node: Node) -> Mapping[str, Node]:
    """What `<<: *base` brings in: a mapping, or several of which the first wins."""
    if isinstance(node.value, Mapping):
        return node.value
    found: dict[str, Node] = {}
    for each in node.value if isinstance(node.value, tuple) else ():
        if isinstance(each.value, Mapping):
            found = {**each.value, **found}
    return found
