"""Constants and texts as the formatter writes them."""

from collections.abc import Callable
from decimal import Decimal

from flowc.compiler.parser.literals import SECONDS, SIZES
from flowc.compiler.syntax import Constant, Expression, Hole, Template

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def constant(node: Constant, quote: str = '"') -> str:
    """The shortest usual spelling of a constant."""
    value = node.value
    match node.kind:
        case "str":
            return string(str(value), quote)
        case "bool":
            return "true" if value else "false"
        case "none":
            return "none"
        case "duration":
            return _duration(Decimal(repr(float(str(value)))))
        case "money":
            return f"${Decimal(str(value)):f}"
        case "size":
            return _size(int(str(value)))
    return repr(value)


def _duration(seconds: Decimal) -> str:
    for unit in ("h", "min", "s", "ms"):
        count = seconds / SECONDS[unit]
        if count and count == count.to_integral_value() and count * SECONDS[unit] == seconds:
            return f"{count.to_integral_value():f}{unit}"
    return f"{seconds:f}s"


def _size(size: int) -> str:
    units = [unit for unit, factor in SIZES.items() if size and size % factor == 0 and unit != "kB"]
    best = min(units, key=lambda unit: size // SIZES[unit], default="B")
    return f"{size // SIZES[best]}{best}"


def string(text: str, quote: str = '"') -> str:
    """A string on one line, in the quotes that need fewer escapes."""
    other = "'" if quote == '"' else '"'
    chosen = other if text.count(quote) > text.count(other) else quote
    return chosen + escape(text, chosen) + chosen


def escape(text: str, quote: str) -> str:
    """The inside of a string on one line."""
    return "".join(_escaped(character, quote) for character in text)


def _escaped(character: str, quote: str) -> str:
    if character == quote:
        return "\\" + quote
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def template(node: Template, expression: Callable[[Expression], str]) -> str:
    """`f"..."` on one line."""
    parts = [
        _braces(escape(part, '"')) if isinstance(part, str) else hole(part, expression) for part in node.parts
    ]
    return 'f"' + "".join(parts) + '"'


def hole(node: Hole, expression: Callable[[Expression], str]) -> str:
    """`{expression}`; a blank keeps a dictionary's brace from meaning a literal brace."""
    text = expression(node.expression)
    return f"{{ {text}}}" if text.startswith("{") else f"{{{text}}}"


def block_string(text: str, indent: int) -> list[str]:
    '''Documentation in `"""`, its lines indented.'''
    return _block([_block_text(text, True, True)] if text else [], indent)


def prompt(node: Template, indent: int, expression: Callable[[Expression], str]) -> list[str]:
    '''A prompt in `"""`: blanks that the parser would drop at its ends are escaped.'''
    last = len(node.parts) - 1
    parts = [
        _braces(_block_text(part, index == 0, index == last))
        if isinstance(part, str)
        else hole(part, expression)
        for index, part in enumerate(node.parts)
    ]
    return _block(parts, indent)


def reindented(raw: str, indent: int) -> list[str]:
    """A prompt as written, already without its indentation."""
    return _block([raw.strip()], indent)


def _block(parts: list[str], indent: int) -> list[str]:
    text = '"""' + "".join(parts)
    closed = text + ("\n" if "\n" in text else "") + '"""'
    return [" " * indent + line if line else "" for line in closed.split("\n")]


def _block_text(text: str, first: bool, last: bool) -> str:
    escaped = "".join(character if character == "\n" else _escaped(character, "") for character in text)
    escaped = escaped.replace('"""', '\\"\\"\\"')
    if first and text[:1].isspace():
        escaped = _blank(text[0]) + escaped[1 if text[0] in " \n" else len(_escaped(text[0], "")) :]
    if last and text[-1:].isspace() and text[-1] in " \n" and not (first and len(text) == 1):
        escaped = escaped[:-1] + _blank(text[-1])
    if last and escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"' if not escaped.endswith('\\"') else escaped
    return escaped


def _blank(character: str) -> str:
    return "\\x20" if character == " " else _escaped(character, "")


def _braces(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
