"""How a simulated model, its server and its endpoint behave: frozen tables, as flowc.toml gives them."""

from collections.abc import Mapping

from attrs import field, frozen

from flowc.runtime.providers.simulated.distributions import Distribution

POLICIES = ("fcfs", "priority")


@frozen
class Serving:
    """The server of a model: seconds of work, and tokens of memory.

    An iteration of decoding takes `iteration + per_sequence * batch + per_context * tokens that the batch has
    in the cache` seconds and gives each job of the batch one token. A prefill takes `prefill +
    per_prompt_token * tokens that are not cached`. The cache has `kv_tokens` in blocks of `block` tokens; a
    program's blocks are pinned for `pin` seconds after each of its calls. The defaults are of the order of a
    model of 8 billion parameters on one GPU with 80 GB.
    """

    prefill: float = 0.005
    per_prompt_token: float = 0.00008
    iteration: float = 0.008
    per_sequence: float = 0.00008
    per_context: float = 0.0
    max_batch: int = 64
    kv_tokens: int = 262_144
    block: int = 16
    policy: str = "fcfs"
    pin: float = 0.0

    @property
    def blocks(self) -> int:
        """How many blocks the cache has."""
        return self.kv_tokens // self.block


@frozen
class Quota:
    """What an endpoint lets through, from `after` seconds of the loop's clock on. None is no limit."""

    after: float = 0.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


@frozen
class Behaviour:
    """How a simulated model behaves: seconds to the first token, tokens a second, and how often it fails.

    Without a `server` the latency to the first token is log-normal with this median and spread, as measured
    for hosted models, and calls do not disturb each other; with one they share it, and `first_token`,
    `spread` and `tokens_per_second` mean nothing. `network` is added to each call. `latency` replaces the
    time of a whole call. `lengths` says how many tokens answers have, else it is about `answer_tokens` for
    texts and what their type takes for the others. `quotas` are what the endpoint lets through; the last
    whose time has come holds.

    Faults are shares of calls, but for `ignores_cancellation`; those with `batch_` are about answers of the
    endpoint for many requests. It takes `batch_seconds` beside the time of the calls, where that is given.
    """

    first_token: float = 0.4
    spread: float = 0.35
    tokens_per_second: float = 80.0
    answer_tokens: int = 60
    rate_limited: float = 0.0
    server_error: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    not_json: float = 0.0
    wrong_schema: float = 0.0
    tool_seconds: float = 0.2
    network: float = 0.0
    latency: Distribution | None = None
    lengths: Distribution | None = None
    server: Serving | None = None
    quotas: tuple[Quota, ...] = ()
    wrong_usage: float = 0.0
    ignores_cancellation: bool = False
    batch_seconds: float | None = None
    batch_shuffled: bool = False
    batch_duplicated: float = 0.0
    batch_dropped: float = 0.0


PLAIN = Behaviour()
"""What flowc.toml says nothing about."""


@frozen
class Simulation:
    """All that flowc.toml says about simulation: the behaviours of models by their alias, that of all others,
    and the latencies of tools and llms by name.
    """

    behaviour: Behaviour = PLAIN
    tools: Mapping[str, Distribution] = field(factory=dict)
    llms: Mapping[str, Distribution] = field(factory=dict)
    models: Mapping[str, Behaviour] = field(factory=dict)


NOTHING = Simulation()
"""No section about simulation."""
