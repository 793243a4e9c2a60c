"""decide-kernels: what is open about a kernel's code, decided by what the cost model expects.

Every other way of a kernel is compared with its usual one for the sizes that arrays usually have. One is
taken where it is expected to be faster, by more than it is unsure: else all stays as the fixed prices of
`array_costs` have it.
"""

from collections.abc import Mapping, Sequence, Set

from attrs import evolve, frozen
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from flowc.dialects.array.kernel import KernelOp
from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.variant_features import difference, outline, row
from flowc.passes.cost.variant_model import UNKNOWN, Change, VariantModel, change, chosen
from flowc.passes.framework import line_of
from flowc.passes.fuse_array import prepare_to_fuse
from flowc.passes.kernel_alternatives import QUESTIONS, Way, alternatives, default_way, name_of
from flowc.passes.kernel_choices import DEFAULT, Choices, choices_of, choose
from flowc.passes.usual_sizes import Sizes, usual_sizes

CAUTION = 0.1
"""How much of the distance to the 90 percent point counts against a way: what is unsure stays as it is."""
LEAST_GAIN = 0.015
"""By which binary logarithm a way must be faster: less is noise, and the machine code is new."""
MOST_OPERATORS = 400
"""Of a kernel that is decided about: looking at every way of a long one would take its time."""


@frozen(eq=False)
class Judged:
    """A way, and what it is expected to change against the usual one: the mean over some sizes."""

    way: Way
    change: Change

    @property
    def score(self) -> float:
        """What it changes, held to be worse the less sure that is."""
        return self.change.middle + CAUTION * (self.change.high - self.change.middle)


def decide_ready(module: ModuleOp) -> None:
    """Puts choices on every kernel of a module whose kernels are ready to be fused."""
    for op in module.ops:
        if isinstance(op, KernelOp):
            choose(op, decided(op))


def decided(kernel: KernelOp) -> Choices:
    """The choices for a kernel that is ready to be fused; those that it has where some were made."""
    found = judged(kernel, usual_sizes(kernel))
    return _together(choices_of(kernel), best(found))


def judged(kernel: KernelOp, calls: Sequence[Sizes]) -> Sequence[Judged]:
    """All other ways of a kernel that is ready to be fused, as they are expected to be for some sizes."""
    if sum(1 for _ in kernel.walk()) > MOST_OPERATORS:
        return []
    usual = default_way(kernel)
    ways = alternatives(kernel, usual)
    if not ways:
        return []
    model = chosen().model
    known = outline(usual)
    return [
        Judged(way, _mean([_change(model, row(known, difference(usual, way), sizes)) for sizes in calls]))
        for way in ways
    ]


def best(found: Sequence[Judged]) -> Mapping[str, Judged]:
    """The way to take for each choice, where there is one better than the usual."""
    taken: dict[str, Judged] = {}
    for each in found:
        better = taken.get(each.way.choice)
        if each.score < -LEAST_GAIN and (better is None or each.score < better.score):
            taken[each.way.choice] = each
    return taken


def decisions(
    kernel: KernelOp, sizes: Sizes, milliseconds: float, asked: Set[str] = frozenset(QUESTIONS)
) -> Sequence[Decision]:
    """What was decided about a kernel that is ready to be fused, as records with the times expected for some
    sizes, given that of its code. Of tiles and products only what is `asked` in its lowering is a question.
    """
    taken = best(judged(kernel, usual_sizes(kernel)))
    found = judged(kernel, [sizes])
    records = []
    for choice in dict.fromkeys(each.way.choice for each in found):
        if choice == "recompute" or choice in asked:
            ways = [each for each in found if each.way.choice == choice]
            records.append(_record(kernel, choice, ways, taken.get(choice), milliseconds))
    return records


def _record(
    kernel: KernelOp, choice: str, ways: Sequence[Judged], taken: Judged | None, milliseconds: float
) -> Decision:
    names = {each.way.name: each.change.middle for each in ways}
    default = name_of(choice, DEFAULT)
    chosen_name = default if taken is None else taken.way.name
    usual = milliseconds / 2 ** names.get(chosen_name, 0.0)
    others = [Alternative(name, usual * 2**middle) for name, middle in names.items()]
    return Decision(
        QUESTIONS[choice],
        line_of(kernel),
        chosen_name,
        (Alternative(default, usual), *others),
        0.0 if taken is None else usual - milliseconds,
        taken is not None and taken.change.high <= 0,
        f"in {kernel.sym_name.data}",
        "ways measured side by side" if all(each.change.known for each in ways) else "fixed prices",
    )


def _together(choices: Choices, taken: Mapping[str, Judged]) -> Choices:
    for choice, each in taken.items():
        choices = evolve(choices, **{choice: getattr(each.way.choices, choice)})
    return choices


def _change(model: VariantModel | None, features: Sequence[float]) -> Change:
    return UNKNOWN if model is None else change(model, features)


def _mean(found: Sequence[Change]) -> Change:
    count = len(found)
    return Change(
        sum(each.low for each in found) / count,
        sum(each.middle for each in found) / count,
        sum(each.high for each in found) / count,
        all(each.known for each in found),
    )


def decide_kernels(module: ModuleOp) -> int:
    """Puts choices on every kernel of the module for which another way is better; gives on how many."""
    kernels = [op for op in module.walk() if isinstance(op, KernelOp)]
    ready = [kernel.clone() for kernel in kernels]
    prepare_to_fuse(ModuleOp(ready))
    count = 0
    for kernel, copy in zip(kernels, ready, strict=True):
        choices = decided(copy)
        count += choices != choices_of(kernel)
        choose(kernel, choices)
    return count


class DecideKernelsPass(ModulePass):
    """Chooses how kernels are fused, tiled and multiplied."""

    name = "decide-kernels"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `decide_kernels`."""
        decide_kernels(op)
