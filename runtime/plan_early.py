"""What a plan may begin before it is wanted, or do once for many: such that nothing is left to undo."""

from collections.abc import Iterable, Mapping

from flowc.runtime.errors import broken_plan
from flowc.runtime.plan import Node, Plan, Region
from flowc.runtime.plan_order import predecessors, reads


def check_speculation(region: Region) -> None:
    """What starts early belongs to one `if`, and needs nothing that is not there by then."""
    starts = {node.outputs: node for node in region.nodes if node.op == "speculate"}
    handles = {slot for outputs in starts for slot in outputs}
    made = {slot for node in region.nodes for slot in node.outputs} if starts else set()
    if any(slot in handles for slot in region.results):
        raise broken_plan("what `speculate` gives is no result")
    for node in region.nodes:
        started = starts.pop(node.inputs[1:], None) if node.op == "if" else None
        if node.op == "if" and len(node.inputs) != (1 if started is None else 2):
            raise broken_plan(f"an `if` has {len(node.inputs)} inputs")
        if ({*reads(node)} - {*(started.outputs if started is not None else ())}) & handles:
            raise broken_plan("what `speculate` gives is read by something other than its `if`")
        if started is not None:
            _check_early(made, node, started)
    if starts:
        raise broken_plan("what `speculate` gives belongs to exactly one `if`")


def _check_early(made: set[int], node: Node, started: Node) -> None:
    early = node.settings.get("early")
    if not isinstance(early, list) or len(early) != len(node.regions):
        raise broken_plan("an `if` that starts early names the nodes that do, for each region")
    there = {*started.inputs}
    for inner, indexes in zip(node.regions, early, strict=True):
        chosen = {*indexes} if isinstance(indexes, list) else {None}
        if not chosen <= {*range(len(inner.nodes))}:
            raise broken_plan("an `if` names nodes to start early that its regions do not have")
        late = {slot for source, slot in inner.captures if source in made and source not in there}
        before = predecessors(inner)
        for index in chosen:
            if isinstance(index, int) and (before[index] - chosen or late & {*reads(inner.nodes[index])}):
                raise broken_plan("a node that starts early waits for something that does not")


def check_ahead(plan: Plan) -> None:
    """What may begin with a part of an answer leaves nothing to undo; of a plan only such steps begin."""
    inside = {name: _inside(function.body.nodes) for name, function in plan.functions.items()}
    ahead = [node for nodes in inside.values() for node in nodes if "ahead" in node.settings]
    lasting = _lasting_flows(plan, inside) if ahead else set()
    for node in ahead:
        is_sound = node.settings["ahead"] is True and node.op != "speculate"
        lasts = node.op != "execute" and any(_lasts(plan, each, lasting) for each in _inside([node]))
        if not is_sound or lasts:
            raise broken_plan(f"`{node.name}` cannot begin before what it reads is there")


def _lasting_flows(plan: Plan, inside: Mapping[str, list[Node]]) -> set[str]:
    """The flows that do, or call, something of which more may be left than its result."""
    callers: dict[str, list[str]] = {}
    for name, nodes in inside.items():
        for node in nodes:
            if node.op == "call":
                callers.setdefault(str(node.settings.get("function")), []).append(name)
    found = [name for name, nodes in inside.items() if any(_lasts(plan, node, set()) for node in nodes)]
    known = {*found}
    for name in found:
        new = {*callers.get(name, ())} - known
        known |= new
        found += new
    return known


def _lasts(plan: Plan, node: Node, lasting: set[str]) -> bool:
    """Whether a node by itself, without its regions, may leave more than its result; `lasting` flows do."""
    calls = node.op == "call" and str(node.settings.get("function")) in lasting
    lasts = node.op in ("human", "sleep", "execute")
    return calls or lasts or not _effects(plan, node) <= {"pure", "reads", "llm"}


def _inside(nodes: Iterable[Node]) -> list[Node]:
    """Nodes, and all in their regions."""
    inside = [*nodes]
    for each in inside:
        inside += [inner for region in each.regions for inner in region.nodes]
    return inside


def _effects(plan: Plan, node: Node) -> set[str]:
    """The kinds of the effects that an operation or a flow declares."""
    operation = plan.operations.get(str(node.settings.get("operation")))
    function = plan.functions.get(str(node.settings.get("function"))) if node.op == "call" else None
    return {effect.kind for each in (operation, function) if each is not None for effect in each.effects}


def may_share(plan: Plan, node: Node) -> bool:
    """Whether equal calls may be one, as far as a node and its operation can tell."""
    if node.settings["share"] != "batch" or node.op not in ("tool", "generate", "embed"):
        return False
    if node.op == "embed":
        return True
    operation = plan.operations[str(node.settings.get("operation"))]
    if node.op == "generate":
        return operation.cached or operation.temperature == 0
    kinds = {effect.kind for effect in operation.effects}
    return kinds <= {"pure", "reads", "writes"} and all(
        effect.idempotent for effect in operation.effects if effect.kind == "writes"
    )
