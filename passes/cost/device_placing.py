"""Whether a call of a kernel should run on the processor or on a GPU, with what must be moved for it.

A call in a plan is looked at with the calls that follow: between two on the same side nothing is moved. The
least time of the whole chain, with its first call on either side, is found by dynamic programming over the
two sides. A call leaves the side where its arrays lie only where the other is faster still with the quartiles
of both predictions that speak against it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from attrs import frozen

from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.device_card import Card
from flowc.passes.cost.device_model import DeviceTime, transfer_time
from flowc.passes.cost.kernel_model import Prediction

Side = Literal["cpu", "cuda"]
SIDES: tuple[Side, Side] = ("cpu", "cuda")
NAMES = {"cpu": "processor", "cuda": "GPU"}
QUARTILE = 0.674
"""Standard deviations of a normal distribution within which a half of it lies."""
DECILE = 1.2816
"""Standard deviations to the 10 and the 90 percent points."""


@frozen
class Arrays:
    """Some arrays: how many, and their bytes together."""

    count: int = 0
    bytes: float = 0.0


@frozen
class StepCost:
    """A call of a chain: what it takes on either side, where arguments lie that no call of the chain makes,
    and its results, which the next one reads."""

    processor: Prediction
    device: DeviceTime
    on_host: Arrays
    on_device: Arrays
    results: Arrays


@frozen
class Placed:
    """Where the first call of a chain runs, and the seconds of the chain with it on either side.

    `home` is where its arguments lie. With `unsure` the other side would be faster, but not surely.
    """

    side: Side
    home: Side
    cpu: float
    cuda: float
    unsure: bool = False
    calls: int = 1

    @property
    def saved(self) -> float:
        """Seconds less than where its arguments lie, by what is expected."""
        here, there = (self.cpu, self.cuda) if self.home == "cpu" else (self.cuda, self.cpu)
        return here - there if self.side != self.home else 0.0


def place(card: Card, chain: Sequence[StepCost], wanted: Side = "cpu") -> Placed:
    """Where the first call of a chain should run, where the results of the last are wanted on a side."""
    first = chain[0]
    home: Side = "cuda" if first.on_device.bytes > first.on_host.bytes else "cpu"
    cpu, cuda = (_least(card, chain, side, wanted) for side in SIDES)
    better: Side = "cuda" if cuda < cpu else "cpu"
    unsure = better != home and not _surely(first, cpu, cuda, better)
    return Placed(home if unsure else better, home, cpu, cuda, unsure, len(chain))


def _surely(first: StepCost, cpu: float, cuda: float, better: Side) -> bool:
    """Whether a side is better still if its first call takes as long as in one case of four, and that of the
    other side as little."""
    here, there = first.processor, first.device
    if better == "cuda":
        return cuda + _toward(there.seconds, there.high) < cpu + _toward(here.seconds, here.low)
    return cpu + _toward(here.seconds, here.high) < cuda + _toward(there.seconds, there.low)


def _toward(middle: float, tenth: float) -> float:
    """What a quartile is more than the median, from the 10 or 90 percent point; times are spread as normal
    logarithms are."""
    return float(middle * (tenth / middle) ** (QUARTILE / DECILE)) - middle


def _least(card: Card, chain: Sequence[StepCost], first: Side, wanted: Side) -> float:
    """The least seconds of a chain whose first call runs on a side."""
    taken = {first: _own(card, chain[0], first)}
    for before, step in pairwise(chain):
        taken = {
            side: min(total + _move(card, before.results, other, side) for other, total in taken.items())
            + _own(card, step, side)
            for side in SIDES
        }
    return min(total + _move(card, chain[-1].results, side, wanted) for side, total in taken.items())


def _own(card: Card, step: StepCost, side: Side) -> float:
    """Seconds of a call, and of bringing there what lies on the other side."""
    if side == "cpu":
        return step.processor.seconds + _move(card, step.on_device, "cuda", "cpu")
    return step.device.seconds + _move(card, step.on_host, "cpu", "cuda")


def _move(card: Card, arrays: Arrays, source: Side, target: Side) -> float:
    return 0.0 if source == target else transfer_time(card, arrays.bytes, arrays.count)


def decision_of(found: Placed, kernel: str, card: Card, line: int = 0, about: str = "") -> Decision:
    """The record of a placement; what happens where nothing is decided is that a call runs where its
    arguments lie."""
    times = {"cpu": found.cpu, "cuda": found.cuda}
    order = sorted(SIDES, key=lambda side: side != found.home)
    more = "the call that follows" if found.calls == 2 else f"the {found.calls - 1} calls that follow"
    chain = f", with {more}" if found.calls > 1 else ""
    return Decision(
        "place",
        line,
        NAMES[found.side],
        tuple(Alternative(NAMES[side], times[side] * 1e3) for side in order),
        found.saved * 1e3,
        card.measured and not found.unsure,
        kernel,
        f"{card.name} by {card.source}{about}{chain}",
    )
