"""`--target auto`: each call of a kernel goes where it is expected to end first.

Who decides is a function, `Place`: the compiler gives one that asks the cost model, and without it what is on
a GPU stays there and all else runs on the processor.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Literal, Protocol

from attrs import define, evolve, field, frozen

from flowc.runtime.device.following import Ahead, Step
from flowc.runtime.device.presence import absence
from flowc.runtime.device.protocol import DLPACK_DEVICES

MOST_LINES = 8
"""Of a kernel, when it is said where its calls went."""

Where = Literal["cpu", "cuda"]


@frozen
class Placement:
    """Where a call runs, and why; the seconds that were expected there, transfers and the calls that were
    looked ahead at included, where they are known."""

    where: Where
    why: str
    seconds: float | None = None


class Place(Protocol):
    """Decides on a call of a kernel by its name and its arguments, and what follows in a plan, where it is a
    step of one."""

    def __call__(
        self, kernel: str, arguments: Sequence[Any], ahead: Sequence[Step] | None = None, /
    ) -> Placement:
        """Where it runs."""


@define
class Tally:
    """Calls that were placed alike: how many, and the seconds that they took on the way."""

    count: int = 0
    seconds: float = 0.0


def on_device(argument: object) -> bool:
    """Whether an argument shows memory of a GPU. Its type does not say: torch's is one for both sides."""
    if hasattr(argument, "__cuda_array_interface__"):
        return True
    where = getattr(argument, "__dlpack_device__", None)
    return where is not None and where()[0] in DLPACK_DEVICES


def usual(kernel: str, arguments: Sequence[Any], ahead: Sequence[Step] | None = None) -> Placement:
    """Where a call runs that nothing is known of: where its arrays are."""
    if any(map(on_device, arguments)):
        return Placement("cuda", "an argument is on the GPU")
    return Placement("cpu", "all arguments are in host memory, and nothing is known of its time on a GPU")


@define(eq=False)
class PlacedKernel:
    """A kernel with code for the processor and for a GPU. `placements` counts where its calls went and
    why."""

    name: str
    processor: Callable[..., Any]
    device: Callable[..., Any]
    place: Place = usual
    placements: dict[Placement, Tally] = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)

    def __call__(self, *arguments: Any, out: Any = None) -> Any:
        """The result, computed where the call was placed; raises as either kernel does."""
        chosen = self.place(self.name, (*arguments, out))
        kernel = self.device if chosen.where == "cuda" else self.processor
        return self._counted(chosen, kernel, arguments, {} if out is None else {"out": out})

    def step(self, arguments: Sequence[Any], ahead: Ahead) -> Any:
        """The result of a call in a plan: for the processor arguments come from the GPU where they lie
        there."""
        chosen = self.place(self.name, arguments, ahead())
        if chosen.where == "cuda":
            return self._counted(chosen, self.device, arguments, {})
        fetched: Any = getattr(self.device, "fetched", None)
        here = [fetched(each) if fetched and on_device(each) else each for each in arguments]
        return self._counted(chosen, self.processor, here, {})

    def _counted(
        self, chosen: Placement, kernel: Callable[..., Any], arguments: Sequence[Any], into: dict[str, Any]
    ) -> Any:
        start = perf_counter()
        result = kernel(*arguments, **into)
        taken = perf_counter() - start
        with self.lock:
            tally = self.placements.setdefault(chosen, Tally())
            tally.count += 1
            tally.seconds += taken
        return result

    def shapes(self, arguments: Sequence[Any]) -> Sequence[tuple[int, ...]]:
        """The shapes of the results of a call with these arguments."""
        device: Any = self.device
        found: Sequence[tuple[int, ...]] = device.shapes(arguments)
        return found

    def within(self, limit: int) -> "PlacedKernel":
        """The same kernel under a limit of the GPU's memory, in bytes."""
        device: Any = self.device
        return evolve(self, device=device.within(limit))

    def in_plan(self, stay: bool) -> "PlacedKernel":
        """The same kernel as a step of a plan; what it computes on a GPU stays there or does not."""
        device: Any = self.device
        return evolve(self, device=device.in_plan(stay)) if hasattr(device, "in_plan") else self


@frozen(eq=False)
class UnplacedKernel:
    """A kernel that runs on the processor although either was asked for, and why."""

    processor: Callable[..., Any]
    why: str

    def __call__(self, *arguments: Any, out: Any = None) -> Any:
        """The result; raises as the kernel of the processor does."""
        return self.processor(*arguments) if out is None else self.processor(*arguments, out=out)


def placed_kernels(
    processor: Mapping[str, Callable[..., Any]],
    device: Callable[[], Mapping[str, Callable[..., Any]]],
    place: Place = usual,
    refused: Mapping[str, str] | None = None,
) -> dict[str, Callable[..., Any]]:
    """The kernels for `auto`: with a choice where there are a GPU and code for it. `refused` says why a
    kernel has none."""
    missing = absence()
    if missing is not None:
        problem = missing.problem
        why = f"{problem.message}: {problem.why}" if problem.why else problem.message
        return {name: UnplacedKernel(kernel, why) for name, kernel in processor.items()}
    there = device()
    reasons = refused or {}
    return {
        name: PlacedKernel(name, kernel, there[name], place)
        if name in there
        else UnplacedKernel(kernel, reasons.get(name, "it has no code for a GPU"))
        for name, kernel in processor.items()
    }


def placements_text(kernels: Mapping[str, Callable[..., Any]]) -> str:
    """Where calls went and why, a line for each kernel and reason; empty where nothing was to be placed."""
    lines = []
    for name, kernel in kernels.items():
        if isinstance(kernel, UnplacedKernel):
            lines.append(f"{name}: on the processor, as {kernel.why}")
        elif isinstance(kernel, PlacedKernel):
            found = sorted(kernel.placements.items(), key=lambda pair: -pair[1].count)
            lines += [_line(name, each, tally) for each, tally in found[:MOST_LINES]]
            if len(found) > MOST_LINES:
                lines.append(f"{name}: {len(found) - MOST_LINES} other sizes")
    return "\n".join(lines)


def _line(name: str, placement: Placement, tally: Tally) -> str:
    where = "on the GPU" if placement.where == "cuda" else "on the processor"
    said = f"{name}: {tally.count} x {where}, as {placement.why}"
    if placement.seconds is None:
        return said
    return f"{said}; took {1e3 * tally.seconds / tally.count:.3g} ms"
