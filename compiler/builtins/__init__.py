"""The built-in functions, in one table that the checker, the documentation and both front ends read."""

from collections.abc import Mapping

from flowc.compiler.builtins import arrays, collections, irregular, numbers, products, texts
from flowc.compiler.builtins.model import Builtin, Given, Outcome, RuleError

BUILTINS: Mapping[str, Builtin] = {
    row.name: row
    for row in (
        *collections.BUILTINS,
        *texts.BUILTINS,
        *numbers.BUILTINS,
        *arrays.BUILTINS,
        *irregular.BUILTINS,
        *products.BUILTINS,
    )
}
"""Every built-in by name."""

SPECIAL_FORMS: Mapping[str, tuple[str, str]] = {
    "race": ("race(a, b, ...)", "The first of several calls to succeed; the others are cancelled."),
    "vote": (
        "vote(call, max=7, lead=3)",
        "Asks a model until one answer leads by `lead`, at most `max` times.",
    ),
    "execute": ("execute(plan)", "Runs a plan written by a model; gives the results of its steps as json."),
    "sleep": (
        "sleep(time)",
        "Waits for so many seconds, or a duration: `sleep(1h)`. What comes after it waits too.",
    ),
    "endorse": (
        'endorse(value, "why")',
        "Calls an untrusted value trusted; the reason stands in the manifest.",
    ),
    "declassify": (
        'declassify(value, "why")',
        "Calls a secret value public; the reason stands in the manifest.",
    ),
}
"""Special forms: how they are written and what they mean."""

RESERVED = frozenset({
    *(SPECIAL_FORMS.keys() - {"sleep"}),
    "range", "len", "sum", "min", "max", "abs", "sorted", "zip", "enumerate", "any", "all",
    "str", "int", "float", "bool", "f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8",
})  # fmt: skip
"""Names that no declaration takes. A program may declare its own `log` or `sleep`, hiding the built-in."""

OPERATORS: Mapping[str, str] = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "mod", "**": "pow", "@": "matmul",
    "&": "and", "|": "or", "^": "xor",
    "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
}  # fmt: skip
"""The name under which the runtime and the array dialect know an operator."""

__all__ = ["BUILTINS", "OPERATORS", "RESERVED", "SPECIAL_FORMS", "Builtin", "Given", "Outcome", "RuleError"]
