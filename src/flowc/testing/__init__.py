"""Property-based tests of flows: arguments from a signature, models that say anything, faults, kills, and
assertions.

`check` runs a flow in virtual time with stand-ins for all that it would reach, and gives what it did.
docs/testing.md is the guide. Nothing is imported before it is used; strategies need the extra `testing`.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowc.testing import strategies as strategies
    from flowc.testing.flows.adversary import ADVERSARIAL as ADVERSARIAL
    from flowc.testing.flows.adversary import POLITE as POLITE
    from flowc.testing.flows.adversary import UNRULY as UNRULY
    from flowc.testing.flows.adversary import Behaviour as Behaviour
    from flowc.testing.flows.assertions import calls_at_most as calls_at_most
    from flowc.testing.flows.assertions import calls_before as calls_before
    from flowc.testing.flows.assertions import calls_once as calls_once
    from flowc.testing.flows.assertions import ends as ends
    from flowc.testing.flows.assertions import never_calls as never_calls
    from flowc.testing.flows.assertions import no_leak as no_leak
    from flowc.testing.flows.assertions import same_at_every_level as same_at_every_level
    from flowc.testing.flows.assertions import spends_at_most as spends_at_most
    from flowc.testing.flows.calls import Call as Call
    from flowc.testing.flows.checking import Tested as Tested
    from flowc.testing.flows.checking import check as check
    from flowc.testing.flows.faults import Fault as Fault
    from flowc.testing.flows.inputs import inputs as inputs
    from flowc.testing.flows.killing import Survival as Survival
    from flowc.testing.flows.killing import survives_kill_at_every_step as survives_kill_at_every_step
    from flowc.testing.flows.recording import Recording as Recording
    from flowc.testing.flows.scripts import Raw as Raw
    from flowc.testing.flows.stage import REAL as REAL
    from flowc.testing.flows.targets import Program as Program
    from flowc.testing.flows.targets import load as load

_HOMES = {
    "assertions": (
        "calls_at_most calls_before calls_once ends never_calls no_leak same_at_every_level spends_at_most"
    ),
    "calls": "Call",
    "checking": "Tested check",
    "faults": "Fault",
    "inputs": "inputs",
    "killing": "Survival survives_kill_at_every_step",
    "adversary": "ADVERSARIAL POLITE UNRULY Behaviour",
    "recording": "Recording",
    "scripts": "Raw",
    "stage": "REAL",
    "targets": "Program load",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}
_NEED_HYPOTHESIS = ("inputs", "strategies")

__all__ = [*_HOME, "strategies"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'flowc.testing' has no attribute {name!r}")
    if name in _NEED_HYPOTHESIS and importlib.util.find_spec("hypothesis") is None:
        raise ModuleNotFoundError(
            f"flowc.testing.{name} needs Hypothesis: pip install 'flowc[testing]'", name="hypothesis"
        )
    place = f"flows.{_HOME[name]}" if name in _HOME else name
    module = importlib.import_module(f"flowc.testing.{place}")
    found = module if name == "strategies" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return list(__all__)
