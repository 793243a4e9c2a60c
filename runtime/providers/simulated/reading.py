"""Reads the sections about simulation from flowc.toml: [simulated] and [models.NAME.simulated]."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from flowc.runtime.providers.simulated.behaviour import PLAIN, POLICIES, Behaviour, Quota, Serving, Simulation
from flowc.runtime.providers.simulated.distributions import FAMILIES, Distribution, Empirical, Family
from flowc.runtime.providers.simulated.traces import read_trace
from flowc.runtime.sections import known, table, wrong

Reader = Callable[[object, str, Path], Any]

_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(us|ms|s|m|h)\s*\Z")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHAPES = ("distribution", "shape")
LONGEST = 1e7
"""Seconds; no waiting time is longer."""
LARGEST = 10**9
"""No count is larger."""
SLOWEST = 1e-3
"""Tokens a second, and the least shape of a gamma distribution."""
WIDEST = 3.0
"""The spread of first tokens: one in a thousand comes 10,000 times as late as usual."""


def seconds(value: object, name: str, path: Path) -> float:
    """A duration: a number of seconds, or a text such as "250ms"."""
    found: float | None = None
    if isinstance(value, str) and (match := _DURATION.match(value)):
        found = float(match[1]) * _UNITS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool) and value <= LONGEST:
        found = float(value)
    if found is None or not 0 <= found <= LONGEST:
        raise wrong(
            f'{name} must be a duration such as "250ms" or a number of seconds, not {value!r:.40}', path
        )
    return found


def _positive(value: object, name: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
        raise wrong(f"{name} must be a number above zero, not {value!r:.40}", path)
    return float(value)


def _some_seconds(value: object, name: str, path: Path) -> float:
    found = seconds(value, name, path)
    if found == 0:
        raise wrong(f"{name} must be above zero, not {value!r:.40}", path)
    return found


def _count(value: object, name: str, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST:
        raise wrong(f"{name} must be a whole number above zero, not {value!r:.40}", path)
    return value


def _at_least(value: object, name: str, path: Path) -> float:
    found = _positive(value, name, path)
    if found < SLOWEST:
        raise wrong(f"{name} must be at least {SLOWEST:g}, not {found:g}", path)
    return found


def _spread(value: object, name: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= WIDEST:
        raise wrong(f"{name} must be a number from 0 to {WIDEST:g}, not {value!r:.40}", path)
    return float(value)


def _share(value: object, name: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise wrong(f"{name} must be a share between 0 and 1, not {value!r:.40}", path)
    return float(value)


def _switch(value: object, name: str, path: Path) -> bool:
    if not isinstance(value, bool):
        raise wrong(f"{name} must be true or false, not {value!r:.40}", path)
    return value


def _policy(value: object, name: str, path: Path) -> str:
    if value not in POLICIES:
        raise wrong(f"{name} must be one of {', '.join(POLICIES)}, not {value!r:.40}", path)
    return str(value)


def family(value: object, name: str, path: Path) -> Family:
    """A distribution of waiting times: a duration, or a table of `latency`, `distribution` and `shape`."""
    if not isinstance(value, dict):
        return Family(seconds(value, name, path))
    known(value, ("latency", "distribution", "shape"), name, path)
    if "latency" not in value:
        raise wrong(f'{name} needs its mean, such as latency = "3s"', path)
    return _family(seconds(value["latency"], f"latency in {name}", path), value, name, path)


def _family(mean: float, value: Mapping[str, object], name: str, path: Path) -> Family:
    kind = value.get("distribution", "constant")
    if kind not in FAMILIES:
        raise wrong(f"distribution in {name} must be one of {', '.join(FAMILIES)}, not {kind!r:.40}", path)
    shape = _at_least(value.get("shape", 1.0), f"shape in {name}", path)
    if kind == "lognormal" and shape > 10:
        raise wrong(f"shape in {name} must be at most 10 for lognormal, not {shape:g}", path)
    return Family(mean, str(kind), shape)


def _lengths(value: object, name: str, path: Path) -> Distribution:
    """How long answers are: as in a trace, or by a table of `mean`, `distribution` and `shape`."""
    if isinstance(value, str):
        return Empirical.of([call.answer for call in read_trace(path.parent / value).calls])
    members = table(value, name, path)
    known(members, ("mean", "distribution", "shape"), name, path)
    return _family(_positive(members.get("mean"), f"mean in {name}", path), members, name, path)


def _serving(value: object, name: str, path: Path) -> Serving:
    serving = Serving(**_read(table(value, name, path), SERVER, name, path))
    if serving.blocks < 1:
        raise wrong(f"kv_tokens in {name} must be at least one block of {serving.block} tokens", path)
    if serving.iteration + serving.per_sequence <= 0:
        raise wrong(f"an iteration in {name} must take time: set iteration or per_sequence", path)
    return serving


def _quotas(value: object, name: str, path: Path) -> tuple[Quota, ...]:
    if not isinstance(value, list):
        raise wrong(f"{name} must be a list of sections, not {value!r:.40}", path)
    return tuple(Quota(**_read(table(each, name, path), QUOTA, name, path)) for each in value)


SERVER: Mapping[str, Reader] = {
    "prefill": seconds,
    "per_prompt_token": seconds,
    "iteration": seconds,
    "per_sequence": seconds,
    "per_context": seconds,
    "max_batch": _count,
    "kv_tokens": _count,
    "block": _count,
    "policy": _policy,
    "pin": seconds,
}
QUOTA: Mapping[str, Reader] = {
    "after": seconds,
    "requests_per_minute": _count,
    "tokens_per_minute": _count,
    "concurrency": _count,
}
BEHAVIOUR: Mapping[str, Reader] = {
    "first_token": _some_seconds,
    "spread": _spread,
    "tokens_per_second": _at_least,
    "answer_tokens": _count,
    "network": seconds,
    "latency": lambda value, name, path: Family(seconds(value, name, path)),
    "lengths": _lengths,
    "server": _serving,
    "quotas": _quotas,
    "tool_seconds": _some_seconds,
    **dict.fromkeys(
        ("rate_limited", "server_error", "reset", "truncated", "not_json", "wrong_schema", "wrong_usage"),
        _share,
    ),
    "ignores_cancellation": _switch,
    "batch_seconds": seconds,
    "batch_shuffled": _switch,
    "batch_duplicated": _share,
    "batch_dropped": _share,
}


def _read(
    members: dict[str, object], readers: Mapping[str, Reader], place: str, path: Path
) -> dict[str, Any]:
    known(members, readers, place, path)
    return {name: readers[name](value, f"{name} in {place}", path) for name, value in members.items()}


def behaviour(value: object, place: str, path: Path, otherwise: Behaviour = PLAIN) -> Behaviour:
    """A behaviour; what the section does not say is as in `otherwise`. Raises E0648 and E0649, and E0650 or
    E0651 for a trace.
    """
    members = dict(table(value, place, path))
    known(members, (*BEHAVIOUR, *_SHAPES), place, path)
    timed = {name: members.pop(name) for name in _SHAPES if name in members}
    if timed and "latency" not in members:
        raise wrong(f"{' and '.join(timed)} in {place} need a latency", path)
    found = evolve(otherwise, **_read(members, BEHAVIOUR, place, path))
    if timed and isinstance(found.latency, Family):
        return evolve(found, latency=_family(found.latency.mean, timed, place, path))
    return found


def simulation(value: object, models: Mapping[str, object], path: Path) -> Simulation:
    """What the section [simulated] and those of the models say. Raises E0648 and E0649, and E0650 or E0651
    for a trace.
    """
    members = dict(table(value, "[simulated]", path))
    named: dict[str, dict[str, Family]] = {}
    for kind in ("tools", "llms"):
        place = f"[simulated.{kind}]"
        found = table(members.pop(kind, {}), place, path)
        named[kind] = {name: family(each, f"{name} in {place}", path) for name, each in found.items()}
    known(members, (*BEHAVIOUR, *_SHAPES, "tools", "llms"), "[simulated]", path)
    common = behaviour(members, "[simulated]", path)
    own = {
        alias: behaviour(section, f"[models.{alias}.simulated]", path, common)
        for alias, section in models.items()
    }
    return Simulation(common, **named, models=own)
