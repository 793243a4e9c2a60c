"""What constants mean: numbers with their units, and strings with their escapes."""

import re
from decimal import Context, Decimal
from typing import Literal

from flowc.compiler.parser import limits
from flowc.compiler.parser.problem import SyntaxProblem, problem
from flowc.compiler.syntax import Constant, Span

Kind = Literal["int", "float", "duration", "money", "size"]

_EXACT = Context(prec=limits.MAX_DIGITS + 20)
"""The usual one rounds to 28 digits."""
SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "min": Decimal(60), "h": Decimal(3600)}
SIZES = {"B": 1} | {
    prefix + unit: base**power
    for unit, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate(("K" if base == 1024 else "k", "M", "G", "T"), start=1)
}
SIZES["KB"] = 1000

_DECIMAL = re.compile(
    r"(?P<digits>\d++(?:_\d++)*(?P<fraction>\.\d++(?:_\d++)*)?)(?P<exponent>[eE][+-]?\d++)?(?P<unit>[A-Za-z]*+)"
)
_RADIX = re.compile(
    r"0[xX](?P<hex>[0-9a-fA-F]++(?:_[0-9a-fA-F]++)*)|0[bB](?P<bin>[01]++(?:_[01]++)*)|0[oO](?P<oct>[0-7]++(?:_[0-7]++)*)"
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[\s\S]?)|\{\{|\}\}")
_SIMPLE = {
    "n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "\n": "", "": "",
}  # fmt: skip


def number(text: str, span: Span) -> Constant:
    """`12`, `0xff`, `1.5e-3`, `30s`, `$0.02`, `2GB`. Raises a SyntaxProblem for anything else."""
    if len(text) > limits.MAX_DIGITS:
        raise _too_many_digits(span)
    if (radix := _RADIX.fullmatch(text)) is not None:
        base = {"hex": 16, "bin": 2, "oct": 8}[str(radix.lastgroup)]
        return Constant("int", _bounded(int(radix[str(radix.lastgroup)], base), span), span=span)
    money = text.startswith("$")
    match = _DECIMAL.fullmatch(text[1:] if money else text)
    if match is None:
        raise _bad_number(text, span)
    kind, value = _value(match, money) or _none(text, span)
    return Constant(kind, value, span=span)


def _bounded(value: int, span: Span) -> int:
    if value >= 10**limits.MAX_DIGITS:
        raise _too_many_digits(span)
    return value


def _too_many_digits(span: Span) -> SyntaxProblem:
    return problem(
        "E0044",
        f"a number of more than {limits.MAX_DIGITS:,} digits",
        span,
        help="give large data as arguments (`flowc run --args FILE.json`)",
    )


def _value(match: re.Match[str], money: bool) -> tuple[Kind, int | float | Decimal] | None:
    digits, unit = match["digits"].replace("_", ""), match["unit"]
    if money:
        return None if unit or match["exponent"] else ("money", Decimal(digits))
    if not unit:
        return _plain(digits, match)
    if match["exponent"]:
        return None
    if unit in SECONDS:
        duration = float(_EXACT.multiply(Decimal(digits), SECONDS[unit]))
        return None if duration == float("inf") else ("duration", duration)
    if unit in SIZES:
        size = _EXACT.multiply(Decimal(digits), SIZES[unit])
        return ("size", int(size)) if size == int(size) else None
    return None


def _plain(digits: str, match: re.Match[str]) -> tuple[Kind, int | float] | None:
    if match["fraction"] or match["exponent"]:
        value = float(digits + (match["exponent"] or ""))
        return None if value in (float("inf"),) else ("float", value)
    return None if len(digits) > 1 and digits[0] == "0" and digits.strip("0") else ("int", int(digits))


def _none(text: str, span: Span) -> tuple[Kind, int | float | Decimal]:
    raise _bad_number(text, span)


def _bad_number(text: str, span: Span) -> SyntaxProblem:
    unit = text.lstrip("$0123456789._")
    if text[:1] == "$":
        help = "money is `$` and digits: `$0.02`"
    elif text[:1] == "0" and text.isdigit():
        help = f"write `{text.lstrip('0')}`, or `0o{text.lstrip('0')}` for an octal number"
    elif unit in SECONDS or unit in SIZES:
        help = "a duration is at most 1e308 s, and a size a whole number of bytes"
    elif unit and text[:2].lower() not in ("0x", "0b", "0o") and unit[:1] not in "eE":
        help = (
            f"`{unit}` is no unit: durations end in ms, s, min or h, sizes in B, KB, MB, GB, KiB, MiB or GiB"
        )
    else:
        help = "numbers look like 12, 1_000, 0xff, 1.5, 1e-6, 30s, $0.02 or 2GB"
    shown = text if len(text) <= 40 else text[:37] + "..."
    return problem("E0005", f"`{shown}` is no number", span, help=help)


def unescape(text: str, line: int, column: int, *, template: bool = False) -> str:
    """Replaces escapes, and in a template the doubled braces.

    `line` and `column` say where the raw text begins, for the complaint about a bad escape.
    """

    def replace(match: re.Match[str]) -> str:
        body = match[1]
        if body is None:
            return match[0][0] if template else match[0]
        if body in _SIMPLE:
            return _SIMPLE[body]
        if len(body) > 1 and not 0xD800 <= (code := int(body[1:], 16)) <= 0xDFFF and code <= 0x10FFFF:
            return chr(code)
        raise _bad_escape(match[0], _place(text, match.start(), line, column, len(match[0])))

    return _ESCAPE.sub(replace, text) if "\\" in text or template else text


def _bad_escape(escape: str, span: Span) -> SyntaxProblem:
    if escape in ("\\{", "\\}"):
        help = f"a brace that is meant as text is written twice: `{escape[1] * 2}`"
    elif escape[1] in "xuU":
        help = "a character by its number: \\xe9, \\u2014 or \\U0001f600"
    else:
        help = "a backslash that is meant as text is written twice: `\\\\`"
    return problem("E0004", f"`{escape}` is no escape", span, help=help)


def _place(text: str, offset: int, line: int, column: int, length: int) -> Span:
    above = text.count("\n", 0, offset)
    if above:
        column = offset - text.rindex("\n", 0, offset)
        return Span(line + above, column, line + above, column + length)
    return Span(line, column + offset, line, column + offset + length)


def dedent(raw: str, indentation: int) -> str:
    """Takes up to `indentation` leading blanks from each line after the first."""
    return re.sub(rf"\n[ \t]{{1,{indentation}}}", "\n", raw) if indentation else raw
