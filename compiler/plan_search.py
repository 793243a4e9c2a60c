"""The plan search of -O3 from the compiler's side: pipelines become plans that can be tried."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from attrs import frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.plan import to_plan
from flowc.passes.pipelines import O1, O2, Pipeline, optimise
from flowc.passes.search.report import NO_CALLS, SearchReport
from flowc.passes.search.search import SearchRequest, search
from flowc.passes.search.space import Place, places_of
from flowc.passes.search.stand_ins import World
from flowc.passes.search.trials import Built, built
from flowc.runtime.kernels import load
from flowc.runtime.plan import Plan
from flowc.runtime.plan_check import entry

if TYPE_CHECKING:
    from flowc.compiler.backends.llvm import KernelObject

COMMON = O1[:-1]
"""The passes that all pipelines of a search begin with: their work is done once."""

Callables = Mapping[str, Callable[..., Any]]


@frozen
class Making:
    """How the compiler makes a plan: `room` is needed around its work, `complete` gives a plan what earlier
    runs have shown, `native` makes code of a module's kernels for this machine. `source` is the file of the
    program.
    """

    source: str
    room: Callable[[], AbstractContextManager[None]]
    complete: Callable[[Plan], Plan]
    native: Callable[[ModuleOp], "Mapping[str, KernelObject]"]


def searched(module: ModuleOp, request: SearchRequest, making: Making) -> SearchReport:
    """The search for a program, whose IR before any pass is `module`; it is changed.

    Its time begins when the plan of -O2 is there, with its kernels: they are needed anyway. Raises FlowError
    where the request names a flow that is not there, or arguments that do not fit it.
    """
    kernels: dict[bytes, Callables] = {}

    def planned(pipeline: Pipeline) -> tuple[Plan, ModuleOp, frozenset[Place]]:
        own = module.clone()
        done = optimise(own, pipeline[len(COMMON) :], verify=False)
        plan, found = to_plan(own, source=making.source, optimisation=3)
        return plan, found, places_of(own, done.remarks)

    def build(pipeline: Pipeline) -> Built:
        with making.room():
            plan, found, places = planned(pipeline)
            key = sha256(str(found).encode()).digest()
            if key not in kernels:
                kernels[key] = _loaded(making.native(found))
            return built(making.complete(plan), kernels[key], places)

    with making.room():
        optimise(module, COMMON)
        plan, _, _ = planned(O2)
    _check(request.world, plan)
    if not plan.operations:
        return SearchReport(request.goal, reason=NO_CALLS)
    build(O2)  # for its kernels, which take long and are the same in most plans
    start = time.monotonic()
    usual = build(O2)
    return search(request, build, usual, time.monotonic() - start)


def _check(world: World, plan: Plan) -> None:
    """Refuses a flow that is asked for and not there, and arguments that do not fit."""
    if world.flow is not None or world.arguments is not None:
        world.known(plan, entry(plan, world.flow))


def _loaded(made: "Mapping[str, KernelObject]") -> Callables:
    """Kernels as callables; none where a program has none."""
    return {} if not made else load(made["native"].object_code, made["native"].signatures)
