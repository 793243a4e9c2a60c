"""The gates of a loop: who asks the same endpoint there passes the same gate, whatever program it runs."""

import asyncio
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from flowc.runtime.admission.calls import Policy
from flowc.runtime.admission.gate import Gate
from flowc.runtime.providers.base import ModelSettings, Provider

Key = tuple[ModelSettings, int, Policy]
GATES: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, tuple[Gate, Provider | None]]]" = (
    WeakKeyDictionary()
)


def gate_of(settings: ModelSettings, provider: Provider | None, policy: Policy) -> Gate:
    """The gate before a model on the running loop. A ready-made `provider` is an endpoint of its own."""
    mine = GATES.setdefault(asyncio.get_running_loop(), {})
    key = settings, id(provider), policy
    if key not in mine:
        mine[key] = Gate(settings, policy), provider  # held, so that its id stays its own
    return mine[key][0]


def gates_of(loop: asyncio.AbstractEventLoop) -> Iterable[Gate]:
    """All gates of a loop."""
    return [gate for gate, _ in GATES.get(loop, {}).values()]
