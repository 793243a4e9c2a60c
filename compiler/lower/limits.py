"""Limits as an attribute."""

import attrs

from flowc.dialects.flow.attributes import LIMIT_NAMES, LimitsAttr
from flowc.runtime.plan import Limits


def limits_attribute(limits: Limits) -> LimitsAttr | None:
    """The limits that are set, in a fixed order; None where there are none."""
    given = attrs.asdict(limits)
    chosen = tuple((name, given[name]) for name in LIMIT_NAMES if given[name])
    return LimitsAttr(chosen) if chosen else None


def runtime_limits(attribute: LimitsAttr | None) -> Limits:
    """The limits of an attribute as the runtime knows them."""
    given = dict(attribute.data) if attribute is not None else {}

    def number(name: str) -> float | None:
        return float(given[name]) if name in given else None

    def whole(name: str) -> int | None:
        return int(given[name]) if name in given else None

    return Limits(
        timeout=number("timeout"),
        money=number("money"),
        tokens=whole("tokens"),
        calls=whole("calls"),
        memory=whole("memory"),
        retries=whole("retries") or 0,
        backoff=number("backoff") or 0.0,
    )
