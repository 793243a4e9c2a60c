"""The `simulated` provider: models, servers, endpoints and tools out of a seed, in virtual time."""

from flowc.runtime.providers.simulated.answers import value_of
from flowc.runtime.providers.simulated.behaviour import Behaviour, Quota, Serving, Simulation
from flowc.runtime.providers.simulated.provider import Simulated
from flowc.runtime.providers.simulated.tools import simulated_tool

__all__ = ["Behaviour", "Quota", "Serving", "Simulated", "Simulation", "simulated_tool", "value_of"]
