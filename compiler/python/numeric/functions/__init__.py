"""The functions that numeric code may call, one builder each, grouped by what they do."""

from flowc.compiler.python.numeric.functions import (
    creation,
    elementwise,
    joining,
    linear,
    positions,
    products,
    python,
    reductions,
    sampling,
    sequences,
    shapes,
)
from flowc.compiler.python.numeric.functions.registry import Implementation, entries, lookup
from flowc.runtime.dtypes import REAL_PARTS

GROUPS = {
    "Making arrays": creation,
    "Element by element": elementwise,
    "Reductions and scans": reductions,
    "Products": linear,
    "Attention and convolution": products,
    "Shapes": shapes,
    "Joining": joining,
    "Positions and sorting": positions,
    "Grouping and random numbers": sampling,
    "Python": python,
    "Sequences": sequences,
}
_under_masks = tuple(group.__name__ for group in (elementwise, reductions, sequences))
_nearest = {
    "save": "return the array and save it outside",
    "print": "return the value and print it outside",
    "svd": "call it outside of the compiled function",
    "eigh": "call it outside of the compiled function",
    "fft": "call it outside of the compiled function",
    "complex": REAL_PARTS,
    "imag": REAL_PARTS,
    "angle": "of two parts it is `np.arctan2(imaginary, real)`",
    "normal": "make random arrays outside and pass them in",
    "rand": "make random arrays outside and pass them in",
    "randn": "make random arrays outside and pass them in",
}


def find(function: object) -> Implementation | None:
    """The builder of a callable, None where it has no native form."""
    return lookup(function)


def nearest(function: object) -> str:
    """What to write instead of a callable that has none."""
    name = getattr(function, "__name__", "")
    return _nearest.get(name, "call it outside of the compiled function, or write what it does")


__all__ = ["GROUPS", "Implementation", "entries", "find", "nearest"]


def keeps_masks(implementation: Implementation) -> bool:
    """Whether a builder takes what a mask picks as it is, where it lies; others get an array of it."""
    return implementation.__module__ in _under_masks
