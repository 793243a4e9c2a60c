"""Smaller inputs that fail in the same way: delta debugging (Zeller and Hildebrandt, "Simplifying and
isolating failure-inducing input", IEEE TSE 28(2), 2002), over lines, then over bytes.
"""

from collections.abc import Callable

MOST = 1_500
"""Inputs that are tried."""


def smaller(data: bytes, fails: Callable[[bytes], bool], most: int = MOST) -> bytes:
    """A part of `data` that still fails, of which no single piece can be left out if time suffices."""
    left = [most]

    def tried(pieces: list[bytes]) -> bool:
        left[0] -= 1
        return left[0] >= 0 and fails(b"".join(pieces))

    lines = _least(data.splitlines(keepends=True), tried)
    return b"".join(_least([bytes([byte]) for byte in b"".join(lines)], tried))


def _least(pieces: list[bytes], tried: Callable[[list[bytes]], bool]) -> list[bytes]:
    """Leaves out ever shorter runs of pieces, as long as what is left fails."""
    length = max(len(pieces) // 2, 1)
    while pieces:
        place, shorter = 0, False
        while place < len(pieces):
            without = pieces[:place] + pieces[place + length :]
            if without and tried(without):
                pieces, shorter = without, True
            else:
                place += length
        if length == 1 and not shorter:
            break
        length = max(length // 2, 1)
    return pieces
