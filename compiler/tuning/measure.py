"""How long generated kernels take on this machine: the samples that a cost model is fitted to."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.driver import Options as Compilation
from flowc.compiler.driver import check_text, kernels_module
from flowc.compiler.kernel_build import build, dense
from flowc.compiler.stopwatch import shortest
from flowc.compiler.tuning.programs import Trial
from flowc.passes.cost.kernel_amounts import KernelCounts
from flowc.passes.cost.kernel_features import features
from flowc.passes.cost.kernel_roofline import Machine
from flowc.runtime.kernel_calls import sizer
from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.kernels import Kernel, load
from flowc.runtime.native import set_threads, threads


@frozen
class Sample:
    """The time of a call of a kernel; `features` as `FEATURES` names them, and what the roofline says."""

    family: str
    text: str
    sizes: Mapping[str, int]
    threads: int
    seconds: float
    roofline: float
    features: tuple[float, ...]


@frozen(eq=False)
class Ready:
    """A kernel that can be called, and what its calls do."""

    signature: KernelSignature
    call: Kernel
    counts: KernelCounts


def ready(trial: Trial) -> Ready:
    """The kernel of a trial, compiled for arrays without gaps."""
    (kernel,) = kernels_of(kernels_module(check_text(trial.text, "trial.flow"), Compilation()))
    built = build(kernel, dense(kernel))
    (signature,) = built.compiled.signatures
    call = load(built.compiled.object_code, [signature])[signature.name]
    return Ready(signature, call, built.counts())


def measure(
    trials: Sequence[Trial], machines: Sequence[Machine], arrays: "Arrays", visits: int = 2
) -> Iterator[Sample]:
    """Samples of all calls of some trials, with the threads of each machine, into results used before.

    Each call is visited several times, all the others in between, and the fastest counts: a neighbour on the
    machine slows down one visit, and all the repetitions in it, but seldom all visits.
    """
    kernels = [ready(trial) for trial in trials]
    found: dict[tuple[int, int, int], Sample] = {}
    before = threads()
    try:
        for _ in range(visits):
            for place, (trial, kernel) in enumerate(zip(trials, kernels, strict=True)):
                for call, sample in enumerate(_visit(trial, kernel, machines, arrays)):
                    key = place, call, sample.threads
                    if key not in found or sample.seconds < found[key].seconds:
                        found[key] = sample
    finally:
        set_threads(before)
    yield from found.values()


def _visit(trial: Trial, kernel: Ready, machines: Sequence[Machine], arrays: "Arrays") -> Iterator[Sample]:
    for sizes in trial.calls:
        arguments = arrays.of(kernel.signature, sizes, trial.positions)
        extents = {extent: sizer(extent)(sizes, arguments) for extent in kernel.counts.extents}
        again = repeatable(kernel.call, arguments)
        for machine in machines:
            set_threads(machine.threads)
            seconds = shortest(again, time.thread_time if machine.threads == 1 else time.perf_counter)
            found = features(kernel.counts, machine, extents.__getitem__)
            row = tuple(map(float, found.row))
            yield Sample(trial.family, trial.text, sizes, machine.threads, seconds, found.roofline, row)


def repeatable(call: Kernel, arguments: Sequence[Any]) -> Callable[[], Any]:
    """The call into its own result, where it is one array."""
    result = call(*arguments)
    if isinstance(result, np.ndarray) and result.ndim:
        return lambda: call(*arguments, out=result)
    return lambda: call(*arguments)


class Arrays:
    """Arguments for calls, cut out of one store a dtype: making them would take longer than the calls."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._stores: dict[tuple[str, int], np.ndarray[Any, Any]] = {}

    def of(
        self, signature: KernelSignature, sizes: Mapping[str, int], positions: Mapping[str, str | int]
    ) -> list[Any]:
        """Arrays of numbers between 0.5 and 1.5, and of positions below what `positions` says."""
        found = []
        for number, parameter in enumerate(signature.params):
            shape = tuple(sizes[dim] if isinstance(dim, str) else dim for dim in parameter.dims)
            bound = positions.get(parameter.name)
            if bound is not None:
                below = sizes[bound] if isinstance(bound, str) else bound
                found.append(self._random.integers(0, below, shape))
            else:
                found.append(self._numbers(parameter.dtype, number, shape))
        return found

    def _numbers(self, dtype: str, number: int, shape: tuple[int, ...]) -> Any:
        kind = {"f32": np.float32, "f64": np.float64}[dtype]
        count = int(np.prod(shape, dtype=np.int64))
        store = self._stores.get((dtype, number))
        if store is None or store.size < count:
            store = (self._random.random(max(count, 1 << 16), np.float32) + np.float32(0.5)).astype(kind)
            self._stores[dtype, number] = store
        return store[:count].reshape(shape)
