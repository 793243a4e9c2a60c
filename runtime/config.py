"""flowc.toml: which model stands behind an alias, what it costs and how hard it may be asked."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.limits import Price
from flowc.runtime.providers.base import ModelSettings

FILE = "flowc.toml"
PROVIDERS = ("offline", "openai", "replay", "simulated")
MODEL_KEYS: Mapping[str, type] = {
    "provider": str,
    "model": str,
    "base_url": str,
    "api_key_env": str,
    "price_in": float,
    "price_out": float,
    "requests_per_minute": int,
    "tokens_per_minute": int,
    "max_in_flight": int,
    "max_tokens": int,
    "timeout": float,
}
RUN_KEYS: Mapping[str, type] = {"provider": str, "seed": int, "recording": str}


@frozen
class Config:
    """What flowc.toml says. `provider` of None leaves each model its own; `path` is where it was read."""

    models: Mapping[str, ModelSettings] = field(factory=dict)
    provider: str | None = None
    seed: int = 0
    recording: str | None = None
    path: Path | None = None


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
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise fail(
            "E0647",
            f"{shown(path)} cannot be read",
            why=str(error),
            help="a flowc.toml is TOML: sections in brackets, then NAME = VALUE",
        ) from None
    return _config(content, path)


def shown(path: Path) -> str:
    """A path as a person would write it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _config(content: dict[str, object], path: Path) -> Config:
    _known(content, ("models", "run"), "", path)
    run = _table(content.get("run", {}), "[run]", path)
    settings = _typed(run, RUN_KEYS, "[run]", path)
    provider = settings.get("provider")
    if isinstance(provider, str):
        _known_provider(provider, "[run]", path)
    models = {
        alias: _model(alias, _table(members, f"[models.{alias}]", path), path)
        for alias, members in _table(content.get("models", {}), "[models]", path).items()
    }
    seed = settings.get("seed")
    recording = settings.get("recording")
    return Config(
        models=models,
        provider=provider if isinstance(provider, str) else None,
        seed=seed if isinstance(seed, int) else 0,
        recording=recording if isinstance(recording, str) else None,
        path=path,
    )


def _model(alias: str, members: dict[str, object], path: Path) -> ModelSettings:
    place = f"[models.{alias}]"
    settings = _typed(members, MODEL_KEYS, place, path)
    _known_provider(str(settings.get("provider", "openai")), place, path)
    for name, value in settings.items():
        if isinstance(value, int | float) and (value < 0 or (value == 0 and not name.startswith("price"))):
            raise _wrong(f"{name} in {place} must be above zero, not {value}", path)

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
        price=Price(number("price_in", 0.0) / 1e6, number("price_out", 0.0) / 1e6),
        requests_per_minute=whole("requests_per_minute"),
        tokens_per_minute=whole("tokens_per_minute"),
        max_in_flight=whole("max_in_flight"),
        max_tokens=whole("max_tokens"),
        timeout=number("timeout", 120.0),
    )


def _wrong(message: str, path: Path) -> FlowError:
    return fail("E0649", message, why=f"read in {shown(path)}", help="correct the value in flowc.toml")


def _table(value: object, place: str, path: Path) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _wrong(f"{place} must be a section, not {value!r:.40}", path)
    return value


def _known(members: Mapping[str, object], known: tuple[str, ...], place: str, path: Path) -> None:
    for name in members:
        if name not in known:
            raise fail(
                "E0648",
                f"flowc.toml has no setting `{name}`" + (f" in {place}" if place else ""),
                why=f"read in {shown(path)}",
                help="it knows: " + ", ".join(known),
            )


def _known_provider(name: str, place: str, path: Path) -> None:
    if name not in PROVIDERS:
        raise _wrong(f"there is no provider {name!r} ({place}); there are {', '.join(PROVIDERS)}", path)


def _typed(members: dict[str, object], keys: Mapping[str, type], place: str, path: Path) -> dict[str, object]:
    _known(members, tuple(keys), place, path)
    for name, value in members.items():
        wanted = keys[name]
        fits = isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
        if not fits or isinstance(value, bool):
            raise _wrong(f"{name} in {place} must be of type {wanted.__name__}, not {value!r:.40}", path)
    return members
