"""Builds the LALR tables of `flow.lark` with Lark. Only `python -m flowc.grammar` and a test come here."""

import json
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import NonTerminal, Rule, Terminal

from flowc.grammar.tables import TABLES_FILE

GRAMMAR_FILE = Path(__file__).with_name("flow.lark")


def generate() -> dict[str, Any]:
    """The tables as JSON data; see `Tables` for what the parts mean."""
    lark = Lark(
        GRAMMAR_FILE.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="basic",
        start="program",
        maybe_placeholders=True,
        keep_all_tokens=False,
    )
    patterns = {terminal.name: str(terminal.pattern.value) for terminal in lark.terminals}
    kinds = {
        terminal.name: str(terminal.pattern.value) if terminal.pattern.type == "str" else terminal.name
        for terminal in lark.terminals
    }
    table = lark.parser.parser._parse_table
    order = _order(table.states, table.start_states["program"])
    rules: dict[Rule, int] = {}
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for state in order:
        actions.append({})
        gotos.append({})
        for symbol, (action, argument) in sorted(table.states[state].items()):
            terminal = symbol.isupper()
            number = order[argument] if _shifts(action) else -1 - rules.setdefault(argument, len(rules))
            (actions if terminal else gotos)[-1][kinds.get(symbol, symbol)] = number
    return {
        "start": order[table.start_states["program"]],
        "end": order[table.end_states["program"]],
        "name": patterns["NAME"],
        "number": patterns["NUMBER"],
        "rules": [_rule(rule) for rule in rules],
        "actions": actions,
        "gotos": gotos,
    }


def _order(states: dict[int, dict[str, Any]], start: int) -> dict[int, int]:
    """Numbers the states breadth first, so that the same grammar always gives the same file."""
    order = {start: 0}
    for state in (queue := [start]):
        for _, (action, argument) in sorted(states[state].items(), key=lambda entry: entry[0]):
            if _shifts(action) and argument not in order:
                order[argument] = len(order)
                queue.append(argument)
    return order


def _shifts(action: object) -> bool:
    return str(action) == "Shift"


def _rule(rule: Rule) -> list[Any]:
    """One rule as [origin, size, action, kept]: kept holds [child or -1 for None, whether to splice it]."""
    kept: list[list[int]] = []
    gaps = _gaps(rule)
    for index, symbol in enumerate(rule.expansion):
        kept += [[-1, 0]] * gaps[index]
        if isinstance(symbol, NonTerminal):
            kept.append([index, int(symbol.name.startswith("_"))])
        elif isinstance(symbol, Terminal) and (rule.options.keep_all_tokens or not symbol.filter_out):
            kept.append([index, 0])
    kept += [[-1, 0]] * gaps[len(rule.expansion)]
    name = str(rule.origin.name)
    action = rule.alias or ("" if name.startswith("_") else "?" + name if rule.options.expand1 else name)
    return [name, len(rule.expansion), action, kept]


def _gaps(rule: Rule) -> list[int]:
    """How many absent optional children stand before each symbol, and after the last."""
    flags = "".join(str(int(absent)) for absent in rule.options.empty_indices)
    return [len(ones) for ones in flags.split("0")] if flags else [0] * (len(rule.expansion) + 1)


def write() -> None:
    """Writes the tables file beside the grammar, one state a line."""
    TABLES_FILE.write_text(to_text(generate()), encoding="utf-8")


def to_text(data: dict[str, Any]) -> str:
    """The tables file's text: small enough to read fast, broken where a diff is worth reading."""
    parts = []
    for key, value in data.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in value)
            parts.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
