"""What a region takes from around it."""

from xdsl.ir import Region, SSAValue


def captured(region: Region) -> list[SSAValue]:
    """The values that a region of one block uses and does not define, in the order of their first use."""
    inside: set[SSAValue] = set(region.block.args)
    found: dict[SSAValue, None] = {}
    for op in region.walk():  # what defines a value comes before its uses
        found.update((operand, None) for operand in op.operands if operand not in inside)
        inside.update(op.results)
        for inner in op.regions:
            for block in inner.blocks:
                inside.update(block.args)
    return list(found)
