"""What a region takes from around it."""

from xdsl.ir import Region, SSAValue


def captured(region: Region) -> list[SSAValue]:
    """The values that a region of one block uses and does not define, in the order of their first use."""
    found: dict[SSAValue, None] = {}
    _look_through(region, set(), found)
    return list(found)


def _look_through(region: Region, inside: set[SSAValue], found: dict[SSAValue, None]) -> None:
    for block in region.blocks:
        inside.update(block.args)
        for op in block.ops:  # what defines a value comes before its uses
            for operand in op.operands:
                if operand not in inside:
                    found[operand] = None
            inside.update(op.results)
            for inner in op.regions:
                _look_through(inner, inside, found)
