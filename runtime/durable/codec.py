"""Values as a journal keeps them: JSON that says what it is, large parts beside it under the hash of their
bytes.

A value reads back exactly: numbers to the bit, tuples as tuples, records with their fields, arrays with their
dtype. What is no plain JSON is written as `{"$": [kind, ...]}`; a dict that has a member `$` itself is
written so too, so no text from outside reads back as anything but itself.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.journal.store import address
from flowc.runtime.plan import Json
from flowc.runtime.values import RecordValue, is_array, is_numpy_scalar, record_class, record_fields

INLINE = 1024
"""Bytes up to which a value stands in its record; larger ones are stored once, by their hash."""

KEY = 8
"""Bytes of the hash of a call's arguments: it is compared with one other at most."""

Blobs = list[tuple[bytes, bytes]]
"""Parts to be kept beside a record, each behind its hash."""

_PLAIN = frozenset({str, bool, float, type(None)})
_WHOLE = 1 << 63
"""Whole numbers from here on are written in hexadecimal: JSON's decimal ones take quadratic time."""

_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False)
encode_json: Callable[[Any], str] = _ENCODER.encode
quoted: Callable[[str], str] = encode_basestring_ascii


def packed(value: Any, blobs: Blobs) -> Json:
    """The JSON form of a value; what is large is put with `blobs`, and named by its hash."""
    if type(value) in _PLAIN and (type(value) is not str or len(value) < INLINE):
        return value  # type: ignore[no-any-return]
    written: Json = json.loads(packed_text(value, blobs))
    return written


def packed_text(value: Any, blobs: Blobs) -> str:
    """The same as JSON text."""
    if type(value) is str and len(value) < INLINE:
        return quoted(value)
    text = encode_json(pack(value, blobs))
    if len(text) <= INLINE:
        return text
    content = text.encode("ascii")
    digest = address(content)
    blobs.append((digest, content))
    return f'{{"$":["value","{digest.hex()}"]}}'


def key_of(name: str, inputs: Sequence[Any]) -> str:
    """A short hash of a call: equal for equal arguments, their types included."""
    if _are_plain(inputs):
        content = ascii([name, *inputs]).encode("ascii")  # half the time of JSON
        return hashlib.blake2b(content, digest_size=KEY).hexdigest()
    return fingerprint(name, *inputs).hex()[: 2 * KEY]


def _are_plain(values: Iterable[Any]) -> bool:
    """Whether their texts tell these values apart from all others."""
    for value in values:
        kind = type(value)
        if kind in _PLAIN or (kind is int and -_WHOLE < value < _WHOLE):
            continue
        if kind is not list or not _are_plain(value):
            return False
    return True


def pack(value: Any, blobs: Blobs) -> Json:
    """The JSON form of a value, whole but for the elements of arrays, which are put with `blobs`."""
    kind = type(value)
    if kind in _PLAIN or (kind is int and -_WHOLE < value < _WHOLE):
        return value  # type: ignore[no-any-return]
    if kind is list:
        return [each if type(each) in _PLAIN else pack(each, blobs) for each in value]
    if kind is dict:
        inner = {name: pack(each, blobs) for name, each in value.items()}
        return {"$": ["dict", inner]} if "$" in inner else inner
    return {"$": _tagged(value, blobs)}


def _tagged(value: Any, blobs: Blobs) -> list[Json]:
    if isinstance(value, tuple):
        return ["tuple", [pack(each, blobs) for each in value]]
    if isinstance(value, RecordValue):
        fields = record_fields(value)
        return ["record", type(value).__name__, list(fields), [pack(each, blobs) for each in fields.values()]]
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value).decode("ascii")]
    if is_array(value):
        content = value.tobytes()
        digest = address(content)
        blobs.append((digest, content))
        return ["array", value.dtype.name, list(value.shape), digest.hex()]
    if is_numpy_scalar(value):
        return ["number", value.dtype.name, base64.b64encode(value.tobytes()).decode("ascii")]
    if type(value) is int:
        return ["whole", hex(value)]
    if isinstance(value, list):  # a subclass, as tools may give
        return ["list", pack(list(value), blobs)]
    if isinstance(value, str):
        return ["plain", str.__str__(value)]
    if isinstance(value, int | float):
        return ["plain", int(value) if isinstance(value, int) else float(value)]
    if isinstance(value, dict):
        return ["dict", {str(name): pack(each, blobs) for name, each in value.items()}]
    raise TypeError(f"a {type(value).__name__} is no value of a program")


def unpacked(written: Json, blob: Callable[[bytes], bytes]) -> Any:
    """The value that was written so; `blob` gives the bytes of a part by its hash."""
    kind = type(written)
    if kind in _PLAIN or kind is int:
        return written
    if kind is list:
        return [each if type(each) in _PLAIN else unpacked(each, blob) for each in written]  # type: ignore[union-attr]
    assert isinstance(written, dict)
    if "$" not in written:
        return {name: unpacked(each, blob) for name, each in written.items()}
    tag: Any = written["$"]
    return _UNTAG[tag[0]](tag, blob)


def _dtype(name: str) -> Any:
    import numpy

    return numpy_dtype("bf16") if name == "bfloat16" else numpy.dtype(name)


def _array(tag: list[Any], blob: Callable[[bytes], bytes]) -> Any:
    import numpy

    _, dtype, shape, digest = tag
    return numpy.frombuffer(blob(bytes.fromhex(digest)), dtype=_dtype(dtype)).reshape(shape).copy()


def _number(tag: list[Any], blob: Callable[[bytes], bytes]) -> Any:
    import numpy

    return numpy.frombuffer(base64.b64decode(tag[2]), dtype=_dtype(tag[1]))[0]


def _record(tag: list[Any], blob: Callable[[bytes], bytes]) -> Any:
    _, name, fields, values = tag
    return record_class(name, tuple(fields))(*[unpacked(each, blob) for each in values])


_UNTAG: dict[str, Callable[[list[Any], Callable[[bytes], bytes]], Any]] = {
    "value": lambda tag, blob: unpacked(json.loads(blob(bytes.fromhex(tag[1]))), blob),
    "dict": lambda tag, blob: {name: unpacked(each, blob) for name, each in tag[1].items()},
    "tuple": lambda tag, blob: tuple([unpacked(each, blob) for each in tag[1]]),
    "list": lambda tag, blob: unpacked(tag[1], blob),
    "plain": lambda tag, blob: tag[1],
    "whole": lambda tag, blob: int(tag[1], 16),
    "record": _record,
    "bytes": lambda tag, blob: base64.b64decode(tag[1]),
    "array": _array,
    "number": _number,
}
