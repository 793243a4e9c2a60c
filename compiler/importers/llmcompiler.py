"""Plans of LLMCompiler (Kim et al., ICML 2024) as programs.

A plan is lines `N. tool(arguments)`; `$N` or `${N}` in an argument is the result of step N, and `join()`
hands all results to the model that answers. The order of the lines says nothing: what a step refers to comes
before it. Lines `Thought: ...` are comments, and `<END_OF_PLAN>` ends a plan.
"""

from collections.abc import Sequence

from flowc.compiler.formatter import format_text
from flowc.compiler.formatter.literals import escape
from flowc.compiler.importers.names import free_name
from flowc.compiler.importers.plans import JOIN, REFERENCE, Argument, Step, in_order, read

_ANSWER = '''llm {name}(question: str, findings: list[str]) -> str:
    """
    Answer the question from what was found.

    Question: {{question}}
    Found: {{findings}}
    """
'''


def convert(text: str, path: str) -> str:
    """The program of a plan, formatted. Raises CompileError (E0660 to E0664) with all that is wrong."""
    return format_text(_program(in_order(read(text, path))), path)


def _program(steps: Sequence[Step]) -> str:
    """The text of a program."""
    calls = [step for step in steps if step.tool != JOIN]
    tools = _tools(calls)
    taken = {name for name, _ in tools.values()}
    answer = free_name("answer", taken)
    parts = [
        f"# From a plan of LLMCompiler with {len(calls)} steps.\n"
        "# A plan does not say what its tools do to the world: `reads` is assumed.\n"
    ]
    for name, types in tools.values():
        parameters = ", ".join(f"{_parameter(types, place)}: {type_}" for place, type_ in enumerate(types))
        parts.append(f"tool {name}({parameters}) -> str reads {name}\n")
    joined = len(calls) < len(steps)
    if joined:
        parts.append(_ANSWER.format(name=answer))
    body = [f"    step{step.number} = {_call(step, *tools[step.tool])}" for step in calls]
    results = ", ".join(f"step{step.number}" for step in sorted(calls, key=lambda step: step.number))
    body.append(f"    return {answer}(question, [{results}])" if joined else f"    return [{results}]")
    head = "flow main(question: str) -> str:" if joined else "flow main() -> list[str]:"
    return "\n".join([*parts, head, *body]) + "\n"


def _tools(steps: Sequence[Step]) -> dict[str, tuple[str, list[str]]]:
    """For each tool its name in the program, and the types of its parameters."""
    found: dict[str, list[str]] = {}
    for step in sorted(steps, key=lambda step: step.number):
        types = found.setdefault(step.tool, [])
        for place, argument in enumerate(step.arguments):
            own = _type(argument)
            if place == len(types):
                types.append(own)
            elif types[place] != own:
                types[place] = _wider(types[place], own)
    names: dict[str, tuple[str, list[str]]] = {}
    taken: set[str] = set()
    for tool, types in found.items():
        name = free_name(tool, taken)
        taken.add(name)
        names[tool] = (name, types)
    return names


def _type(argument: Argument) -> str:
    return {str: "str", int: "int", float: "float", tuple: "list[str]"}[type(argument)]


def _wider(one: str, other: str) -> str:
    """The type of a parameter that takes arguments of both."""
    pair = {one, other}
    if "list[str]" in pair:
        return "list[str]"
    return "float" if pair == {"int", "float"} else "str"


def _parameter(types: Sequence[str], place: int) -> str:
    """The name of a parameter: by its type, with a number where there are several of it."""
    words = {"str": "text", "list[str]": "texts", "int": "number", "float": "number"}
    same = [k for k, type_ in enumerate(types) if words[type_] == words[types[place]]]
    return words[types[place]] + ("" if len(same) == 1 else str(same.index(place) + 1))


def _call(step: Step, name: str, types: Sequence[str]) -> str:
    given = [_argument(argument, type_) for argument, type_ in zip(step.arguments, types, strict=False)]
    missing = {"str": '""', "list[str]": "[]", "int": "0", "float": "0.0"}
    given += [missing[type_] for type_ in types[len(given) :]]
    return f"{name}({', '.join(given)})"


def _argument(argument: Argument, type_: str) -> str:
    if type_ == "list[str]":
        parts = argument if isinstance(argument, tuple) else (str(argument),)
        return f"[{', '.join(map(_text, parts))}]"
    if isinstance(argument, int | float) and type_ != "str":
        return repr(float(argument) if type_ == "float" else argument)
    return _text(str(argument))


def _text(text: str) -> str:
    """A text as an expression: a reference alone is a result, inside a text it is a hole."""
    alone = REFERENCE.fullmatch(text)
    if alone is not None:
        return f"step{alone[1] or alone[2]}"
    if not REFERENCE.search(text):
        return f'"{_escaped(text)}"'
    pieces, place = [], 0
    for match in REFERENCE.finditer(text):
        pieces += [_escaped(text[place : match.start()], True), f"{{step{match[1] or match[2]}}}"]
        place = match.end()
    return f'f"{"".join(pieces)}{_escaped(text[place:], True)}"'


def _escaped(text: str, holes: bool = False) -> str:
    """A text as it stands between quotes, with `holes` in a text that has some."""
    escaped = escape(text, '"')
    return escaped.replace("{", "{{").replace("}", "}}") if holes else escaped
