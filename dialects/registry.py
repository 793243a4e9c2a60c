"""One place that knows every dialect: contexts for reading IR, with dialects loaded when first used."""

from xdsl.context import Context
from xdsl.ir import Dialect

OURS = ("flow", "agent", "array", "loops", "device", "plan")


def _flow() -> Dialect:
    from flowc.dialects.flow import Flow

    return Flow


def _agent() -> Dialect:
    from flowc.dialects.agent import Agent

    return Agent


def _array() -> Dialect:
    from flowc.dialects.array import Array

    return Array


def _loops() -> Dialect:
    from flowc.dialects.loops import Loops

    return Loops


def _device() -> Dialect:
    from flowc.dialects.device import Device

    return Device


def _plan() -> Dialect:
    from flowc.dialects.plan import Plan

    return Plan


def context(*, everything: bool = False) -> Context:
    """A context with our dialects and builtin; with `everything`, all of xDSL's own too."""
    from xdsl.dialects.builtin import Builtin

    result = Context()
    result.load_dialect(Builtin)
    for name, load in zip(OURS, (_flow, _agent, _array, _loops, _device, _plan), strict=True):
        result.register_dialect(name, load)
    if everything:
        from xdsl.dialects import get_all_dialects

        for name, factory in get_all_dialects().items():
            if name not in OURS and name != "builtin":
                result.register_dialect(name, factory)
    return result
