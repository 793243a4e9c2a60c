"""All faults, by area."""

from tests.assurance.mutants.areas import journals, kernels, labels, limits, passes, scheduling
from tests.assurance.mutants.model import Area

AREAS: tuple[Area, ...] = (
    passes.AREA,
    kernels.AREA,
    scheduling.AREA,
    labels.AREA,
    journals.AREA,
    limits.AREA,
)
