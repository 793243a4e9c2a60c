"""What must hold of a plan before it runs: slots in range and written once, known ops, no cycle."""

from collections.abc import Iterable, Mapping

from flowc.runtime.errors import broken_plan, fail
from flowc.runtime.plan import Function, Node, Plan, Region
from flowc.runtime.plan_early import check_ahead, check_speculation, may_share
from flowc.runtime.plan_order import predecessors, reads

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
    "sleep": 0,
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
    "transaction": 1,
}
"""How many regions a node of each op has; None is one or more."""


def check_plan(plan: Plan) -> None:
    """Raises `FlowError` E0644 at the first thing in `plan` that cannot run. Its cost is linear in the
    plan.
    """
    _check_recursion(plan)
    for function in plan.functions.values():
        if len(function.body.parameters) != len(function.parameters):
            raise broken_plan(f"flow `{function.name}` and its body differ in their parameters")
        if len(function.body.results) != 1:
            raise broken_plan(
                f"the body of flow `{function.name}` has {len(function.body.results)} results, not one"
            )
        if function.body.captures:
            raise broken_plan(f"the body of flow `{function.name}` captures slots, and nothing is around it")
        _check_region(plan, function.body, outer=0)
    check_ahead(plan)


def _check_region(plan: Plan, region: Region, outer: int) -> None:
    slots = len(region.parameters) + len(region.captures) + len(region.constants)
    slots += sum(len(node.outputs) for node in region.nodes)
    if not 0 <= region.size <= slots:  # they would take memory for nothing, however much that is
        raise broken_plan(f"a region has {region.size} slots, and only {slots} are written")
    written = [False] * region.size

    def write(slot: int) -> None:
        if not 0 <= slot < region.size:
            raise broken_plan(f"slot {slot} lies outside a region of {region.size}")
        if written[slot]:
            raise broken_plan(f"slot {slot} is written twice")
        written[slot] = True

    for slot in region.parameters:
        write(slot)
    for source, slot in region.captures:
        if not 0 <= source < outer:
            raise broken_plan(f"captured slot {source} lies outside the enclosing region of {outer}")
        write(slot)
    for slot, _ in region.constants:
        write(slot)
    for node in region.nodes:
        for slot in node.outputs:
            write(slot)
    for slot in (*region.results, *(slot for node in region.nodes for slot in reads(node))):
        if not (0 <= slot < region.size and written[slot]):
            raise broken_plan(f"slot {slot} is read and never written")
    _check_order(region)
    check_speculation(region)
    for node in region.nodes:
        _check_node(plan, node)
        for inner in node.regions:
            _check_region(plan, inner, region.size)


def _check_order(region: Region) -> None:
    """Kahn's algorithm: a node that never becomes ready stands in a cycle."""
    before = predecessors(region)
    dependents: list[list[int]] = [[] for _ in before]
    for index, earlier in enumerate(before):
        for other in earlier:
            if not 0 <= other < len(before):
                raise broken_plan(f"node {index} waits for node {other}, which does not exist")
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
        raise broken_plan(f"{len(before) - done} nodes wait for each other")


def _check_node(plan: Plan, node: Node) -> None:
    if node.op not in REGIONS:
        raise broken_plan(f"`{node.op}` is no instruction that this runtime knows")
    wanted = REGIONS[node.op]
    if (not node.regions) if wanted is None else (len(node.regions) != wanted):
        raise broken_plan(f"a `{node.op}` has {len(node.regions)} regions")
    for region, count in zip(node.regions, _results(node), strict=False):
        if len(region.results) != count:
            raise broken_plan(f"a region of a `{node.op}` has {len(region.results)} results, not {count}")
    if node.op == "generate_batch":
        _check_batch(node)
    if node.op in ("tool", "generate", "human"):
        name = node.settings.get("operation")
        if name not in plan.operations:
            raise broken_plan(f"operation {name!r} is not declared")
    if "stream" in node.settings and (node.op != "generate" or node.settings["stream"] is not True):
        raise broken_plan(f"`{node.name}` gives no answer that could be read while it comes")
    if "share" in node.settings and not may_share(plan, node):
        raise broken_plan(f"the runs of a batch cannot share `{node.name}`: its calls may differ, or write")
    if node.op == "call" and node.settings.get("function") not in plan.functions:
        raise broken_plan(f"flow {node.settings.get('function')!r} is not in the plan")
    if node.op == "record" and node.settings.get("record") not in plan.records:
        raise broken_plan(f"record {node.settings.get('record')!r} is not in the plan")


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
    if not node.inputs:
        raise broken_plan("a `generate_batch` of no list")
    inside = [*node.regions[0].nodes]
    for each in inside:
        if each.op not in BATCHED:
            raise broken_plan(f"a `generate_batch` holds no `{each.op}`")
        inside += [inner for region in each.regions for inner in region.nodes]
    if not any(each.op == "generate" for each in inside):
        raise broken_plan("a `generate_batch` without a `generate`")


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
                raise broken_plan(f"flow `{name}` calls itself")
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
