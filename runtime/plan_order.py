"""In which order the nodes of a plan may run: what each reads, and so what must end before it starts."""

from collections.abc import Iterable

from flowc.runtime.plan import Node, Region


def reads(node: Node) -> Iterable[int]:
    """The slots that must be written before `node` starts: its inputs and what its regions capture."""
    yield from node.inputs
    for region in node.regions:
        for outer, _ in region.captures:
            yield outer


def predecessors(region: Region) -> list[set[int]]:
    """For each node of `region` the indexes of the nodes that must end before it starts."""
    writer = {slot: index for index, node in enumerate(region.nodes) for slot in node.outputs}
    return [
        {writer[slot] for slot in reads(node) if slot in writer} | set(node.after) for node in region.nodes
    ]
