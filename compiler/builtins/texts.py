"""Built-ins over texts."""

from flowc.compiler.builtins.arguments import want_list
from flowc.compiler.builtins.model import (
    Builtin,
    Given,
    Outcome,
    Parameter,
    Rule,
    RuleError,
    optional,
    required,
)
from flowc.runtime.types import BOOL, INT, STR, List, Type, text

GROUP = "Texts"
_TEXT = required("text", STR)


def _gives(name: str, result: Type) -> Rule:
    def rule(given: Given) -> Outcome:
        return Outcome(result, "apply", name)

    return rule


def _join(given: Given) -> Outcome:
    element, coercions = want_list(given, "join", 1)
    if given.join(element, STR) != STR:
        hint = f"`join({'separator'}, [str(x) for x in xs])`"
        raise RuleError(
            "E0105", f"`join` takes a list of `str`, not of `{text(element)}`", help=hint, argument=1
        )
    return Outcome(STR, "apply", "join", coercions=coercions)


def _row(name: str, result: Type, documentation: str, *parameters: Parameter) -> Builtin:
    return Builtin(name, (_TEXT, *parameters), _gives(name, result), documentation, GROUP, method=True)


_PART = required("part", STR)

BUILTINS = (
    _row("lower", STR, "In small letters."),
    _row("upper", STR, "In capital letters."),
    _row("strip", STR, "Without white space, or without the given characters, at both ends.",
         optional("characters", None, STR)),
    _row("split", List(STR), "The parts between separators; between runs of white space when none is given.",
         optional("separator", None, STR)),
    _row("lines", List(STR), "The lines, without their ends."),
    _row("sentences", List(STR), "The sentences: each ends in `.`, `!` or `?` with white space behind, or"
         " with its line. Without white space around them, and without empty ones."),
    _row("replace", STR, "With every `old` replaced by `new`.", required("old", STR), required("new", STR)),
    _row("startswith", BOOL, "Whether the text begins with `part`.", _PART),
    _row("endswith", BOOL, "Whether the text ends with `part`.", _PART),
    _row("find", INT, "The position of the first `part`, -1 if there is none.", _PART),
    Builtin("join", (required("separator", STR), required("parts")), _join,
            'The texts of a list with the separator between them: `", ".join(names)`.', GROUP, method=True),
)  # fmt: skip
