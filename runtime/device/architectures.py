"""The architectures of GPUs, as NVIDIA names them."""

import re

from attrs import frozen

_ARCHITECTURE = re.compile(r"(?:sm|compute)_(\d+)(\d)([af]?)")


@frozen(order=True)
class Architecture:
    """An architecture of GPUs: sm_90 has major 9 and minor 0. `feature` is "a" for code of one card's own
    instructions, "f" for those of a family, else empty."""

    major: int
    minor: int
    feature: str = ""

    def __str__(self) -> str:
        return f"sm_{self.major}{self.minor}{self.feature}"


def parse_architecture(text: str) -> Architecture:
    """Reads `sm_90`, `sm_90a` or `compute_90`; raises ValueError for anything else.

    >>> parse_architecture("sm_120")
    Architecture(major=12, minor=0, feature='')
    """
    found = _ARCHITECTURE.fullmatch(text)
    if found is None:
        raise ValueError(f"not an architecture: {text!r}")
    return Architecture(int(found[1]), int(found[2]), found[3])
