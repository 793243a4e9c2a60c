"""Which code a card loads: machine code where some was made for its kind, else what its driver compiles."""

import re
from collections.abc import Callable, Iterable

from attrs import frozen

from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.failures import foreign

Recompile = Callable[[str, str], bytes]
"""Makes machine code of CUDA C++ for an architecture; raises FlowError where it cannot."""

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


def best_cubin(known: Iterable[str], card: str) -> str | None:
    """The architecture of the machine code that a card runs best, None where it runs none of these.

    Machine code runs on cards of the same major number and no lesser minor one; what has a feature "a" runs
    on its own card alone, "f" within its family. See CUDA C++ Programming Guide, "Binary Compatibility".

    >>> best_cubin(["sm_80", "sm_90"], "sm_89"), best_cubin(["sm_80"], "sm_90")
    ('sm_80', None)
    """
    here = parse_architecture(card)
    fitting = [
        (each.minor, each.feature, text)
        for text, each in ((text, parse_architecture(text)) for text in known)
        if each.major == here.major
        and (each.minor == here.minor if each.feature == "a" else each.minor <= here.minor)
    ]
    return max(fitting)[2] if fitting else None


def image_for(code: DeviceCode, device: str, card: str, recompile: Recompile | None) -> bytes:
    """What a card loads: a cubin for it, else PTX for its driver, else a cubin made now.

    Raises FlowError (E0786) where there is none of these.
    """
    found = best_cubin(code.cubins, card)
    if found is not None:
        return code.cubins[found]
    here = parse_architecture(card)
    if code.ptx and parse_architecture(code.ptx_architecture) <= here:
        return code.ptx
    if recompile is None or not code.text:
        raise foreign(device, card, sorted(code.cubins), "and there is no compiler for it here")
    return recompile(code.text, card)
