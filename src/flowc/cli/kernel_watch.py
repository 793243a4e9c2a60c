"""What calls of kernels should take, by the sizes that they are called with in a run that is traced."""

from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from flowc.cli.loaded import Loaded
from flowc.runtime.history.kernel_samples import KernelNotes, sizes_text

if TYPE_CHECKING:
    from flowc.compiler.kernel_times import PredictedTime
    from flowc.runtime.expectations import Quantiles


@frozen
class KernelWatch:
    """A program whose kernels note their calls."""

    loaded: Loaded
    notes: KernelNotes = field(init=False)

    @notes.default
    def _notes(self) -> KernelNotes:
        return KernelNotes(self.loaded.kernels)

    def watched(self) -> Loaded:
        """The program, with such kernels."""
        return evolve(self.loaded, kernels=self.notes.watched())

    def expected(self) -> "dict[str, Quantiles]":
        """The seconds of a call in the median, of the kernels that were called and that the model knows."""
        if not self.notes.calls:
            return {}
        from flowc.compiler.kernel_times import kernel_times

        called: dict[str, Counter[str]] = {}
        for call in self.notes.calls:
            called.setdefault(call.kernel, Counter())[sizes_text(call.sizes)] += 1
        loaded = self.loaded
        times = kernel_times(loaded.plan, loaded.source.text, loaded.source.path, loaded.folder)
        found = {name: _usual(times[name], calls) for name, calls in called.items() if name in times}
        return {name: usual for name, usual in found.items() if usual is not None}


def _usual(time: "PredictedTime", calls: Mapping[str, int]) -> "Quantiles | None":
    """What the cost model says of calls with such sizes, in the median; None where it knows nothing."""
    from flowc.runtime.expectations import bounded

    try:
        made = [said for sizes, count in calls.items() for said in [time.with_sizes(sizes)] * count]
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # the sizes are none that follow from the arguments
    low, middle, high = (
        median(figures) for figures in zip(*((p.low, p.seconds, p.high) for p in made), strict=True)
    )
    return bounded(min(low, middle), middle, max(middle, high), made[0].samples)
