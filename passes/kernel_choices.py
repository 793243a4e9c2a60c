"""choose-kernels: what is open about a kernel's code is chosen by hand.

Choices change the time that a kernel takes; what it computes, only where rounding depends on which operations
stand in one loop. They stand on it as
`array.choices = {recompute = 16 : i64, ...}`; what is not said is as without any. `decide-kernels` puts them
there by what the cost model expects.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from attrs import asdict, fields, frozen
from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, i64
from xdsl.passes import ModulePass

from flowc.dialects.array.kernel import KernelOp

CHOICES = "array.choices"
"""The attribute of a kernel that has its choices."""

NOTHING = -1
"""As `recompute`: every operator is stored, even one that is used once."""


@frozen
class Choices:
    """Numbers that a kernel's code is made with; each at its default where nothing is decided.

    `recompute`: an operator is recomputed where that takes so many more cheap operations an element than
    computing it once; `NOTHING` stores all. `strip`: columns of a tile where whole columns are needed.
    `near`: bytes of the right operand of a product up to which it is read where it lies; a larger one is
    packed. `work`: percent of the estimated work by which loops ask for threads.
    """

    recompute: int = 4
    strip: int = 128
    near: int = 1 << 16
    work: int = 100


DEFAULT = Choices()
BOUNDS: Mapping[str, tuple[int, int]] = {
    "recompute": (NOTHING, 1000),
    "strip": (16, 1 << 14),
    "near": (0, 1 << 40),
    "work": (0, 10_000),
}
"""The least and the greatest of each: what lies beyond is brought to them."""


def choices_of(kernel: KernelOp) -> Choices:
    """The choices of a kernel; what is no number, or of another name, says nothing."""
    given = kernel.attributes.get(CHOICES)
    if not isinstance(given, DictionaryAttr):
        return DEFAULT
    found = {
        name: min(max(value.value.data, BOUNDS[name][0]), BOUNDS[name][1])
        for name, value in given.data.items()
        if name in BOUNDS and isinstance(value, IntegerAttr)
    }
    return Choices(**found)


def choose(kernel: KernelOp, choices: Choices) -> None:
    """Puts choices on a kernel, those alone that differ from the defaults."""
    different = {
        name: IntegerAttr(value, i64)
        for name, value in asdict(choices).items()
        if value != getattr(DEFAULT, name)
    }
    kernel.attributes.pop(CHOICES, None)
    if different:
        kernel.attributes[CHOICES] = DictionaryAttr(different)


@dataclass(frozen=True)
class ChooseKernelsPass(ModulePass):
    """Puts the same choices on every kernel."""

    name = "choose-kernels"

    recompute: int = DEFAULT.recompute
    strip: int = DEFAULT.strip
    near: int = DEFAULT.near
    work: int = DEFAULT.work

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `choose` on every kernel."""
        wanted = Choices(**{each.name: getattr(self, each.name) for each in fields(Choices)})
        for kernel in op.walk():
            if isinstance(kernel, KernelOp):
                choose(kernel, wanted)
