"""Texts with `{{ name }}` and `{{ name.field }}` in them."""

import re
from collections.abc import Iterable, Mapping

from attrs import frozen

from flowc.compiler.diagnostics.model import Diagnostic, Label
from flowc.compiler.importers.yaml_nodes import Node
from flowc.compiler.syntax import Span

_HOLE = re.compile(r"\{\{(?P<inside>[^{}]{0,400})\}\}|\{%[^%]{0,400}%\}")
_PATH = re.compile(r"\s*([^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*")


@frozen
class Reference:
    """`name`, or `name.field`."""

    name: str
    fields: tuple[str, ...] = ()


Part = str | Reference


def parts(text: str, span: Span, found: list[Diagnostic]) -> tuple[Part, ...]:
    """Texts and references in order; E0669 in `found` for what is neither.

    >>> parts("year {{ p.year }}.", Span(1, 1, 1, 2), [])
    ('year ', Reference(name='p', fields=('year',)), '.')
    """
    pieces: list[Part] = []
    place = 0
    for match in _HOLE.finditer(text):
        path = _PATH.fullmatch(match["inside"] or "")
        if path is None:
            found.append(
                Diagnostic(
                    "E0669",
                    f"`{match[0][:60]}` is no name",
                    (Label(span),),
                    why="a template holds `{{ name }}` and `{{ name.field }}`, and nothing that computes",
                    help="let a node of its own compute the value",
                )
            )
            continue
        name, *fields = path[1].split(".")
        if match.start() > place:
            pieces.append(text[place : match.start()])
        pieces.append(Reference(name, tuple(fields)))
        place = match.end()
    if place < len(text):
        pieces.append(text[place:])
    return tuple(pieces)


def references(node: Node, found: list[Diagnostic]) -> list[Reference]:
    """What a value refers to, all inside it included."""
    if isinstance(node.value, str):
        return [part for part in parts(node.value, node.span, found) if isinstance(part, Reference)]
    inner: Iterable[Node] = node.value.values() if isinstance(node.value, Mapping) else ()
    inner = node.value if isinstance(node.value, tuple) else inner
    return [reference for each in inner for reference in references(each, found)]
