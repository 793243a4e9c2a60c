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
    """The models and providers of one environment. Connections belong to a loop, so each has its own."""

    environment: Environment
    models: dict[str | None, ModelSettings] = field(factory=dict)
    made: "WeakKeyDictionary[Loop, dict[str, Provider]]" = field(factory=WeakKeyDictionary)
    latencies: Latencies = field(factory=Latencies)
    begun: "WeakKeyDictionary[Loop, Prefixes]" = field(factory=WeakKeyDictionary)

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

    def provider(self, settings: ModelSettings) -> Provider:
        """The provider of a model; raises E0649 where there is none of that name."""
        providers = self.environment.providers
        if settings.provider in providers:
            return providers[settings.provider]
        mine = self.made.setdefault(asyncio.get_running_loop(), {})
        if settings.provider not in mine:
            made = self._make(settings.provider)
            mine[settings.provider] = self._recorded(made, settings.provider)
        return mine[settings.provider]

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

    def gate(self, settings: ModelSettings) -> Gate:
        """The gate before a model: one for all who ask the same endpoint on this loop."""
        provider = self.environment.providers.get(settings.provider)
        return gate_of(settings, provider, self.environment.policy)

    def ended(self, program: str) -> None:
        """A run has ended: it asks no model any more."""
        for gate in gates_of(asyncio.get_running_loop()):
            gate.ended(program)

    def prefixes(self) -> Prefixes:
        """The beginnings of prompts that the models of this loop have seen."""
        return self.begun.setdefault(asyncio.get_running_loop(), Prefixes())

    async def close(self) -> None:
        """Closes what was opened on this loop."""
        for provider in self.made.pop(asyncio.get_running_loop(), {}).values():
            await provider.close()
