"""What calls of kernels should take, by the sizes that they are called with in a run that is explained."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from flowc.cli.loaded import Loaded

if TYPE_CHECKING:
    from flowc.compiler.kernel_times import PredictedTime
    from flowc.runtime.expectations import Quantiles

MOST = 200
"""Calls of a kernel whose sizes are looked at."""


@frozen
class Shaped:
    """An array of which only the shape is kept."""

    shape: tuple[int, ...]


@frozen
class KernelWatch:
    """A program whose kernels note their arguments' sizes: `seen` by the name of the kernel."""

    loaded: Loaded
    seen: Mapping[str, list[tuple[Any, ...]]] = field(factory=lambda: defaultdict(list))

    def watched(self) -> Loaded:
        """The program, with such kernels."""
        return evolve(
            self.loaded,
            kernels={name: _noting(kernel, self.seen[name]) for name, kernel in self.loaded.kernels.items()},
        )

    def expected(self) -> "dict[str, Quantiles]":
        """The seconds of a call in the median, of the kernels that were called and that the model knows."""
        called = {name: calls for name, calls in self.seen.items() if calls}
        if not called:
            return {}
        from flowc.compiler.kernel_times import kernel_times

        loaded = self.loaded
        times = kernel_times(loaded.plan, loaded.source.text, loaded.source.path, loaded.folder)
        found = {name: _usual(times[name], calls) for name, calls in called.items() if name in times}
        return {name: usual for name, usual in found.items() if usual is not None}


def _noting(kernel: Callable[..., Any], seen: list[tuple[Any, ...]]) -> Callable[..., Any]:
    def noting(*arguments: Any) -> Any:
        if len(seen) < MOST:
            seen.append(tuple(map(_shaped, arguments)))
        return kernel(*arguments)

    return noting


def _shaped(argument: Any) -> Any:
    shape = getattr(argument, "shape", None)
    return Shaped(shape) if shape else argument


def _usual(time: "PredictedTime", calls: Sequence[tuple[Any, ...]]) -> "Quantiles | None":
    """What the cost model says of some calls, in the median; None where it knows nothing of them."""
    from flowc.passes.cost.kernel_model import predict
    from flowc.passes.cost.stored import chosen
    from flowc.runtime.expectations import bounded
    from flowc.runtime.kernel_calls import sizer
    from flowc.runtime.native import threads

    counts = time.counts
    if counts is None:
        return None

    def size(arguments: tuple[Any, ...], extent: object) -> int:
        return max(int(sizer(extent)({}, arguments)), 0)

    try:
        made = [predict(chosen().model, counts, threads(), partial(size, each)) for each in calls]
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # the sizes are none that follow from the arguments
    low, middle, high = (
        median(figures) for figures in zip(*((p.low, p.seconds, p.high) for p in made), strict=True)
    )
    return bounded(min(low, middle), middle, max(middle, high))
