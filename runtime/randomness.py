"""Chance under control: seeds that depend on what is asked, never on the order in which it is asked."""

import hashlib


def seed_of(*parts: object) -> int:
    """A number that depends on all of these parts and on nothing else, in any process."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") >> 1
