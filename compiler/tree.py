"""The syntax tree as text: a node a line, fields indented. For people; nothing reads it back."""

from collections.abc import Iterable

import attrs

from flowc.compiler.syntax import Program, Span

INDENT = "  "


def tree_text(program: Program) -> str:
    """The tree of a program, without spans and comments."""
    lines: list[str] = []
    pending: list[tuple[int, str, object]] = [(0, "", program)]
    while pending:
        depth, name, value = pending.pop()
        prefix = INDENT * depth + (f"{name}: " if name else "")
        children = [] if _is_leaf(value) else list(_children(value))
        lines.append(prefix + (_leaf_text(value) if not children else type(value).__name__))
        pending.extend((depth + 1, *child) for child in reversed(children))
    return "\n".join(lines) + "\n"


def _is_leaf(value: object) -> bool:
    return not (attrs.has(type(value)) or (isinstance(value, tuple) and any(map(_is_node, value))))


def _is_node(value: object) -> bool:
    return attrs.has(type(value)) or isinstance(value, tuple)


def _leaf_text(value: object) -> str:
    return f"{type(value).__name__}" if attrs.has(type(value)) else repr(value)


def _children(value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, tuple):
        yield from (("", item) for item in value)
        return
    if not attrs.has(kind := type(value)):
        return
    for field in attrs.fields(kind):
        item = getattr(value, field.name)
        if item is not None and item != () and not isinstance(item, Span) and field.name != "comments":
            yield field.name, item
