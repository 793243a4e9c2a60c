"""Grouping into many groups: one table in memory, whose entries threads change as they come.

The entries are integers, so that no order matters: numbers as they are, or, for extremes of floats, keys of
the same order; sums of floats are in `fixed_point`.
"""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.ir import SSAValue

from flowc.dialects.array.types import is_float
from flowc.passes.array_to_gpu.irregular.atomics import change
from flowc.passes.array_to_gpu.irregular.grouping import Grouping, Visit, kept, visit
from flowc.passes.array_to_gpu.launch import only_if, sweep
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.irregular import keys


def has_table(g: Grouping) -> bool:
    """Whether integers can stand for what is combined."""
    return not is_float(g.dtype) or g.kind in ("min", "max")


def by_table(s: DeviceLowering, g: Grouping, used: SSAValue | bool) -> Callable[[], None]:
    """Memory for the table, where this way is `used`; gives what launches it."""
    form = keys.key_form(g.dtype)
    held = form.type if is_float(g.dtype) else scalars.stored_type(g.dtype)
    table = s.allocate(held, [kept(s, used, g.entries)])
    kind = f"u{g.kind}" if is_float(g.dtype) else g.kind

    def start(at: Sequence[Index]) -> None:
        s.b.store(_encoded(s, g, s.b.constant(g.start, scalars.held_type(g.dtype))), table, at)

    def read(at: Sequence[Index]) -> Sequence[SSAValue]:
        entry, has = g.entry(at)
        return entry, has, _encoded(s, g, g.value(at))

    def act(element: Sequence[SSAValue]) -> None:
        entry, has, value = element
        only_if(s, has, lambda: change(s, kind, value, table, [entry]))

    def finish(at: Sequence[Index]) -> None:
        g.finish(at[0], _decoded(s, g, s.b.load(table, at)))

    def run() -> None:
        sweep(s, [g.entries], start, f"{g.name}_begin")
        visit(s, g.name, Visit(g.sizes, read, act))
        sweep(s, [g.entries], finish, f"{g.name}_finish")

    return run


def _encoded(s: DeviceLowering, g: Grouping, value: SSAValue) -> SSAValue:
    """A value as the table has it; NaN is the greatest key, of minima the least."""
    if not is_float(g.dtype):
        return value
    form = keys.key_form(g.dtype)
    key = keys.encode(s.b, form, value, zeros_equal=False)
    if g.kind == "max":
        return key
    strange = s.b.insert(arith.CmpfOp(value, value, "uno"))
    return s.b.select(strange, s.b.constant(0, form.type), key)


def _decoded(s: DeviceLowering, g: Grouping, value: SSAValue) -> SSAValue:
    return keys.decode(s.b, keys.key_form(g.dtype), value) if is_float(g.dtype) else value
