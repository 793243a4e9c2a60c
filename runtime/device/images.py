"""Which code a card loads: machine code where some was made for its kind, else what its driver compiles."""

from collections.abc import Callable, Iterable

from flowc.runtime.device.architectures import parse_architecture
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.failures import foreign

Recompile = Callable[[str, str], bytes]
"""Makes machine code of CUDA C++ for an architecture; raises FlowError where it cannot."""


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
    if code.ptx and _compiles(code.ptx_architecture, card):
        return code.ptx
    if recompile is None or not code.text:
        raise foreign(device, card, sorted(code.cubins), "and there is no compiler for it here")
    return recompile(code.text, card)


def _compiles(ptx: str, card: str) -> bool:
    """Whether a card's driver compiles PTX of an architecture: for cards as young or younger, but where it is
    made of features for that card alone. See CUDA C++ Programming Guide, "PTX Compatibility"."""
    made, here = parse_architecture(ptx), parse_architecture(card)
    least, has = (made.major, made.minor), (here.major, here.minor)
    return has == least if made.feature else has >= least
