"""Arrays between the nodes of a plan: alive until the last node that reads them has ended, and no longer."""

import weakref
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.types import INT
from tests.runtime.plans import Builder, plan


class Array:
    """Stands for an array: what counts is when it dies."""


class Made:
    """Kernels that note which of the arrays made before are alive while they run."""

    def __init__(self) -> None:
        self.references: list[weakref.ref[Array]] = []
        self.alive: list[set[int]] = []

    def kernel(self) -> Callable[..., Array]:
        def compute(*read: Array) -> Array:
            assert all(isinstance(array, Array) for array in read)
            self.alive.append({n for n, reference in enumerate(self.references) if reference() is not None})
            result = Array()
            self.references.append(weakref.ref(result))
            return result

        return compute


@st.composite
def readings(draw: st.DrawFn) -> list[list[int]]:
    """For each kernel the earlier kernels whose arrays it reads; each reads the one right before it, so that
    they run in order."""
    count = draw(st.integers(1, 12))
    return [
        sorted({index - 1, *draw(st.lists(st.integers(0, index - 1), max_size=2))}) if index else []
        for index in range(count)
    ]


@given(readings())
def test_an_array_lives_until_the_last_kernel_that_reads_it_has_ended(reads: list[list[int]]) -> None:
    made, body = Made(), Builder()
    slots: list[int] = []
    for inputs in reads:
        slots.append(body.one("kernel", *(slots[index] for index in inputs), kernel="compute"))
    result = run(
        plan(body.region(slots[-1]), result=INT),
        "main",
        {},
        environment=Environment(kernels={"compute": made.kernel()}),
    )
    assert isinstance(result.result, Array)
    for now, alive in enumerate(made.alive):
        needed = {index for inputs in reads[now:] for index in inputs if index < now}
        assert alive == needed


def test_an_array_that_a_branch_reads_lives_until_the_branch_has_ended() -> None:
    made, body, branch = Made(), Builder(), Builder()
    first = body.one("kernel", kernel="compute")
    own = branch.use(first)
    inner = branch.one("kernel", branch.one("kernel", own, kernel="compute"), own, kernel="compute")
    condition = body.constant(True)
    chosen = body.one("if", condition, regions=[branch.region(inner), branch.region(inner)])
    second = body.one("kernel", chosen, kernel="compute")
    last = body.one("kernel", second, kernel="compute")
    run(
        plan(body.region(last), result=INT),
        "main",
        {},
        environment=Environment(kernels={"compute": made.kernel()}),
    )
    assert made.alive == [set(), {0}, {0, 1}, {2}, {3}]
