"""Kernels that may use a GPU as steps of a plan."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from flowc.runtime.device.following import Following, Shapes, following, steps
from flowc.runtime.plan import Node, Plan
from flowc.runtime.scheduler.blocks import Body, Slots
from flowc.runtime.scheduler.session import Kernels


def may_use_device(kernel: Any) -> bool:
    """Whether a kernel can be told how much of a GPU's memory it may hold, and where its results go."""
    return hasattr(kernel, "in_plan")


def following_kernels(plan: Plan, kernels: Kernels) -> Mapping[int, Following]:
    """What follows the nodes of kernels that may use a GPU; nothing is looked at where there are none."""
    takes = {name for name, kernel in kernels.items() if may_use_device(kernel)}
    return following(plan, takes.__contains__) if takes else {}


def device_step(kernel: Any, node: Node, found: Following, kernels: Kernels) -> Body:
    """The body of a kernel that may use a GPU; one that is still to be placed may ask what follows."""
    names = {str(each.settings["kernel"]) for each in (node, *found.nodes)}
    shapes: dict[str, Shapes] = {name: cast(Any, kernels[name]).shapes for name in names}

    def step(slots: Slots) -> Any:
        return kernel.step([slots[slot] for slot in node.inputs], partial(steps, node, found, slots, shapes))

    return step
