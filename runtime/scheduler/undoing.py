"""Calls that take back others: bound once, before the run, as tool nodes of their own."""

from flowc.runtime.plan import Node, Operation, Plan, Region
from flowc.runtime.scheduler.blocks import RESULT, Binder, Block, Undo

GIVEN = "result"
"""The parameter by which an undo is given what the call gave."""


def has_transactions(plan: Plan) -> bool:
    """Whether anything in a plan may have to be taken back."""
    pending = [function.body for function in plan.functions.values()]
    for region in pending:
        for node in region.nodes:
            if node.op == "transaction":
                return True
            pending.extend(node.regions)
    return False


def undo_of(operation: Operation, undo: Operation, bind: Binder) -> Undo:
    """The call of `undo` that takes back a call of `operation`: it gets its arguments, and its result as
    `result`; what it does not get has to have a default.
    """
    places = {parameter.name: (place, parameter.type) for place, parameter in enumerate(operation.parameters)}
    places[GIVEN] = (RESULT, operation.result)
    sources, parameters, constants = [], [], []
    for slot, parameter in enumerate(undo.parameters):
        place, type_ = places.get(parameter.name, (RESULT, None))
        if type_ == parameter.type:
            parameters.append(slot)
            sources.append(place)
        elif parameter.optional:
            constants.append((slot, parameter.default))
        else:
            raise ValueError(f"`{undo.name}` needs `{parameter.name}`, which `{operation.name}` has not")
    count = len(undo.parameters)
    node = Node(
        "tool",
        undo.name,
        tuple(range(count)),
        (count,),
        settings={"operation": undo.name},
        line=operation.line,
    )
    region = Region(count + 1, tuple(parameters), (), tuple(constants), (node,), (count,))
    block = Block(region, bind)
    block.instructions[0].place = f"undo:{undo.name}"
    return Undo(undo.name, block, tuple(sources))
