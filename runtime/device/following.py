"""What follows a kernel in a plan: whether its results may stay on the GPU, and which calls come next.

Results stay where they are computed if kernels alone read them, and each of these can take what lies on a
GPU. All else in a plan (tools, control flow, what a flow returns) finds host memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.plan import Node, Plan, Region

MOST_AHEAD = 8
"""Calls that a placement looks ahead."""


@frozen
class Coming:
    """The result of a call of a chain, before it is there."""

    shape: tuple[int, ...]


@frozen(eq=False)
class Step:
    """A call that follows: its kernel, and its arguments as far as they are there; those that a call of the
    chain makes are Coming."""

    kernel: str
    arguments: tuple[Any, ...]


Ahead = Callable[[], Sequence[Step]]
"""Works out the calls that follow one."""


@frozen(eq=False)
class Following:
    """Of a kernel's node: whether its results `stay` on the GPU, and the nodes of kernels after it, each the
    only reader of what the one before gives."""

    stay: bool = False
    nodes: tuple[Node, ...] = ()


ALONE = Following()


def following(plan: Plan, takes: Callable[[str], bool]) -> Mapping[int, Following]:
    """What follows the nodes of kernels, by their identity; `takes` says of a kernel's name whether it takes
    what lies on a GPU."""
    found: dict[int, Following] = {}
    pending = [function.body for function in plan.functions.values()]
    while pending:
        region = pending.pop()
        pending.extend(inner for node in region.nodes for inner in node.regions)
        readers = _readers(region, takes)
        for node in region.nodes:
            if _is_taking(node, takes):
                found[id(node)] = _of(node, readers)
    return found


def _is_taking(node: Node, takes: Callable[[str], bool]) -> bool:
    return node.op == "kernel" and takes(str(node.settings.get("kernel")))


def _readers(region: Region, takes: Callable[[str], bool]) -> Mapping[int, list[Node]]:
    """Who reads each slot, in order; of slots that something else reads too than kernels that take it,
    nobody."""
    readers: dict[int, list[Node]] = {}
    others = {*region.results, *(own for own in _captured(region))}
    for node in region.nodes:
        if _is_taking(node, takes):
            for slot in dict.fromkeys(node.inputs):
                readers.setdefault(slot, []).append(node)
        else:
            others.update(node.inputs)
    return {slot: nodes for slot, nodes in readers.items() if slot not in others}


def _captured(region: Region) -> Sequence[int]:
    return [slot for node in region.nodes for inner in node.regions for slot, _ in inner.captures]


def _of(node: Node, readers: Mapping[int, list[Node]]) -> Following:
    stay = _stays(node, readers)
    nodes: list[Node] = []
    while _stays(node, readers) and len(nodes) < MOST_AHEAD:
        after = {id(each): each for slot in node.outputs for each in readers[slot]}
        if len(after) != 1:
            break
        (node,) = after.values()
        nodes.append(node)
    return Following(stay, tuple(nodes))


def _stays(node: Node, readers: Mapping[int, list[Node]]) -> bool:
    return bool(node.outputs) and all(slot in readers for slot in node.outputs)


Shapes = Callable[[Sequence[Any]], Sequence[tuple[int, ...]]]
"""The shapes of a kernel's results, from arguments of which only shapes and numbers are looked at."""


def steps(node: Node, found: Following, slots: Sequence[Any], shapes: Mapping[str, Shapes]) -> list[Step]:
    """The calls that follow a node, as far as all their arguments are there or coming."""
    coming: dict[int, Any] = {}
    calls: list[Step] = []
    for before, each in zip((node, *found.nodes), found.nodes, strict=False):
        name = str(before.settings["kernel"])
        arguments = calls[-1].arguments if calls else tuple(slots[slot] for slot in before.inputs)
        try:
            extents = shapes[name](arguments)
        except (LookupError, TypeError, ValueError, AttributeError):
            break  # arguments that the call itself will refuse
        coming |= {slot: Coming(shape) for slot, shape in zip(before.outputs, extents, strict=True)}
        arguments = tuple(coming.get(slot, slots[slot]) for slot in each.inputs)
        if any(argument is None for argument in arguments):
            break
        calls.append(Step(str(each.settings["kernel"]), arguments))
    return calls


def all_arrays(signature: KernelSignature) -> bool:
    """Whether all results have axes: numbers are of no use on a GPU."""
    return all(result.dims for result in signature.results)
