"""Which provider answers for a model, made on first use; providers are imported only when they are asked."""

import asyncio
from weakref import WeakKeyDictionary

from attrs import define, evolve, field

from flowc.runtime.admission.gate import Gate
from flowc.runtime.admission.gates import gate_of, gates_of
from flowc.runtime.config import PROVIDERS
from flowc.runtime.environment import Environment
from flowc.runtime.errors import fail
from flowc.runtime.latencies import Latencies
from flowc.runtime.providers.base import ModelSettings, Provider
from flowc.runtime.scheduler.prefixes import Prefixes

Loop = asyncio.AbstractEventLoop


@define(eq=False)
class Registry:
    """The models and providers of one environment."""

    environment: Environment
    models: dict[str | None, ModelSettings] = field(factory=dict)
    latencies: Latencies = field(factory=Latencies)
    loops: "WeakKeyDictionary[Loop, Endpoints]" = field(factory=WeakKeyDictionary)

    def endpoints(self) -> "Endpoints":
        """What the running loop has of them."""
        loop = asyncio.get_running_loop()
        found = self.loops.get(loop)
        if found is None:
            found = self.loops[loop] = Endpoints(self)
        return found

    def model(self, alias: str | None) -> ModelSettings:
        """The settings of a model. One that flowc.toml does not describe is taken by its own name."""
        known = self.models.get(alias)
        if known is None:
            known = self.models[alias] = self._settings(alias)
        return known

    def _settings(self, alias: str | None) -> ModelSettings:
        config = self.environment.config
        name = alias or "default"
        chosen = self.environment.provider or config.provider
        settings = config.models.get(name)
        if settings is None:
            settings = ModelSettings(alias=name, provider=chosen or "offline", model=alias or "")
        return evolve(settings, provider=chosen) if chosen is not None else settings

    def make(self, name: str) -> Provider:
        """A new provider; raises E0649 where there is none of that name."""
        return self._recorded(self._make(name), name)

    def _make(self, name: str) -> Provider:
        environment = self.environment
        if name == "offline":
            from flowc.runtime.providers.offline import Offline

            return Offline()
        if name == "simulated":
            from flowc.runtime.providers.simulated.behaviour import NOTHING
            from flowc.runtime.providers.simulated.provider import Simulated

            simulation = environment.config.simulation or NOTHING
            return Simulated(environment.chosen_seed, simulation.behaviour, simulation)
        if name == "openai":
            from flowc.runtime.providers.openai import OpenAI

            return OpenAI()
        if name == "replay":
            from flowc.runtime.providers.replay import Replay

            recording = environment.recording or environment.config.recording
            return Replay.read(recording)
        known = ", ".join(sorted({*PROVIDERS, *environment.providers}))
        raise fail("E0649", f"there is no provider `{name}`", help=f"there are: {known}")

    def _recorded(self, provider: Provider, name: str) -> Provider:
        path = self.environment.record
        if path is None or name == "replay":
            return provider
        from flowc.runtime.providers.replay import Recorder

        return Recorder(provider, path)

    def ended(self, program: str) -> None:
        """A run has ended: it asks no model any more."""
        for gate in gates_of(asyncio.get_running_loop()):
            gate.ended(program)

    async def close(self) -> None:
        """Closes what was opened on this loop."""
        await self.endpoints().close()


@define(eq=False)
class Endpoints:
    """Whom the runs on one loop ask: providers, whose connections belong to a loop, the gates before them,
    and the beginnings of prompts that the models have seen.
    """

    registry: Registry
    providers: dict[str, Provider] = field(factory=dict)
    gates: dict[ModelSettings, Gate] = field(factory=dict)
    prefixes: Prefixes = field(factory=Prefixes)

    def provider(self, settings: ModelSettings) -> Provider:
        """The provider of a model, made on first use; raises E0649 where there is none of that name."""
        name = settings.provider
        given = self.registry.environment.providers
        if name in given:
            return given[name]
        if name not in self.providers:
            self.providers[name] = self.registry.make(name)
        return self.providers[name]

    def gate(self, settings: ModelSettings) -> Gate:
        """The gate before a model: one for all who ask the same endpoint on this loop."""
        if settings not in self.gates:
            environment = self.registry.environment
            provider = environment.providers.get(settings.provider)
            self.gates[settings] = gate_of(settings, provider, environment.policy)
        return self.gates[settings]

    async def close(self) -> None:
        """Closes the providers that were made."""
        made, self.providers = self.providers, {}
        for provider in made.values():
            await provider.close()
