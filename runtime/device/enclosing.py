"""Limits of memory around the kernels of a plan: `with memory(2GB):` and those of flows.

What stands within a limit in the text is under it; a flow that is called from there has limits of its own.
"""

from collections.abc import Mapping

from flowc.runtime.plan import Node, Plan, Region


def enclosing_limits(plan: Plan) -> Mapping[int, int]:
    """The least limit of memory around each kernel's node, in bytes, by the identity of the node."""
    found: dict[int, int] = {}
    pending: list[tuple[Region, int | None]] = [
        (function.body, function.limits.memory) for function in plan.functions.values()
    ]
    while pending:
        region, limit = pending.pop()
        for node in region.nodes:
            if node.op == "kernel" and limit is not None:
                found[id(node)] = limit
            inner = _least(limit, node)
            pending.extend((each, inner) for each in node.regions)
    return found


def _least(limit: int | None, node: Node) -> int | None:
    own = node.settings.get("memory") if node.op == "limit" else None
    if not isinstance(own, int):
        return limit
    return own if limit is None else min(own, limit)
