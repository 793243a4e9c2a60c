"""Inputs made of others: by bytes, by words, by the members of JSON."""

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from tests.fuzz.contract import LARGEST, Mutate

NUMBERS = (
    "0", "-0", "-1", "1", "2", "255", "256", "65535", "2147483647", "2147483648", "-2147483649",
    "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551616", "0.0", "-0.0", "1e308", "1e309", "-1e309", "1e-400", "5e-324", "0.1", "1e22",
    "NaN", "nan", "Infinity", "-Infinity", "inf", "1" * 400, "9" * 4400, "0x7fffffffffffffff", "1_000", "00",
    "0x" + "f" * 5000, "0b1", "1e", ".5", "5.",
)  # fmt: skip
"""Numbers at an end of something, and what almost are some."""

TEXTS = (
    "", " ", "\0", "\n", "\r\n", "\t", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\u202e", "\U0001f600",
    "\ud800",
    "\udc80", "\uffff", "e\u0301", "\u0130", "\u00df", "\u0661", "\u00b2", "..", "/", "../../x", "C:\\x",
    "%s",
    "%n", "{}", "{0}", "{x.y}", "$1", "${1}", "null", "none", "true", "__class__", "__proto__", "$", "$bytes",
    "=", "'", '"', '"""', "\\", "\\u0000", "\\ud800", "```", "data:", "a" * 300, "\u00e9" * 130,
)  # fmt: skip
"""Texts that mean something somewhere."""

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 0.0, -0.0, 1e308, 5e-324,
    float("nan"), float("inf"), -float("inf"), [], {}, [[]], {"": {}}, [None], [0, 0], {"a": 1},
)  # fmt: skip
LARGE = 10**300
_NUMBER = re.compile(rb"-?[0-9][0-9_.]*(?:[eE][+-]?[0-9]+)?")
_OPENING = (b"(", b"[", b"{", b"<", b"[{", b'{"a":', b"-", b"not ", b"- ", b"a.", b"f(", b"&a [", b"if x:\n ")
_WORD = re.compile(rb"[A-Za-z_]+|[0-9]+|\s+|[^A-Za-z0-9_\s]")

Edit = Callable[[Random, bytearray, Sequence[bytes]], None]


def by_bytes(chance: Random, corpus: Sequence[bytes]) -> bytes:
    """A few edits of one input that know nothing of its form."""
    return _edited(chance, corpus, _BYTES)


def by_words(*words: str) -> Mutate:
    """Edits that know words, numbers and texts; most are of words, the rest of bytes."""
    spoken = [word.encode("utf-8", "surrogatepass") for word in (*words, *TEXTS)]
    edits = (*_BYTES, *[partial(_word, words=spoken)] * 4, *[_number] * 2, _deeper, _lines, _swapped)
    return partial(_edited, edits=edits)


def by_json(*words: str) -> Mutate:
    """Edits of the values of a JSON text, or of JSON lines; now and then of its letters."""
    spelled = by_words(*words, "{", "}", "[", "]", ":", ",", '"', '\\"', "null", "true", "false")

    def mutated(chance: Random, corpus: Sequence[bytes]) -> bytes:
        if chance.random() < 0.3:
            return spelled(chance, corpus)
        lines = chance.choice(corpus).split(b"\n")
        at = chance.randrange(len(lines))
        try:
            value = [json.loads(lines[at])]
        except (ValueError, RecursionError):
            try:
                value, lines, at = [json.loads(b"\n".join(lines))], [b""], 0
            except (ValueError, RecursionError):
                return spelled(chance, corpus)
        try:
            for _ in range(_count(chance)):
                change(chance, value, words)
            written = json.dumps(value[0], ensure_ascii=chance.random() < 0.8)
        except (RecursionError, ValueError):  # too deep to be written, or of too many digits
            return spelled(chance, corpus)
        lines[at] = written.encode("utf-8", "surrogatepass")
        made = b"\n".join(lines)
        return spelled(chance, [made]) if chance.random() < 0.15 else made[: 4 * LARGEST]

    return mutated


def change(chance: Random, root: list[Any], words: Sequence[str] = ()) -> None:
    """Changes one member of what is in `root`, in place."""
    places = list(_places(root))
    holder, key = chance.choice(places)
    draw = chance.random()
    if draw < 0.45:
        holder[key] = _value(chance, words)
    elif draw < 0.6:
        other, place = chance.choice(places)
        holder[key] = json.loads(json.dumps(other[place]))  # a copy, for there must be no rings
    elif draw < 0.7 and holder is not root:
        del holder[key]
    elif draw < 0.8 and isinstance(holder, dict):
        name = chance.choice(words) if words and chance.random() < 0.7 else chance.choice(TEXTS)
        holder[name] = holder[key]
    elif draw < 0.9 and isinstance(holder[key], str):
        holder[key] = _text(chance, holder[key], words)
    elif draw < 0.93:
        for _ in range(chance.choice((1, 3, 60, 250))):
            holder[key] = [holder[key]] if chance.random() < 0.5 else {"a": holder[key]}
    elif isinstance(holder, list) and holder is not root:
        holder.insert(chance.randrange(len(holder) + 1), holder[key])
        holder[:] = json.loads(json.dumps(holder))
    else:
        holder[key] = _near(chance, holder[key])


def _places(root: list[Any]) -> "list[tuple[Any, Any]]":
    found: list[tuple[Any, Any]] = []
    left: list[Any] = [root]
    while left and len(found) < 4000:
        holder = left.pop()
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], list | dict):
                left.append(holder[key])
    return found


def _value(chance: Random, words: Sequence[str]) -> Any:
    draw = chance.random()
    if draw < 0.5:
        return json.loads(json.dumps(chance.choice(_VALUES)))
    return chance.choice(words) if words and draw < 0.75 else chance.choice(TEXTS)


def _text(chance: Random, text: str, words: Sequence[str]) -> str:
    at = chance.randrange(len(text) + 1)
    piece = chance.choice(words) if words and chance.random() < 0.3 else chance.choice(TEXTS)
    return text[:at] + piece + text[at + chance.randrange(3) :]


def _near(chance: Random, value: Any) -> Any:
    """A value almost like it: one more, the same of another type."""
    if isinstance(value, bool) or value is None:
        return int(bool(value))
    if isinstance(value, int):
        as_float = float(min(max(value, -LARGE), LARGE))
        return chance.choice((value + 1, value - 1, -value, as_float, str(value)[:50]))
    if isinstance(value, float):
        return chance.choice((-value, value * 1e300, str(value)))
    return [value] if isinstance(value, str) else str(value)[:50]


def _count(chance: Random) -> int:
    count = 1
    while count < 8 and chance.random() < 0.5:
        count += 1
    return count


def _edited(chance: Random, corpus: Sequence[bytes], edits: Sequence[Edit]) -> bytes:
    whole = chance.choice(corpus)
    data = bytearray(whole)
    for _ in range(_count(chance)):
        chance.choice(edits)(chance, data, corpus)
    return bytes(data[: max(LARGEST, len(whole))])


def _span(chance: Random, data: bytearray, most: int = 64) -> slice:
    start = chance.randrange(len(data) + 1)
    return slice(start, start + chance.randrange(1, most if chance.random() < 0.9 else len(data) + 2))


def _flip(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 1, 10, 32, 34, 92, 127, 128, 192, 237, 255))


def _drop(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    del data[_span(chance, data)]


def _double(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    piece = bytes(data[_span(chance, data)])
    times = chance.choice((1, 1, 2, 50)) if len(piece) < 100 else 1
    at = chance.randrange(len(data) + 1)
    data[at:at] = piece * times


def _splice(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    other = bytearray(chance.choice(corpus))
    data[_span(chance, data)] = other[_span(chance, other, 200)]


def _swapped(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    parts = _WORD.findall(bytes(data[:LARGEST]))
    if len(parts) > 1:
        one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        parts[one], parts[other] = parts[other], parts[one]
        data[:] = b"".join(parts)


def _word(chance: Random, data: bytearray, corpus: Sequence[bytes], words: Sequence[bytes]) -> None:
    """Puts a word beside, or in the place of, another one."""
    at = chance.randrange(len(data) + 1)
    found = _WORD.search(data, at)
    place = slice(at, at) if found is None or chance.random() < 0.5 else slice(*found.span())
    data[place] = chance.choice(words)


def _number(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    found = _NUMBER.search(data, chance.randrange(len(data) + 1)) or _NUMBER.search(data)
    if found is not None:
        data[slice(*found.span())] = chance.choice(NUMBERS).encode()


def _deeper(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.choice(_OPENING) * chance.choice((2, 30, 120, 300, 1100, 3000))


def _lines(chance: Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    """Moves, leaves out or indents a line."""
    lines = bytes(data).split(b"\n")
    at = chance.randrange(len(lines))
    line = lines.pop(at)
    if chance.random() < 0.7:
        lines.insert(chance.randrange(len(lines) + 1), chance.choice((b"", b" ", b"    ", b"\t")) + line)
    data[:] = b"\n".join(lines)


_BYTES: tuple[Edit, ...] = (_flip, _set, _drop, _double, _splice)
