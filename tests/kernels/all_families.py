"""The families of kernels that have the shapes of real ones, by name."""

from collections.abc import Callable, Mapping

from flowc.testing.strategies.kernels import Program
from tests.kernels import borders, families, idioms, pairing, placing, points, windows
from tests.kernels.sketch import Sketch

FAMILIES: Mapping[str, Callable[[Sketch], Program]] = {
    each.__name__: each
    for each in (
        families.contractions, families.rows, families.attentions, families.convolutions, placing.scatters,
        placing.groupings, placing.searches, placing.chances, placing.joins, pairing.pairs,
        points.points, windows.windows, windows.weighted, windows.slices, borders.borders,
    )
}  # fmt: skip

IDIOMS: Mapping[str, Callable[[Sketch], Program]] = {
    each.__name__: each
    for each in (idioms.attended, idioms.scaled, idioms.byte_dots, idioms.turned, idioms.rounds)
}
"""The forms that passes look for, for campaigns alone: each of these passes has tests of its own."""
