"""Which of the ways of grouping is taken."""

from flowc.passes.array_to_gpu.either import either
from flowc.passes.array_to_gpu.irregular.fixed_point import by_fixed_point
from flowc.passes.array_to_gpu.irregular.grouping import Grouping
from flowc.passes.array_to_gpu.irregular.owned import WINDOW, by_owners
from flowc.passes.array_to_gpu.irregular.tables import by_table, has_table
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars


def group(s: DeviceLowering, g: Grouping) -> None:
    """Launches that combine the elements of each group: in tables of warps where these have room for all
    groups, as then many elements come to the same group at once; products of floats always."""
    if g.kind == "prod" and g.dtype == "f64":
        by_owners(s, g, used=True)()
        return
    many = by_table if has_table(g) else by_fixed_point
    if isinstance(g.entries, int):
        (by_owners if g.entries <= WINDOW else many)(s, g, True)()
        return
    few = s.b.compare("sle", g.entries, s.b.index(WINDOW))
    not_few = scalars.apply(s.b, "not", "bool", [few])
    owned, shared = by_owners(s, g, few), many(s, g, not_few)
    either(s, few, owned, shared)
