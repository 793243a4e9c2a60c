"""What must hold of a plan before it runs: slots in range and written once, known ops, no cycle."""

from collections.abc import Iterable, Mapping

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import Function, Node, Plan, Region

REGIONS: Mapping[str, int | None] = {
    "apply": 0,
    "record": 0,
    "field": 0,
    "list": 0,
    "dict": 0,
    "tuple": 0,
    "item": 0,
    "cast": 0,
    "kernel": 0,
    "call": 0,
    "tool": 0,
    "generate": 0,
    "human": 0,
    "embed": 0,
    "execute": 0,
    "speculate": 0,
    "map": 1,
    "generate_batch": 1,
    "if": 2,
    "for": 1,
    "while": 2,
    "race": None,
    "vote": 1,
    "attempt": 2,
    "limit": 1,
}
"""How many regions a node of each op has; None is one or more."""


def check_plan(plan: Plan) -> None:
    """Raises `FlowError` E0644 at the first thing in `plan` that cannot run. Its cost is linear in the
    plan.
    """
    _check_recursion(plan)
    for function in plan.functions.values():
        if len(function.body.parameters) != len(function.parameters):
            raise _broken(f"flow `{function.name}` and its body differ in their parameters")
        if len(function.body.results) != 1:
            raise _broken(
                f"the body of flow `{function.name}` has {len(function.body.results)} results, not one"
            )
        if function.body.captures:
            raise _broken(f"the body of flow `{function.name}` captures slots, and nothing is around it")
        _check_region(plan, function.body, outer=0)
    _check_ahead(plan)


def _broken(what: str) -> FlowError:
    return fail("E0644", "this is not a plan that flowc can run", why=what, help="compile the program again")


def _check_region(plan: Plan, region: Region, outer: int) -> None:
    slots = len(region.parameters) + len(region.captures) + len(region.constants)
    slots += sum(len(node.outputs) for node in region.nodes)
    if region.size > slots:  # they would take memory for nothing, however much that is
        raise _broken(f"a region has {region.size} slots, and only {slots} are written")
    written = [False] * region.size

    def write(slot: int) -> None:
        if not 0 <= slot < region.size:
            raise _broken(f"slot {slot} lies outside a region of {region.size}")
        if written[slot]:
            raise _broken(f"slot {slot} is written twice")
        written[slot] = True

    for slot in region.parameters:
        write(slot)
    for source, slot in region.captures:
        if not 0 <= source < outer:
            raise _broken(f"captured slot {source} lies outside the enclosing region of {outer}")
        write(slot)
    for slot, _ in region.constants:
        write(slot)
    for node in region.nodes:
        for slot in node.outputs:
            write(slot)
    for slot in (*region.results, *(slot for node in region.nodes for slot in reads(node))):
        if not (0 <= slot < region.size and written[slot]):
            raise _broken(f"slot {slot} is read and never written")
    _check_order(region)
    _check_speculation(region)
    for node in region.nodes:
        _check_node(plan, node)
        for inner in node.regions:
            _check_region(plan, inner, region.size)


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


def _check_order(region: Region) -> None:
    """Kahn's algorithm: a node that never becomes ready stands in a cycle."""
    before = predecessors(region)
    dependents: list[list[int]] = [[] for _ in before]
    for index, earlier in enumerate(before):
        for other in earlier:
            if not 0 <= other < len(before):
                raise _broken(f"node {index} waits for node {other}, which does not exist")
            dependents[other].append(index)
    missing = [len(earlier) for earlier in before]
    ready = [index for index, count in enumerate(missing) if not count]
    done = 0
    while ready:
        done += 1
        for index in dependents[ready.pop()]:
            missing[index] -= 1
            if not missing[index]:
                ready.append(index)
    if done != len(before):
        raise _broken(f"{len(before) - done} nodes wait for each other")


def _check_speculation(region: Region) -> None:
    """What starts early belongs to one `if`, and needs nothing that is not there by then."""
    starts = {node.outputs: node for node in region.nodes if node.op == "speculate"}
    handles = {slot for outputs in starts for slot in outputs}
    made = {slot for node in region.nodes for slot in node.outputs} if starts else set()
    if any(slot in handles for slot in region.results):
        raise _broken("what `speculate` gives is no result")
    for node in region.nodes:
        started = starts.pop(node.inputs[1:], None) if node.op == "if" else None
        if node.op == "if" and len(node.inputs) != (1 if started is None else 2):
            raise _broken(f"an `if` has {len(node.inputs)} inputs")
        if ({*reads(node)} - {*(started.outputs if started is not None else ())}) & handles:
            raise _broken("what `speculate` gives is read by something other than its `if`")
        if started is not None:
            _check_early(made, node, started)
    if starts:
        raise _broken("what `speculate` gives belongs to exactly one `if`")


def _check_early(made: set[int], node: Node, started: Node) -> None:
    early = node.settings.get("early")
    if not isinstance(early, list) or len(early) != len(node.regions):
        raise _broken("an `if` that starts early names the nodes that do, for each region")
    there = {*started.inputs}
    for inner, indexes in zip(node.regions, early, strict=True):
        chosen = {*indexes} if isinstance(indexes, list) else {None}
        if not chosen <= {*range(len(inner.nodes))}:
            raise _broken("an `if` names nodes to start early that its regions do not have")
        late = {slot for source, slot in inner.captures if source in made and source not in there}
        before = predecessors(inner)
        for index in chosen:
            if isinstance(index, int) and (before[index] - chosen or late & {*reads(inner.nodes[index])}):
                raise _broken("a node that starts early waits for something that does not")


def _check_node(plan: Plan, node: Node) -> None:
    if node.op not in REGIONS:
        raise _broken(f"`{node.op}` is no instruction that this runtime knows")
    wanted = REGIONS[node.op]
    if (not node.regions) if wanted is None else (len(node.regions) != wanted):
        raise _broken(f"a `{node.op}` has {len(node.regions)} regions")
    for region, count in zip(node.regions, _results(node), strict=False):
        if len(region.results) != count:
            raise _broken(f"a region of a `{node.op}` has {len(region.results)} results, not {count}")
    if node.op == "generate_batch":
        _check_batch(node)
    if node.op in ("tool", "generate", "human"):
        name = node.settings.get("operation")
        if name not in plan.operations:
            raise _broken(f"operation {name!r} is not declared")
    if "stream" in node.settings and (node.op != "generate" or node.settings["stream"] is not True):
        raise _broken(f"`{node.name}` gives no answer that could be read while it comes")
    if "share" in node.settings and not _may_share(plan, node):
        raise _broken(f"the runs of a batch cannot share `{node.name}`: its calls may differ, or write")
    if node.op == "call" and node.settings.get("function") not in plan.functions:
        raise _broken(f"flow {node.settings.get('function')!r} is not in the plan")
    if node.op == "record" and node.settings.get("record") not in plan.records:
        raise _broken(f"record {node.settings.get('record')!r} is not in the plan")


def _results(node: Node) -> tuple[int, ...]:
    """How many results each region of a node has."""
    match node.op:
        case "map" | "generate_batch":
            return (2 if node.settings.get("filtered") else 1,)
        case "vote":
            return (1,)
        case "for":
            return (len(node.inputs),)
        case "while":
            return 1, len(node.inputs)
    return (len(node.outputs),) * len(node.regions)


BATCHED = ("apply", "record", "field", "list", "dict", "tuple", "item", "cast", "generate", "if")
"""What may stand in the region of a `generate_batch`."""


def _check_batch(node: Node) -> None:
    """What is in it runs on the loop, so that nothing else than questions may take long."""
    inside = [*node.regions[0].nodes]
    for each in inside:
        if each.op not in BATCHED:
            raise _broken(f"a `generate_batch` holds no `{each.op}`")
        inside += [inner for region in each.regions for inner in region.nodes]
    if not any(each.op == "generate" for each in inside):
        raise _broken("a `generate_batch` without a `generate`")


def _check_ahead(plan: Plan) -> None:
    """What may begin with a part of an answer leaves nothing to undo; of a plan only such steps begin."""
    inside = {name: _inside(function.body.nodes) for name, function in plan.functions.items()}
    ahead = [node for nodes in inside.values() for node in nodes if "ahead" in node.settings]
    lasting = _lasting_flows(plan, inside) if ahead else set()
    for node in ahead:
        is_sound = node.settings["ahead"] is True and node.op != "speculate"
        lasts = node.op != "execute" and any(_lasts(plan, each, lasting) for each in _inside([node]))
        if not is_sound or lasts:
            raise _broken(f"`{node.name}` cannot begin before what it reads is there")


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
    return calls or node.op in ("human", "execute") or not _effects(plan, node) <= {"pure", "reads", "llm"}


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


def _may_share(plan: Plan, node: Node) -> bool:
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


def _callees(region: Region) -> Iterable[str]:
    for node in region.nodes:
        if node.op == "call":
            yield str(node.settings.get("function"))
        for inner in node.regions:
            yield from _callees(inner)


def _check_recursion(plan: Plan) -> None:
    """A flow that reaches itself would run for ever; programs cannot say it, so a plan must not either."""
    callees = {name: sorted(set(_callees(function.body))) for name, function in plan.functions.items()}
    finished: set[str] = set()
    for root in callees:
        path: dict[str, None] = {}
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                finished.add(path.popitem()[0])
            elif name in path:
                raise _broken(f"flow `{name}` calls itself")
            elif name not in finished:
                path[name] = None
                stack.append((name, True))
                stack.extend((callee, False) for callee in callees.get(name, ()))


def entry(plan: Plan, name: str | None) -> Function:
    """The flow to run: `name`, else `main`, else the only one; raises E0701 where that is not clear."""
    if name is None:
        name = "main" if "main" in plan.functions else next(iter(plan.functions), None)
        if name != "main" and len(plan.functions) != 1:
            raise fail(
                "E0701",
                "which flow to run is not clear",
                why=f"the program has {len(plan.functions)} flows and none is called `main`",
                help="name one of: " + ", ".join(sorted(plan.functions)),
            )
    if name is None or name not in plan.functions:
        raise fail(
            "E0701",
            f"there is no flow `{name}`",
            help="the program has: " + (", ".join(sorted(plan.functions)) or "none at all"),
        )
    return plan.functions[name]
