"""The kernels that a cost model learns from: typed, varied, and small enough to run."""

import pytest

from flowc.compiler.driver import check_text
from flowc.compiler.tuning.measure import Arrays, ready
from flowc.compiler.tuning.programs import FAMILIES, LEAST_BYTES, MOST_BYTES, trial
from flowc.passes.cost.kernel_amounts import ELEMENTS, amounts
from flowc.runtime.kernel_calls import sizer


@pytest.mark.parametrize("family", FAMILIES)
def test_every_program_is_one_that_the_checker_takes_and_most_are_different(family: str) -> None:
    texts = {trial(family, seed, 1).text for seed in range(40)}
    for text in texts:
        check_text(text, "trial.flow")
    assert len(texts) > 20


@pytest.mark.alike(3)
@pytest.mark.parametrize("family", FAMILIES)
def test_calls_have_arguments_within_the_bounds_and_are_counted(family: str) -> None:
    drawn = trial(family, 0, 3)
    kernel, arrays = ready(drawn), Arrays()
    for sizes in drawn.calls:
        arguments = arrays.of(kernel.signature, sizes, drawn.positions)
        assert LEAST_BYTES <= sum(each.nbytes for each in arguments) <= MOST_BYTES
        for name, argument in zip((p.name for p in kernel.signature.params), arguments, strict=True):
            if bound := drawn.positions.get(name):
                assert (
                    0
                    <= argument.min()
                    <= argument.max()
                    < (sizes[bound] if isinstance(bound, str) else bound)
                )
        found = amounts(kernel.counts, lambda extent: sizer(extent)(sizes, arguments))  # noqa: B023
        largest = max(each.size for each in arguments)
        assert found.loops[:, ELEMENTS].max() >= min(largest, sizes.get("k", largest)) / 2 - 1
        assert found.arguments[: len(arguments)].tolist() == [each.nbytes for each in arguments]


def test_a_seed_gives_the_same_program_and_sizes_again() -> None:
    assert trial("rows", 5, 3) == trial("rows", 5, 3)
    assert trial("rows", 5, 3) != trial("rows", 6, 3)
