"""flowc.toml: which model stands behind an alias, what it costs and how hard it may be asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from flowc.runtime.errors import fail
from flowc.runtime.limits import Price
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.sections import known, parsed, shown, table, typed, wrong

if TYPE_CHECKING:
    from flowc.runtime.providers.simulated.behaviour import Simulation

FILE = "flowc.toml"
PROVIDERS = ("offline", "openai", "replay", "simulated")
MODEL_KEYS: Mapping[str, type] = {
    "provider": str,
    "model": str,
    "base_url": str,
    "api_key_env": str,
    "price_in": float,
    "price_out": float,
    "price_cached": float,
    "price_batch": float,
    "requests_per_minute": int,
    "tokens_per_minute": int,
    "max_in_flight": int,
    "max_tokens": int,
    "timeout": float,
    "prefix_cache": bool,
    "min_prefix_tokens": int,
    "batch": bool,
    "batch_latency": float,
    "hedge_after": float,
    "kv_tokens": int,
}
RUN_KEYS: Mapping[str, type] = {
    "provider": str,
    "seed": int,
    "recording": str,
    "journal": str,
    "submitter": str,
    "target": str,
    "weight": float,
}
TARGETS = ("cpu", "cuda", "auto")


@frozen
class Config:
    """What flowc.toml says. `provider` of None leaves each model its own; `path` is where it was read.
    `simulation` is what it says about the `simulated` provider, None where that is nothing. Runs of one
    `submitter` share models with those of others in proportion to its `weight`. Kernels are compiled for
    `target`, and runs kept in `journal`, None where nothing is said of that."""

    models: Mapping[str, ModelSettings] = field(factory=dict)
    provider: str | None = None
    seed: int = 0
    recording: str | None = None
    path: Path | None = None
    simulation: "Simulation | None" = None
    submitter: str = ""
    target: str = "cpu"
    weight: float = 1.0
    journal: str | None = None


def find_config(folder: Path, home: Path | None = None) -> Path | None:
    """The nearest flowc.toml upwards from `folder`, else the user's own in `home`."""
    start = folder.resolve()
    for place in (start, *start.parents):
        if (place / FILE).is_file():
            return place / FILE
    if home is not None and (home / FILE).is_file():
        return home / FILE
    return None


def load_config(path: Path | None) -> Config:
    """Reads a flowc.toml; None gives the defaults. Raises E0647 (unreadable), E0648 (unknown) or E0649
    (wrong).
    """
    if path is None:
        return Config()
    try:
        content = parsed(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise fail(
            "E0647",
            f"{shown(path)} cannot be read",
            why=str(error),
            help="a flowc.toml is TOML: sections in brackets, then NAME = VALUE",
        ) from None
    return _config(content, path)


def _config(content: dict[str, object], path: Path) -> Config:
    known(content, ("models", "run", "simulated"), "", path)
    run = table(content.get("run", {}), "[run]", path)
    settings = typed(run, RUN_KEYS, "[run]", path)
    provider = settings.get("provider")
    if isinstance(provider, str):
        _known_provider(provider, "[run]", path)
    sections = {
        alias: table(members, f"[models.{alias}]", path)
        for alias, members in table(content.get("models", {}), "[models]", path).items()
    }
    models = {alias: _model(alias, members, path) for alias, members in sections.items()}
    seed = settings.get("seed")
    weight = settings.get("weight", 1.0)
    if not isinstance(weight, int | float) or weight <= 0:
        raise wrong(f"weight in [run] must be above zero, not {weight}", path)
    target = str(settings.get("target", "cpu"))
    if target not in TARGETS:
        raise wrong(f"target in [run] must be {', '.join(TARGETS[:-1])} or {TARGETS[-1]}, not {target}", path)
    recording = settings.get("recording")
    return Config(
        models=models,
        provider=provider if isinstance(provider, str) else None,
        seed=seed if isinstance(seed, int) else 0,
        recording=recording if isinstance(recording, str) else None,
        path=path,
        simulation=_simulation(content, sections, path),
        submitter=str(settings.get("submitter", "")),
        target=target,
        weight=float(weight),
        journal=_journal(settings.get("journal"), path),
    )


def _journal(given: object, path: Path) -> str | None:
    """Where runs are kept: a URL, none, or a file, which stands beside flowc.toml."""
    if not isinstance(given, str):
        return None
    return given if given == "none" or "://" in given else str(path.parent / given)


def _simulation(
    content: Mapping[str, object], models: Mapping[str, Mapping[str, object]], path: Path
) -> "Simulation | None":
    """What [simulated] and [models.ALIAS.simulated] say, None where there is no such section."""
    own = {alias: members["simulated"] for alias, members in models.items() if "simulated" in members}
    if not own and "simulated" not in content:
        return None
    from flowc.runtime.providers.simulated.reading import simulation

    return simulation(content.get("simulated", {}), own, path)


def _model(alias: str, members: dict[str, object], path: Path) -> ModelSettings:
    place = f"[models.{alias}]"
    known(members, (*MODEL_KEYS, "simulated"), place, path)
    plain = {name: value for name, value in members.items() if name != "simulated"}
    settings = typed(plain, MODEL_KEYS, place, path)
    _known_provider(str(settings.get("provider", "openai")), place, path)
    for name, value in settings.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float) and (value < 0 or (value == 0 and not name.startswith("price"))):
            raise wrong(f"{name} in {place} must be above zero, not {value}", path)

    def whole(name: str) -> int | None:
        value = settings.get(name)
        return value if isinstance(value, int) else None

    def number(name: str, default: float) -> float:
        value = settings.get(name)
        return float(value) if isinstance(value, int | float) else default

    base_url = settings.get("base_url")
    return ModelSettings(
        alias=alias,
        provider=str(settings.get("provider", "openai")),
        model=str(settings.get("model", alias)),
        base_url=base_url if isinstance(base_url, str) else None,
        api_key_env=str(settings.get("api_key_env", "OPENAI_API_KEY")),
        price=_price(settings, place, path),
        requests_per_minute=whole("requests_per_minute"),
        tokens_per_minute=whole("tokens_per_minute"),
        max_in_flight=whole("max_in_flight"),
        max_tokens=whole("max_tokens"),
        timeout=number("timeout", 120.0),
        prefix_cache=settings.get("prefix_cache") is True,
        min_prefix_tokens=whole("min_prefix_tokens") or 1024,
        batch=settings.get("batch") is True,
        batch_latency=number("batch_latency", 86_400.0),
        hedge_after=number("hedge_after", 0.0) or None,
        kv_tokens=whole("kv_tokens"),
    )


def _price(settings: Mapping[str, object], place: str, path: Path) -> Price:
    """Dollars a token: flowc.toml says dollars a million, and for batches the share of them that is paid.

    What is cheaper may not be dearer: budgets reserve the full price.
    """

    def said(name: str, default: float) -> float:
        value = settings.get(name)
        return float(value) if isinstance(value, int | float) else default

    prompt = said("price_in", 0.0)
    cached, batch = said("price_cached", prompt), said("price_batch", 1.0)
    if cached > prompt:
        raise wrong(f"price_cached in {place} must be at most price_in, not {cached:g}", path)
    if batch > 1:
        raise wrong(f"price_batch in {place} must be a share of the price, at most 1, not {batch:g}", path)
    own = "price_cached" in settings
    return Price(prompt / 1e6, said("price_out", 0.0) / 1e6, cached / 1e6 if own else None, batch)


def _known_provider(name: str, place: str, path: Path) -> None:
    if name not in PROVIDERS:
        raise wrong(f"there is no provider {name!r} ({place}); there are {', '.join(PROVIDERS)}", path)
