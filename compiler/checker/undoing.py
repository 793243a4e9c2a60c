"""Tools that take back what others wrote: what they are given must be of their types, and may go to them."""

from flowc.compiler.checker.context import World
from flowc.compiler.checker.lattice import (
    Lattice,
    chains_of,
    forbidden,
    integrity,
    lattice,
    names_of,
    value_of,
)
from flowc.compiler.checker.model import ParameterInfo, Signature
from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Effect

RESULT = "result"
"""The parameter by which an undo is given what the call gave."""


def check_undo(world: World, signature: Signature, report: Report) -> None:
    """Checks the undos that a tool names: each gets the arguments of the call, and its result."""
    for effect in signature.declaration.effects or ():
        if effect.undo is None:
            continue
        undo = world.callables.get(effect.undo)
        if undo is None or undo.kind != "tool":
            report.error(
                "E0405",
                f"`{effect.undo}` is no tool that could undo `{signature.name}`",
                effect.span,
                help=did_you_mean(effect.undo, world.tools, f"declare `tool {effect.undo}(...)`"),
            )
            continue
        for parameter in undo.parameters:
            _check_parameter(world, signature, effect, parameter, report)


def _check_parameter(
    world: World, signature: Signature, effect: Effect, parameter: ParameterInfo, report: Report
) -> None:
    given = {each.name: each.type for each in signature.parameters} | {RESULT: signature.result}
    if given.get(parameter.name) != parameter.type:
        if parameter.default is None:
            report.error(
                "E0405",
                f"`{effect.undo}` cannot undo `{signature.name}`: it needs `{parameter.name}`",
                effect.span,
                why=f"an undo gets the arguments of the call, and its result as `result`; "
                f"`{signature.name}` has no `{parameter.name}` of that type",
                help="give both tools the same parameters",
                causes=((parameter.span, "needed here"),),
            )
        return
    labels = lattice(world.chains)
    bad = forbidden(labels, parameter.bounds) & _possible(labels, signature, parameter.name)
    if bad:
        found = listed(sorted(names_of(labels, bad)) or sorted(parameter.bounds))
        report.error(
            "E0405",
            f"`{effect.undo}` cannot undo `{signature.name}`: its `{parameter.name}` may be {found}",
            effect.span,
            why=f"an undo is given what the call was given and what it gave, with their labels; "
            f"`{parameter.name}` takes at most `{min(parameter.bounds)}`",
            help="give the parameters of both tools the same labels",
            causes=((parameter.span, "declared here"),),
        )


def _possible(labels: Lattice, signature: Signature, name: str) -> int:
    """The labels that the argument, or the result, of this name may have."""
    bounds = {each.name: each.bounds for each in signature.parameters}
    everything = value_of(labels, frozenset(label for chain in labels.chains for label in chain))
    if name in bounds:
        return everything & ~forbidden(labels, bounds[name])
    joined = 0
    for own in bounds.values():
        joined |= everything & ~forbidden(labels, own)
    said = chains_of(labels, signature.result_labels)
    outside = value_of(labels, frozenset(integrity(labels)[-1:]))
    return ((joined | outside) & ~said) | value_of(labels, signature.result_labels)
