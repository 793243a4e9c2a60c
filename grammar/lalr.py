"""A table-driven LALR(1) parser that calls actions as it reduces, so no tree stands between text and result.

The driver loop is the textbook's (Aho, Lam, Sethi, Ullman, "Compilers", 4.5.3), iterative: its own depth
never depends on the text. Beside each value it keeps the first and last token of the text that the value
stands for, and how many `weighed` actions lie below it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flowc.grammar.tables import Production, Tables
from flowc.grammar.tokens import Token

Action = Callable[[list[Any], Token, Token], Any]
"""Makes a value from the children and the first and last token of the text they stand for."""


_STACK = 20
"""Stack entries for each allowed level: more than any nesting within the limits takes."""


class Unexpected(Exception):
    """A token that the grammar has no place for. `expected` holds the terminals that it has a place for."""

    def __init__(self, token: Token, expected: frozenset[str], values: list[Any]) -> None:
        super().__init__(token.text)
        self.token = token
        self.expected = expected
        self.values = values


class TooDeep(Exception):
    """The text between two tokens has more weighed actions above each other than allowed."""

    def __init__(self, first: Token, last: Token) -> None:
        super().__init__(first.text)
        self.first = first
        self.last = last


def parse(
    tables: Tables,
    next_token: Callable[[Mapping[str, int]], Token],
    actions: Mapping[str, Action],
    weighed: frozenset[str],
    deepest: int,
) -> Any:
    """Runs the parser to the end of the tokens. `next_token` is told what the grammar could take next.

    Raises `Unexpected` or `TooDeep`, and whatever an action or `next_token` raises.
    """
    states = [tables.start]
    values: list[Any] = []
    firsts: list[Token] = []
    lasts: list[Token] = []
    depths: list[int] = []
    productions, gotos = tables.productions, tables.gotos
    token = next_token(tables.actions[tables.start])
    while True:
        step = tables.actions[states[-1]].get(token.kind)
        if step is None:
            raise Unexpected(token, _acceptable(tables, states), values)
        if step >= 0:
            if len(states) > _STACK * deepest:
                raise TooDeep(token, token)
            states.append(step)
            values.append(token)
            firsts.append(token)
            lasts.append(token)
            depths.append(0)
            token = next_token(tables.actions[step])
            continue
        production = productions[-1 - step]
        size = production.size
        if size == 1:
            first, last, depth = firsts.pop(), lasts.pop(), depths.pop()
            children = [values.pop()]
            states.pop()
        elif size:
            first, last = firsts[-size], lasts[-1]
            depth = max(depths[-size:])
            children = values[-size:]
            del states[-size:], values[-size:], firsts[-size:], lasts[-size:], depths[-size:]
        else:
            first, last, depth, children = token, token, 0, []
        if production.action in weighed:
            depth += 1
            if depth > deepest:
                raise TooDeep(first, last)
        values.append(_reduce(production, children, actions, first, last))
        firsts.append(first)
        lasts.append(last)
        depths.append(depth)
        states.append(gotos[states[-1]][production.origin])
        if token.kind == "$END" and states[-1] == tables.end:
            return values[-1]


def _reduce(
    production: Production, children: list[Any], actions: Mapping[str, Action], first: Token, last: Token
) -> Any:
    action = production.action
    if action[:1] == "?":
        if len(production.kept) == 1:
            return children[production.kept[0][0]]
        action = action[1:]
    kept = _keep(production, children)
    return actions[action](kept, first, last) if action else kept


def _keep(production: Production, children: list[Any]) -> list[Any]:
    """The children that count. A leading list is extended in place, so long lists take linear time."""
    kept: list[Any] = []
    for child, splice in production.kept:
        if child < 0:
            kept.append(None)
        elif not splice:
            kept.append(children[child])
        elif kept:
            kept.extend(children[child])
        else:
            kept = children[child]
    return kept


def _acceptable(tables: Tables, states: list[int]) -> frozenset[str]:
    """The terminals that can really come next: a reduction that LALR allows may still lead nowhere."""
    return frozenset(kind for kind in tables.actions[states[-1]] if _leads_to_shift(tables, states, kind))


def _leads_to_shift(tables: Tables, states: list[int], kind: str) -> bool:
    depth, above = len(states), [states[-1]]
    while True:
        step = tables.actions[above[-1]].get(kind)
        if step is None:
            return False
        if step >= 0:
            return True
        production = tables.productions[-1 - step]
        size = production.size
        if size < len(above):
            del above[len(above) - size :]
        else:
            depth -= size - len(above) + 1
            above = [states[depth - 1]]
        above.append(tables.gotos[above[-1]][production.origin])
