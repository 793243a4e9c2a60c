"""Hypothesis strategies for what flowc compiles, keeps and meets: programs, kernels, plans, faults.

For tests of flows: `behaviours` of models, schedules of `faults`. Nothing is imported before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowc.testing.strategies.behaving import behaviours as behaviours
    from flowc.testing.strategies.kernels import every_program as every_program
    from flowc.testing.strategies.leaks import leaking_programs as leaking_programs
    from flowc.testing.strategies.programs import typed_programs as typed_programs
    from flowc.testing.strategies.schedules import faults as faults

_HOME = {
    "behaviours": "behaving",
    "every_program": "kernels",
    "faults": "schedules",
    "leaking_programs": "leaks",
    "typed_programs": "programs",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'flowc.testing.strategies' has no attribute {name!r}")
    return getattr(importlib.import_module(f"flowc.testing.strategies.{_HOME[name]}"), name)
