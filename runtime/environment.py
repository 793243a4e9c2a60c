"""What surrounds a run: providers, tools, people, kernels, seed, and who listens."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from flowc.runtime.admission.calls import FULL, Policy
from flowc.runtime.config import Config
from flowc.runtime.events import Subscriber
from flowc.runtime.people import Ask
from flowc.runtime.providers.base import Provider

THREADS = 256
"""How many slow bodies may run at once. With 0, in virtual time, all run on the loop, one after the other."""


@frozen(eq=False)
class Environment:
    """The world of a run.

    `provider` names the provider of every model, whatever flowc.toml says; `providers` gives ready ones by
    name. `tools` holds functions by the name of the tool; those not there are loaded from the Python files
    that the program imports, looked for in `folder`. `stream` gets parts of answers as they arrive, with
    their step. `recording` is what the `replay` provider reads; `record` is where the answers of this run
    are written. With `keep` the trace holds what every effect of the run gave, as it does where somebody
    listens. `submitter` is in whose name the runs ask models, flowc.toml's where it is None; `policy` says
    by which rules their calls wait.
    """

    config: Config = field(factory=Config)
    provider: str | None = None
    providers: Mapping[str, Provider] = field(factory=dict)
    tools: Mapping[str, Callable[..., Any]] = field(factory=dict)
    folder: Path | None = None
    kernels: Mapping[str, Callable[..., Any]] = field(factory=dict)
    people: Ask | None = None
    seed: int | None = None
    subscribers: tuple[Subscriber, ...] = ()
    stream: Callable[[str, str], None] | None = None
    recording: Path | None = None
    record: Path | None = None
    keep: bool = False
    threads: int = THREADS
    submitter: str | None = None
    policy: Policy = FULL

    @property
    def chosen_seed(self) -> int:
        """The seed of the run: the given one, else the configured one."""
        return self.config.seed if self.seed is None else self.seed
