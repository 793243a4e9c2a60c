"""Operations of every dialect, drawn: a recipe for each, and the functions that they stand in."""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from xdsl.dialects import func
from xdsl.dialects.builtin import FunctionType, ModuleOp, UnitAttr
from xdsl.ir import Attribute, Block, Operation, Region

from flowc.dialects.array import KernelOp
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE
from flowc.dialects.array.types import is_array_type
from flowc.dialects.flow.declarations import FuncOp, FunctionOp, ReturnOp
from flowc.dialects.plan import FuncOp as PlanFuncOp
from flowc.testing.strategies.choices import Choices
from flowc.testing.strategies.operations import agent, array, flow, irregular, machine, plan
from flowc.testing.strategies.operations.making import Making, Recipes


@frozen
class Home:
    """Where operations stand: a function of its own kind, which `close` makes of what was drawn.

    `ends` are operations that come with others: with the function, or with one of which it has the name.
    """

    recipes: Recipes
    end: Callable[[Making, Sequence[Attribute]], Operation]
    close: Callable[[Making, str], Operation]
    ends: Mapping[str, str]


def _function(kind: type[FunctionOp]) -> Callable[[Making, str], Operation]:
    def close(m: Making, name: str) -> Operation:
        result = flow.any_type(m)
        value = m.value(result)
        m.add(ReturnOp(value) if kind is FuncOp else plan.end(m, [result]))
        made = kind(
            name,
            flow.parameters(m, len(m.entry.args)),
            m.entry.last_op.operands[0].type if m.entry.last_op else result,
            Region(m.entry),
            effects=flow.effects(m),
            limits=flow.limits(m) if m.sometimes() else None,
            documentation=m.text() if m.sometimes() else None,
        )
        m.adorn(made)
        return made

    return close


def _kernel(m: Making, name: str) -> Operation:
    known = [value for value in m.visible if is_array_type(value.type)]
    m.add(array.end(m, [m.one(*known).type for _ in m.times()] if known else []))
    results = [value.type for value in m.entry.last_op.operands] if m.entry.last_op else []
    kernel = KernelOp(name, ([arg.type for arg in m.entry.args], results), Region(m.entry))
    for mark in (PRECISE, REPRODUCIBLE):
        if m.number(0, 3) == 0:
            kernel.attributes[mark] = UnitAttr()
    if m.number(0, 3) == 0:
        kernel.properties.pop("arg_attrs", None)
    return kernel


def _machine(m: Making, name: str) -> Operation:
    m.add(machine.end(m, ()))
    types = [arg.type for arg in m.entry.args]
    return func.FuncOp(name, FunctionType.from_lists(types, []), Region(m.entry))


HOMES: Mapping[str, Home] = {
    "flow": Home(
        flow.BODY | agent.BODY,
        flow.end,
        _function(FuncOp),
        {"flow.func": "", "flow.return": "", "flow.yield": "flow.if"},
    ),
    "array": Home(array.BODY | irregular.BODY, array.end, _kernel, {"array.kernel": "", "array.return": ""}),
    "machine": Home(machine.BODY, machine.end, _machine, {"loops.end": "loops.parallel"}),
    "plan": Home(plan.BODY, plan.end, _function(PlanFuncOp), {"plan.func": "", "plan.yield": ""}),
}
"""The functions in which operations stand."""

DECLARATIONS: Recipes = flow.DECLARATIONS | agent.DECLARATIONS


MOST = 8
"""Operations of a function, but for those that others bring with them."""


def drawn_module(choices: Choices, holding: str | None = None) -> ModuleOp:
    """A module of operations by their recipes: some declarations, and functions of a few operations.

    `holding` names an operation that one of them has.
    """
    top = Making(choices, Block(), DECLARATIONS, flow.end)
    if holding in DECLARATIONS:
        top.step(holding)
    top.steps(2)
    home = next((home for home in HOMES.values() if holding in {*home.recipes, *home.ends}), None)
    if home is not None:
        top.block.add_op(_function_of(choices, home, "f0", holding))
    if home is None or choices.flag():
        top.block.add_op(_function_of(choices, choices.one([*HOMES.values()]), "f1", None))
    return ModuleOp(Region(top.entry))


def _function_of(choices: Choices, home: Home, name: str, holding: str | None) -> Operation:
    making = Making(choices, Block(), home.recipes, home.end, budget=2 * MOST)
    making.steps(MOST // 2)
    if holding is not None and (first := home.ends.get(holding, holding)):
        making.step(first)
    making.steps(MOST // 2)
    return home.close(making, name)
