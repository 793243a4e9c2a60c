"""What the runtime takes around kernels counts where it takes it: to start, for each kernel and each turn."""

import pytest

from flowc.compiler.driver import compile_text
from flowc.passes.simulation import stage
from flowc.passes.simulation.forecast import forecast
from flowc.passes.simulation.overheads import Overheads, overheads
from flowc.passes.simulation.rehearsal import Setting
from flowc.runtime.scheduler.runner import SLOW

KERNEL = "kernel k(x: f32[n], s: f32) -> f32[n]:\n    return x * s\n\n"
CHAIN = KERNEL + "flow main(x: f32[n]) -> f32[n]:\n    return k(k(k(x, 2.0), 3.0), 4.0)\n"
LOOP = (
    KERNEL
    + "flow main(x: f32[n]) -> f32[n]:\n    for turn in range(3):\n        x = k(x, 2.0)\n    return x\n"
)


@pytest.mark.parametrize(
    ("text", "seconds", "around"),
    [(CHAIN, SLOW / 2, 1 + 2 * 10), (LOOP, SLOW / 2, 1 + 2 * 110), (CHAIN, 2 * SLOW, 1 + 2 * 10 + 3 * 1000)],
)
def test_what_the_runtime_takes_around_kernels_counts(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float, around: float
) -> None:
    monkeypatch.setattr(stage, "overheads", lambda: Overheads(start=1, each=10, turn=100, slow=1000))
    found = forecast(
        compile_text(text, "main.flow").plan, "main", Setting(kernel_times={"k": lambda _: seconds})
    )
    assert found.makespan == pytest.approx(around + 3 * seconds)


def test_each_part_is_a_time_and_measured_once() -> None:
    found = overheads()
    assert found.start > 0.0
    assert min(found.each, found.turn, found.slow) >= 0.0
    assert overheads() is found
