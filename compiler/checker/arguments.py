"""Matches the arguments of a call with the parameters of what is called."""

from collections.abc import Sequence

from attrs import frozen

from flowc.compiler.checker.context import Context
from flowc.compiler.checker.names import did_you_mean, listed
from flowc.compiler.syntax import Argument, Expression, Span


@frozen
class Slot:
    """A parameter to be matched: `span` is where it is declared, None for built-ins."""

    name: str
    required: bool
    span: Span | None = None


def match_arguments(
    context: Context, what: str, slots: Sequence[Slot], arguments: Sequence[Argument], span: Span
) -> dict[str, Expression] | None:
    """The argument of each parameter by name; reports and gives None where they do not match."""
    by_name = {slot.name: slot for slot in slots}
    bound: dict[str, Argument] = {}
    fine = True
    for position, argument in enumerate(arguments):
        name = argument.name
        if name is None:
            if position >= len(slots):
                _too_many(context, what, slots, argument, len(arguments))
                return None
            name = slots[position].name
        elif name not in by_name:
            _unknown(context, what, slots, argument)
            fine = False
            continue
        if name in bound:
            context.report.error(
                "E0118",
                f"{what} gets `{name}` twice",
                argument.span,
                causes=((bound[name].span, "it has this value already"),),
            )
            fine = False
        bound.setdefault(name, argument)
    missing = [slot for slot in slots if slot.required and slot.name not in bound]
    if missing and fine:
        _missing(context, what, missing, span)
    return {name: argument.value for name, argument in bound.items()} if fine and not missing else None


def _too_many(context: Context, what: str, slots: Sequence[Slot], argument: Argument, count: int) -> None:
    takes = f"{len(slots)} argument{'' if len(slots) == 1 else 's'}"
    names = listed(slot.name for slot in slots)
    context.report.error(
        "E0116",
        f"{what} takes {takes}, and gets {count}",
        argument.span,
        "one too many",
        help=f"it takes {names}" if slots else "call it without arguments",
    )


def _unknown(context: Context, what: str, slots: Sequence[Slot], argument: Argument) -> None:
    names = [slot.name for slot in slots]
    otherwise = f"it takes {listed(names)}" if names else "it takes no arguments"
    context.report.error(
        "E0117",
        f"{what} has no parameter `{argument.name}`",
        argument.span,
        help=did_you_mean(argument.name or "", names, otherwise),
    )


def _missing(context: Context, what: str, missing: Sequence[Slot], span: Span) -> None:
    causes = tuple((slot.span, "declared here") for slot in missing if slot.span is not None)
    context.report.error(
        "E0115",
        f"{what} needs {listed(slot.name for slot in missing)}",
        span,
        f"{listed(slot.name for slot in missing)} {'is' if len(missing) == 1 else 'are'} missing",
        help=f"add `{missing[0].name}=...`",
        causes=causes,
    )
