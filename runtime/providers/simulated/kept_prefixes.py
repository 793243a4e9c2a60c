"""What a hosted model keeps of the beginnings of prompts, where flowc.toml says that it has a `prefix_cache`.

A model with a simulated server has that server's cache. For one without, the beginning that a call shares
with others, as a pass marked it, is kept once the first token of an answer is there.
"""

from collections import OrderedDict
from hashlib import blake2b

from attrs import define, field

from flowc.runtime.providers.base import Request, estimate_tokens

MOST = 4096
"""Beginnings that are kept; the one that was unused longest goes first."""


@define(eq=False)
class KeptPrefixes:
    """The beginnings that the models of one loop keep."""

    known: OrderedDict[bytes, None] = field(factory=OrderedDict)

    def tokens(self, request: Request) -> int:
        """How many tokens of a prompt are kept already."""
        for length in reversed(_lengths(request)):
            key = _key(request, length)
            if key in self.known:
                self.known.move_to_end(key)
                return estimate_tokens(request.prompt[:length])
        return 0

    def keep(self, request: Request) -> None:
        """Keeps the beginnings of a prompt."""
        for length in _lengths(request):
            self.known[_key(request, length)] = None
        while len(self.known) > MOST:
            self.known.popitem(last=False)


def _lengths(request: Request) -> list[int]:
    """How far the beginnings of a prompt reach that are long enough, the shortest first."""
    if not request.model.prefix_cache or not request.prefix:
        return []
    first = request.segments[0] if request.segments else ""
    lengths = {len(first) if isinstance(first, str) else 0, request.prefix}
    least = request.model.min_prefix_tokens
    return sorted(
        n for n in lengths if 0 < n <= request.prefix and estimate_tokens(request.prompt[:n]) >= least
    )


def _key(request: Request, length: int) -> bytes:
    text = request.model.alias + "\0" + request.prompt[:length]
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
