"""One number seeds all: every case has its own, out of that of the whole, its campaign and its place."""

import hashlib

BITS = 53
"""So many fit every reader of JSON."""


def case_seed(seed: int, campaign: str, number: int) -> int:
    """The seed of a campaign's case; the same again in every process and on every machine."""
    digest = hashlib.sha256(f"{seed}/{campaign}/{number}".encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - BITS)
