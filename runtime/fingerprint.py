"""A short key for values: the same for equal values, and for others different for all practical purposes."""

import hashlib
from typing import Any

from flowc.runtime.values import RecordValue, is_array, is_numpy_scalar, record_fields

SIZE = 16
"""Bytes of a key: two different values meet in one once in 2**64 pairs."""


def fingerprint(*values: object) -> bytes:
    """The key of these values, types included: `1`, `1.0`, `"1"` and `true` have four different ones. So have
    dicts with the same members in another order, since `keys` tells them apart."""
    digest = hashlib.blake2b(digest_size=SIZE)
    for value in values:
        _feed(digest, value)
    return digest.digest()


def _feed(digest: Any, value: object) -> None:
    """Each part says what it is and how long it is, so that no two sequences of parts read the same."""
    if isinstance(value, str):
        _part(digest, b"s", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        _part(digest, b"b", value)
    elif isinstance(value, list | tuple):
        digest.update(b"l%d;" % len(value))
        for item in value:
            _feed(digest, item)
    elif isinstance(value, dict):
        digest.update(b"d%d;" % len(value))
        for name, item in value.items():
            _feed(digest, name)
            _feed(digest, item)
    elif isinstance(value, RecordValue):
        digest.update(b"r")
        _feed(digest, type(value).__name__)
        _feed(digest, record_fields(value))
    elif is_array(value):
        _part(digest, b"a", repr((value.shape, value.dtype.str)).encode())
        digest.update(value.tobytes())
    elif is_numpy_scalar(value):
        _part(digest, b"n", value.dtype.str.encode())
        digest.update(value.tobytes())
    else:
        shown = hex(value) if isinstance(value, int) else repr(value)  # `repr` refuses long whole numbers
        _part(digest, b"o", f"{type(value).__name__}:{shown}".encode())


def _part(digest: Any, kind: bytes, content: bytes) -> None:
    digest.update(b"%s%d;" % (kind, len(content)))
    digest.update(content)
