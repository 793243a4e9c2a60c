"""The back end that makes plans: flow IR -> plan dialect -> the runtime's `Plan`."""

from collections.abc import Callable

from attrs import evolve
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.plan.assemble import assemble
from flowc.compiler.backends.plan.select import select
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.cost.learned import expectations_of
from flowc.runtime.plan import Plan


def to_plan(
    module: ModuleOp,
    *,
    source: str = "",
    optimisation: int = 2,
    watch: Callable[[ModuleOp], None] | None = None,
) -> tuple[Plan, ModuleOp]:
    """The plan of a module, and a module with its kernels, for the native back end. `watch` sees the plan in
    the plan dialect.

    Array operators must have been outlined into kernels before.
    """
    selected = select(module)
    if watch is not None:
        watch(selected)
    plan = assemble(selected, source=source, optimisation=optimisation)
    return evolve(plan, expectations=expectations_of(module)), kernels_of(module)


def kernels_of(module: ModuleOp) -> ModuleOp:
    """A module with copies of the kernels alone."""
    kernels = ModuleOp([op.clone() for op in module.ops if isinstance(op, KernelOp)])
    kernels.location = module.location
    return kernels


__all__ = ["assemble", "kernels_of", "select", "to_plan"]
