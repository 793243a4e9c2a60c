"""What a GPU can do at most, from its data sheet, from what its driver says of it, or measured.

No figure of a data sheet was checked on a card by us, and none of them is reached by a real kernel; by how
much less is expected stands in `device_model`.
"""

from collections.abc import Mapping, Sequence

from attrs import frozen

from flowc.runtime.device.protocol import Properties


@frozen
class Card:
    """Ceilings of a GPU. Rates are bytes and operations a second, an addition and a multiplication in one
    counted as two; products of matrices are dense and those of f16 and bf16 summed in f32.

    `bandwidth` is that of its memory, `bus` that of the bus to the host, one way, for pinned memory, and
    `pageable` the same for any other. `order` are the seconds of a launch among others, `call` those of a
    call of a kernel around them, `read` those until the host has a number of the device. `reached` is the
    share of the bandwidth that a kernel is expected to reach. `source` says where all of it is from.
    """

    name: str
    architecture: str
    multiprocessors: int
    bandwidth: float
    f32: float
    f64: float
    f16: float
    i8: float
    bus: float
    source: str
    pageable: float = 6e9
    order: float = 4e-6
    call: float = 30e-6
    read: float = 15e-6
    reached: float = 0.85
    measured: bool = False


T, G = 1e12, 1e9
_THIRD, _FOURTH, _FIFTH = 12 * G, 25 * G, 50 * G
"""One way over sixteen lanes of PCIe of that generation, less what packets take."""

CARDS: Sequence[Card] = (
    Card("T4", "sm_75", 40, 320 * G, 8.1 * T, 0.253 * T, 65 * T, 130 * T, _THIRD,
         "NVIDIA T4 data sheet, 2019"),
    Card("A100", "sm_80", 108, 2039 * G, 19.5 * T, 9.7 * T, 312 * T, 624 * T, _FOURTH,
         "NVIDIA A100 80 GB SXM data sheet, 2021"),
    Card("L40S", "sm_89", 142, 864 * G, 91.6 * T, 1.43 * T, 362 * T, 733 * T, _FOURTH,
         "NVIDIA L40S data sheet, 2023"),
    Card("L4", "sm_89", 58, 300 * G, 30.3 * T, 0.47 * T, 121 * T, 242 * T, _FOURTH,
         "NVIDIA L4 data sheet, 2023"),
    Card("RTX 4090", "sm_89", 128, 1008 * G, 82.6 * T, 1.29 * T, 165 * T, 661 * T, _FOURTH,
         "NVIDIA Ada GPU architecture white paper, 2022"),
    Card("H100", "sm_90", 132, 3350 * G, 67 * T, 34 * T, 989 * T, 1979 * T, _FIFTH,
         "NVIDIA H100 SXM data sheet, 2023"),
    Card("H200", "sm_90", 132, 4800 * G, 67 * T, 34 * T, 989 * T, 1979 * T, _FIFTH,
         "NVIDIA H200 SXM data sheet, 2024"),
    Card("B200", "sm_100", 148, 7700 * G, 75 * T, 37 * T, 2250 * T, 4500 * T, _FIFTH,
         "NVIDIA HGX B200 data sheet, 2024, an eighth of it"),
    Card("RTX 5090", "sm_120", 170, 1792 * G, 104.8 * T, 1.64 * T, 209.5 * T, 838 * T, _FIFTH,
         "NVIDIA RTX Blackwell GPU architecture white paper, 2025"),
)  # fmt: skip
"""Cards by name; where a card is sold in several forms, the fastest, whose multiprocessors tell it apart."""

_LANES: Mapping[str, tuple[int, float, int, int]] = {
    "sm_75": (64, 1 / 32, 1024, 2048),
    "sm_80": (64, 1 / 2, 2048, 4096),
    "sm_86": (128, 1 / 64, 512, 2048),
    "sm_89": (128, 1 / 64, 512, 2048),
    "sm_90": (128, 1 / 2, 4096, 8192),
    "sm_100": (128, 1 / 2, 8192, 16384),
    "sm_120": (128, 1 / 64, 512, 2048),
}
"""Of a multiprocessor: additions of f32 in a cycle; how many of them in f64; operations of products of f16
and of i8 in a cycle, as in the slowest cards of that architecture. CUDA C++ Programming Guide, "Arithmetic
Instructions", and the white papers of the architectures."""
_UNKNOWN = (64, 1 / 64, 512, 1024)
_LEAST_BANDWIDTH = 200 * G
"""Of cards whose driver does not say how fast their memory is."""


def card_named(name: str) -> Card | None:
    """The card of a name, as `H200`, `rtx 4090` or what a driver says (`NVIDIA H200`); None for none of
    CARDS."""
    words = [
        each for each in name.lower().replace("-", " ").split() if each not in ("nvidia", "geforce", "tesla")
    ]
    for card in CARDS:
        own = card.name.lower().split()
        if words[: len(own)] == own or "".join(words) == "".join(own):
            return card
    return None


def card_of(properties: Properties) -> Card:
    """The card that a driver describes: that of its name where as many multiprocessors and the architecture
    agree, else what follows from its clocks, and where those are not known the least that there is."""
    known = card_named(properties.name)
    if known is not None and _is(known, properties):
        return known
    lanes, double, f16, i8 = _LANES.get(properties.architecture, _UNKNOWN)
    cycles = properties.multiprocessors * (properties.clock or 1e9)
    twice = 2 * properties.memory_clock * properties.bus_bits / 8  # two bits a cycle and wire
    f32 = 2 * lanes * cycles
    return Card(
        properties.name,
        properties.architecture,
        properties.multiprocessors,
        twice or _LEAST_BANDWIDTH,
        f32,
        f32 * double,
        f16 * cycles,
        i8 * cycles,
        _THIRD,
        "what its driver says of it",
    )


def _is(card: Card, properties: Properties) -> bool:
    same = card.architecture == properties.architecture
    return same and card.multiprocessors == properties.multiprocessors
