"""What generated programs reached: operations of the IR, which of them met, passes that changed something.

>>> from flowc.dialects.text import parse_module
>>> full = context(everything=True)
>>> module = parse_module("%a = arith.constant 1 : i32 %b = arith.addi %a, %a : i32", ctx=full)
>>> sorted(operations(module).items()), sorted(pairs(module).items())
([('arith.addi', 1), ('arith.constant', 1)], [('arith.constant>arith.addi', 1)])
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from textwrap import fill

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from flowc.dialects.registry import OURS, context
from flowc.passes.kernel_passes import KERNEL_PASSES
from flowc.passes.pipelines import PASSES, PassStatistics


def _definitions() -> dict[str, type[Operation]]:
    known = context()
    for name in OURS:
        known.load_registered_dialect(name)
    loaded = {dialect.name: dialect for dialect in known.loaded_dialects}
    return {op.name: op for name in OURS for op in loaded[name].operations}


DEFINITIONS: Mapping[str, type[Operation]] = _definitions()
"""Every operation of every dialect of ours, by name."""

ALL_OPERATIONS: tuple[str, ...] = tuple(DEFINITIONS)
"""The names of all operations of our dialects; modules also hold xDSL's own."""

ALL_PASSES: tuple[str, ...] = (*PASSES, *KERNEL_PASSES)
"""The names of all passes, those over flows first."""


def operations(module: ModuleOp) -> Counter[str]:
    """How often each operation stands in a module, the module itself apart."""
    return Counter(op.name for op in module.walk() if op is not module)


def pairs(module: ModuleOp) -> Counter[str]:
    """How often one operation uses what another gives: `"a>b"` where b has a result of a among its operands.

    A value that one operation takes twice counts once.
    """
    found: Counter[str] = Counter()
    for op in module.walk():
        makers = {value.owner for value in op.operands if isinstance(value.owner, Operation)}
        found.update(f"{maker.name}>{op.name}" for maker in makers)
    return found


def fired(statistics: Iterable[PassStatistics]) -> Counter[str]:
    """How many runs of each pass changed something."""
    return Counter(each.name for each in statistics if each.fired)


def never(known: Iterable[str], seen: Mapping[str, int]) -> tuple[str, ...]:
    """What of all that is known was not seen, in order."""
    return tuple(name for name in known if not seen.get(name))


def table(counts: Mapping[str, int], *, most: int | None = None) -> str:
    """Names and numbers in two columns, the most frequent first; those beyond `most` in one line.

    >>> print(table({"cse": 12, "dce": 3, "inline": 1200}, most=2))
    inline  1,200
    cse        12
    and 1 more
    """
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    shown = rows[:most]
    wide = max((len(name) for name, _ in shown), default=0)
    digits = max((len(f"{count:,}") for _, count in shown), default=0)
    lines = [f"{name:<{wide}}  {count:>{digits},}" for name, count in shown]
    return "\n".join([*lines, f"and {len(rows) - len(shown):,} more"] if len(rows) > len(shown) else lines)


def coverage(
    operations: Mapping[str, int], pairs: Mapping[str, int], passes: Mapping[str, int], *, most: int = 10
) -> str:
    """What was reached, as text for people: how much of what there is, the most frequent, what never was.

    All operations and all passes are known. All pairs that could be are not, so their number stands alone.
    """
    parts = [
        _section("operations", ALL_OPERATIONS, operations, most),
        f"pairs of operations seen: {len(+Counter(pairs)):,}\n{table(pairs, most=most)}",
        _section("passes", ALL_PASSES, passes, most),
    ]
    return "\n\n".join(part.rstrip() for part in parts)


def _section(title: str, known: tuple[str, ...], seen: Mapping[str, int], most: int) -> str:
    missed = never(known, seen)
    head = f"{title} reached: {len(known) - len(missed)} of {len(known)}"
    text = f"{head}\n{table(seen, most=most)}"
    return f"{text}\n{fill('never: ' + ', '.join(missed), 110, break_on_hyphens=False)}" if missed else text
