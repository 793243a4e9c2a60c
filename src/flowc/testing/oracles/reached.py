"""What generated programs reached: operations of the IR, which of them met, passes that changed something.

>>> from flowc.dialects.text import parse_module
>>> full = context(everything=True)
>>> module = parse_module("%a = arith.constant 1 : i32 %b = arith.addi %a, %a : i32", ctx=full)
>>> sorted(operations(module).items()), sorted(pairs(module).items())
([('arith.addi', 1), ('arith.constant', 1)], [('arith.constant>arith.addi', 1)])
"""

from collections import Counter
from collections.abc import Iterable, Mapping

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
