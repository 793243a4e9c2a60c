"""Finds the campaigns: `CAMPAIGN` or `CAMPAIGNS` of every module in a package."""

import importlib
import pkgutil
import traceback
from collections.abc import Sequence

from attrs import asdict, frozen

from tests.assurance.campaign import Campaign

PACKAGE = "tests.assurance.campaigns"


@frozen
class Listed:
    """A campaign as a process that does not import it knows it."""

    name: str
    module: str
    share: float
    limit: float


@frozen
class Listing:
    """All campaigns of a package, and of modules that cannot be imported, or have none, why."""

    campaigns: tuple[Listed, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()


def campaigns_of(module: str) -> tuple[Campaign, ...]:
    """The campaigns of a module."""
    found = importlib.import_module(module)
    several: Sequence[Campaign] = getattr(found, "CAMPAIGNS", ())
    one: Campaign | None = getattr(found, "CAMPAIGN", None)
    return tuple(several) if one is None else (one, *several)


def listing(package: str = PACKAGE) -> Listing:
    """What is there, in the order of the modules' names."""
    campaigns: list[Listed] = []
    broken: list[tuple[str, str]] = []
    for each in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda m: m.name):
        module = f"{package}.{each.name}"
        try:
            found = campaigns_of(module)
        except Exception:
            broken.append((module, "".join(traceback.format_exc(limit=-4))))
            continue
        if not found:
            broken.append((module, "neither CAMPAIGN nor CAMPAIGNS"))
        campaigns += [Listed(campaign.name, module, campaign.share, campaign.limit) for campaign in found]
    names = [campaign.name for campaign in campaigns]
    broken += [
        (package, f"two campaigns are called {name}") for name in sorted(set(names)) if names.count(name) > 1
    ]
    return Listing(tuple(campaigns), tuple(broken))


def to_json(found: Listing) -> dict[str, object]:
    """A listing as JSON holds it."""
    return asdict(found)


def from_json(value: dict[str, list[object]]) -> Listing:
    """A listing again."""
    campaigns = tuple(Listed(**each) for each in value["campaigns"])  # type: ignore[arg-type]
    return Listing(campaigns, tuple((str(a), str(b)) for a, b in value["broken"]))  # type: ignore[misc]
