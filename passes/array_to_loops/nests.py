"""The structured operations inside another, found by looking at each operation once."""

from xdsl.ir import Operation


def nested(op: Operation) -> list[Operation]:
    """The operations within `op` that have regions, each before those within it.

    `Operation.walk` goes through a generator for every level around an operation, and gives all of them.
    """
    found = []
    for region in op.regions:
        for block in region.blocks:
            for inner in block.ops:
                if inner.regions:
                    found.append(inner)
                    found += nested(inner)
    return found
