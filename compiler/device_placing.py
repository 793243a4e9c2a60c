"""Where calls of kernels run for the target `auto`, as the cost model has it, and why."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import RefType, shape_of
from flowc.passes.array_account import Sizes
from flowc.passes.array_to_gpu import Unsupported
from flowc.passes.cost.decisions import Decision, duration
from flowc.passes.cost.device_card import Card
from flowc.passes.cost.device_model import device_time
from flowc.passes.cost.device_placing import Arrays, Placed, StepCost, decision_of, place
from flowc.passes.cost.device_stored import card_of_device
from flowc.passes.cost.device_work import DeviceWork, device_work
from flowc.passes.cost.kernel_amounts import KernelCounts
from flowc.passes.cost.kernel_model import KernelModel, predict
from flowc.passes.cost.stored import chosen
from flowc.passes.framework import line_of
from flowc.passes.usual_sizes import sizes_of
from flowc.runtime.device.following import Coming, Step
from flowc.runtime.device.placing import Placement, on_device, usual
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_calls import sizer

if TYPE_CHECKING:
    from flowc.compiler.checker.model import Checked

REMEMBERED = 4096
"""Calls whose placement is remembered before all is forgotten."""
USUAL = (1 << 12, 1 << 20, 1 << 26)
"""Elements of the largest array, for which it is said where kernels go that nobody calls yet."""


@frozen(eq=False)
class Work:
    """What a kernel does on either side; `arrays` are the places of its arguments that have axes, `written`
    says of each whether the kernel changes it, so that it must come back as results do."""

    processor: KernelCounts
    device: DeviceWork
    arrays: tuple[int, ...]
    written: tuple[bool, ...]


def work_of(kernel: KernelOp, level: int) -> Work | None:
    """The work of a kernel; None where it has no form for GPUs, or control flow decides what it does."""
    from flowc.compiler.kernel_times import processor_counts

    try:
        there = device_work(kernel, level)
    except Unsupported:
        return None
    here = processor_counts(kernel, level)
    if there is None or here is None:
        return None
    places = [place for place, each in enumerate(kernel.body.block.args) if shape_of(each.type)]
    written = [isinstance(kernel.body.block.args[place].type, RefType) for place in places]
    return Work(here, there, tuple(places), tuple(written))


def _those(given: Iterable[tuple[str, float]], wanted: str) -> Arrays:
    found = [size for where, size in given if where == wanted]
    return Arrays(len(found), sum(found))


@frozen(eq=False)
class Basis:
    """What all placements of a program rest on; found out once, as it takes longer than a placement."""

    card: Card
    model: KernelModel
    threads: int
    works: Mapping[str, Work | None]

    def cost(self, work: Work, sizes: Sizes, where: Sequence[str]) -> StepCost:
        """What a call costs. `where` says of each argument that has axes whether it lies on the "host", on
        the "device", or is "coming" from the call before."""
        time = device_time(self.card, work.device, sizes)
        found = predict(self.model, work.processor, self.threads, sizes)
        given = list(zip(where, time.arrays, strict=False))
        back = [size for size, written in zip(time.arrays, work.written, strict=False) if written]
        back += time.arrays[len(where) :]
        made = Arrays(len(back), sum(back))
        return StepCost(found, time, _those(given, "host"), _those(given, "device"), made)


def basis_of(card: Card, kernels: Iterable[KernelOp], level: int) -> Basis:
    """What placements of kernels rest on, on this machine with a card."""
    from flowc.runtime.native import threads

    works = {op.sym_name.data: work_of(op, level) for op in kernels}
    return Basis(card, chosen().model, threads(), works)


@define(eq=False)
class Placer:
    """Places calls of kernels, which it gets when it is first asked; see `runtime.device.placing.Place`.

    A call like one before, by types and shapes of arrays and by numbers, goes where that went.
    """

    kernels: Callable[[], Sequence[KernelOp]]
    card: Callable[[], Card]
    level: int = 2
    basis: Basis | None = None
    known: dict[object, Placement] = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)

    def __call__(
        self, kernel: str, arguments: Sequence[Any], ahead: Sequence[Step] | None = None, /
    ) -> Placement:
        """Where a call runs."""
        key: object = _key(kernel, arguments)
        if ahead:
            key = (key, *[_key(step.kernel, step.arguments) for step in ahead])
        found = self.known.get(key)
        if found is None:
            found = self._placed(kernel, arguments, ahead)
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = found
        return found

    def _placed(self, kernel: str, arguments: Sequence[Any], ahead: Sequence[Step] | None) -> Placement:
        if ahead is None and any(map(on_device, arguments)):
            return usual(kernel, arguments)  # whoever has an array there is given one back
        try:
            found = self._decided([Step(kernel, tuple(arguments)), *(ahead or ())])
        except (LookupError, TypeError, ValueError, AttributeError, FlowError):
            return usual(kernel, arguments)  # arguments that the kernel itself will judge
        return usual(kernel, arguments) if found is None else _placement(found)

    def _decided(self, steps: Sequence[Step]) -> Placed | None:
        basis, costs = self._basis(), []
        for step in steps:
            work = basis.works.get(step.kernel)
            if work is None:
                break
            costs.append(basis.cost(work, _sizes(step.arguments), _where(work, step)))
        return place(basis.card, costs) if costs else None

    def _basis(self) -> Basis:
        with self.lock:
            if self.basis is None:
                self.basis = basis_of(self.card(), self.kernels(), self.level)
            return self.basis


def _key(kernel: str, arguments: Sequence[Any]) -> object:
    """What tells calls apart for a placement: numbers, and the types and shapes of all else."""
    return kernel, *[x if type(x) is int else (type(x), getattr(x, "shape", None)) for x in arguments]


def _sizes(arguments: Sequence[Any]) -> Sizes:
    """The extents of a call with these arguments."""
    return lambda extent: max(int(sizer(extent)({}, arguments)), 0)


def _where(work: Work, step: Step) -> list[str]:
    given = [step.arguments[place] for place in work.arrays]
    return ["coming" if isinstance(e, Coming) else "device" if on_device(e) else "host" for e in given]


def _placement(found: Placed) -> Placement:
    times = {side: duration(1e3 * seconds) for side, seconds in (("cpu", found.cpu), ("cuda", found.cuda))}
    said = f"{times['cpu']} is expected on the processor, {times['cuda']} on the GPU with what must be moved"
    if found.calls > 1:
        said += f", for it and the {found.calls - 1} after it"
    if found.unsure:
        said += ", which is not sure enough to move its arrays"
    return Placement(found.side, said, found.cpu if found.side == "cpu" else found.cuda)


def placer(checked: "Checked", level: int = 2) -> Placer:
    """Places the kernels of a checked program on this machine."""

    def kernels() -> Sequence[KernelOp]:
        from flowc.compiler.backends.llvm import kernels_of
        from flowc.compiler.driver import Options, kernels_module, room

        with room():
            return kernels_of(kernels_module(checked, Options(level=level, native=False)))

    return Placer(kernels, card_here, level)


def placer_of_text(text: str, path: str, folder: Path | None, level: int = 2) -> Placer:
    """Places the kernels of a program by its text, which is compiled again when the first is called."""

    def kernels() -> Sequence[KernelOp]:
        from flowc.compiler.diagnostics.model import CompileError
        from flowc.compiler.driver import check_text

        try:
            return placer(check_text(text, path, folder=folder), level).kernels()
        except (CompileError, FlowError):
            return ()  # as where nothing is known of a kernel

    return Placer(kernels, card_here, level)


def card_here() -> Card:
    """The GPU of this machine; raises FlowError where there is none."""
    from flowc.runtime.device.presence import current_site

    return card_of_device(current_site().device.properties())


def kernel_decisions(checked: "Checked", card: Card, level: int = 2) -> Sequence[Decision]:
    """As `usual_decisions`, of the kernels of a checked program."""
    from flowc.compiler.driver import room

    with room():
        return usual_decisions(placer(checked, level).kernels(), card, level)


def usual_decisions(kernels: Sequence[KernelOp], card: Card, level: int = 2) -> Sequence[Decision]:
    """Where kernels would run on a machine with a card, for arrays in host memory of usual sizes, and for the
    largest of them on the card already, where results are wanted too."""
    basis = basis_of(card, kernels, level)
    found: list[Decision] = []
    for kernel in kernels:
        name = kernel.sym_name.data
        work = basis.works[name]
        if work is None:
            continue
        for count, sizes in _usual_calls(kernel):
            for where in ("host", "device") if count == USUAL[-1] else ("host",):
                cost = basis.cost(work, sizes, [where] * len(work.arrays))
                lies = "in host memory" if where == "host" else "on the GPU"
                about = f"; arrays of {count:,} elements {lies}"
                placed = place(card, [cost], "cpu" if where == "host" else "cuda")
                found.append(decision_of(placed, name, card, line_of(kernel), about))
    return found


def _usual_calls(kernel: KernelOp) -> Iterable[tuple[int, Sizes]]:
    """Calls whose largest array has so many elements, where its dimensions are named."""
    shapes = [shape_of(argument.type) for argument in kernel.body.block.args]
    most = max((sum(not isinstance(dim, int) for dim in shape) for shape in shapes), default=0)
    for count in USUAL:
        edge = round(count ** (1 / most)) if most else 1
        sides = [tuple(dim if isinstance(dim, int) else edge for dim in shape) for shape in shapes]
        yield count, sizes_of(sides)
